"""Linear layers in eight bits: weights quantised once, inputs row by row as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FP8 = torch.float8_e4m3fn
LARGEST_FP8, LARGEST_INT8 = 448.0, 127.0
TINY = 1e-12


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
