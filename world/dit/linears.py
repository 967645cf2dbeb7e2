"""Linear layers as the machine at hand multiplies them fastest.

On a CPU their weights are laid out once as the kernels of oneDNN read them. In eight bits they are quantised once, and
inputs row by row as they come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FP8 = torch.float8_e4m3fn
LARGEST_FP8, LARGEST_INT8 = 448.0, 127.0
TINY = 1e-12
ONEDNN = torch.ops.mkldnn
GELU: tuple[str, list[float], str] = ("gelu", [], "tanh")  # what follows a product, as the operators are told it
NOTHING: tuple[str, list[float], str] = ("none", [], "")


def has_onednn(dtype: torch.dtype = torch.float32) -> bool:
    """Whether this build of torch has the operators of oneDNN that take weights laid out, and this CPU the dtype."""
    if not (torch.backends.mkldnn.is_available() and hasattr(ONEDNN, "_reorder_linear_weight")):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and ONEDNN._is_mkldnn_bf16_supported())


class PackedLinear(nn.Module):
    """A linear layer on a CPU, for inference: x [..., in] -> [..., out]. It has no parameters.

    In float32 it is more than twice as fast as torch's usual way to MKL on an AMD EPYC (240 GFLOP/s on one thread where
    that makes 100); in bfloat16 torch calls the same kernels and lays the weights out anew at each call. The operators
    are those that torch's own compiler calls; where a build of torch lacks them, the usual ones take their place.
    rows: how many of them x has in most calls. is_gelu: whether GELU, approximated by tanh, follows.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, is_gelu: bool = False) -> None:
        super().__init__()
        self._weight, self._bias = weight.detach(), None if bias is None else bias.detach()
        self._is_packed, self._is_gelu = has_onednn(weight.dtype), is_gelu
        if self._is_packed:
            self._weight = ONEDNN._reorder_linear_weight(self._weight.contiguous(), rows)

    def forward(self, x: Tensor) -> Tensor:
        if self._is_packed:
            then = GELU if self._is_gelu else NOTHING
            made: Tensor = ONEDNN._linear_pointwise(x, self._weight, self._bias, *then)
            return made
        made = F.linear(x, self._weight, self._bias)
        return F.gelu(made, approximate="tanh") if self._is_gelu else made


class EightBitLinear(nn.Module, ABC):
    """weight [out, in] and bias [out] as eight-bit numbers with a scale for each row; inputs [..., in] -> [..., out].

    Source: row-wise scaling as in torch._scaled_mm. Inputs are quantised with a scale for each token.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        quantised, scale = self.quantise(weight)
        self.register_buffer("weight", quantised)
        self.register_buffer("scale", scale.view(1, -1))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        rows, scale = self.quantise(x.flatten(0, -2))
        return self.product(rows, scale, x.dtype).view(*x.shape[:-1], -1)

    @abstractmethod
    def quantise(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """rows [n, m] as eight-bit numbers, and their scales [n, 1], float32."""

    @abstractmethod
    def product(self, rows: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        """Quantised inputs [n, in] times the weight, plus the bias: [n, out] in `dtype`."""


class Float8Linear(EightBitLinear):
    """In float8_e4m3fn; a GPU multiplies it on its tensor cores from compute capability 8.9 on."""

    def quantise(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        scale = rows.abs().amax(-1, keepdim=True).float().clamp(min=TINY) / LARGEST_FP8
        return (rows.float() / scale).clamp(-LARGEST_FP8, LARGEST_FP8).to(FP8), scale

    def product(self, rows: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        if rows.device.type == "cuda":
            return torch._scaled_mm(
                rows, self.weight.t(), scale, self.scale, self.bias, out_dtype=dtype, use_fast_accum=True
            )
        return F.linear(rows.float() * scale, self.weight.float() * self.scale.t(), _float(self.bias)).to(dtype)


class Int8Linear(EightBitLinear):
    """In int8, which GPUs before the 4000 series multiply too.

    A CPU that cannot multiply it exactly computes in float32, which holds these sums exactly, or nearly so.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias)
        self.cpu_is_exact = cpu_multiplies_exactly()  # asked here, since a compiled forward should not try it

    def quantise(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        scale = rows.abs().amax(-1, keepdim=True).float().clamp(min=TINY) / LARGEST_INT8
        return (rows.float() / scale).round().to(torch.int8), scale

    def product(self, rows: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        product = self._sums(rows) * scale * self.scale
        return (product if self.bias is None else product + self.bias).to(dtype)

    def _sums(self, rows: Tensor) -> Tensor:
        """Whole numbers as float32, [n, out]."""
        if rows.device.type != "cpu" or self.cpu_is_exact:
            return torch._int_mm(rows, self.weight.t()).float()
        return F.linear(rows.float(), self.weight.float())


@cache
def cpu_multiplies_exactly() -> bool:
    """Whether products of int8 are exact on this CPU; the largest ones are tried, once.

    Without its instructions for them (VNNI), an x86 CPU adds pairs of products in 16 bits, where they do not fit.
    """
    largest = torch.full((32, 64), int(LARGEST_INT8), dtype=torch.int8)
    return bool((torch._int_mm(largest, largest.t()) == 64 * int(LARGEST_INT8) ** 2).all())


def _float(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.float()
