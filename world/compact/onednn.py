"""Convolutions by oneDNN, whose weights are laid out once as its kernels read them; torch does that at each call."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from world.dit import linears


class PackedConv:
    """A convolution of 3 x 3 that keeps the size, in float32: called with x [1, in, h, w], gives [1, out, h, w].

    size: h and w. x lies in memory channels last, and so does the result. is_gelu: as in PackedLinear.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, size: tuple[int, int], is_gelu: bool = False) -> None:
        self._weight = weight.detach().contiguous(memory_format=torch.channels_last)
        self._bias = None if bias is None else bias.detach()
        self._is_packed, self._is_gelu, self._ones = linears.has_onednn(), is_gelu, [1, 1]
        if self._is_packed:
            shape, ones = [1, weight.shape[1], *size], self._ones
            self._weight = linears.ONEDNN._reorder_convolution_weight(self._weight, ones, ones, ones, 1, shape)

    def __call__(self, x: Tensor) -> Tensor:
        if self._is_packed:
            then, ones = linears.GELU if self._is_gelu else linears.NOTHING, self._ones
            around = ones, ones, ones, 1  # padding, stride, dilation, groups
            made: Tensor = linears.ONEDNN._convolution_pointwise(x, self._weight, self._bias, *around, *then)
            return made
        made = F.conv2d(x, self._weight, self._bias, padding=1)
        return F.gelu(made, approximate="tanh") if self._is_gelu else made
