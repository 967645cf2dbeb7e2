"""What the fast decoders compute between their convolutions, as torch writes it: `Stepwise`.

All of it only moves data, and a GPU takes as long for it as for the convolutions unless each step reads and writes its
pictures once. `fused.Fused` does, by the same signatures. frames: [n, C, h, w], in memory [n, h, w, C].
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Operations(Protocol):
    """The steps between convolutions; phases are what the convolution of an `Enlarge` gives."""

    def weave(self, phases: Tensor, steps: int, bias: Tensor | None) -> Tensor:
        """phases [n, steps * 4 * O, h + 1, w + 1] -> frames [n * steps, O, 2h, 2w], plus bias [O]."""

    def finish(self, phases: Tensor, steps: int, weight: Tensor, bias: Tensor) -> Tensor:
        """phases as for `weave`, cut off below zero, 3x3 convolution -> pixels [n * steps, 3, 2h, 2w], float32.

        weight: [3, 3, O, 16], by row and column of the kernel; the columns from the third on are zeros. bias: [16].
        """

    def normed(
        self, raw: Tensor, bias: Tensor | None, skip: Tensor | None, gain: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """x = raw + bias [C] + skip, its unit norm times gain [C] with SiLU, and that stacked for a causal convolution.

        raw, skip: frames [f, C, h, w]. past: the last two frames of the norm before, or None for no stacking.
        Gives x, the norm [f, C, h, w] or its stack [f, 3C, h, w], and the last two frames of the norm, [2, C, h, w].
        With `bias` and no `skip`, nobody may use x.
        """


class Stepwise:
    """The operations in steps, on any device."""

    def weave(self, phases: Tensor, steps: int, bias: Tensor | None) -> Tensor:
        """As Operations.weave."""
        y = phases.permute(0, 2, 3, 1)  # row i has the rows 2i - 1 and 2i of the result
        n, rows, columns = y.shape[:3]
        y = y.view(n, rows, columns, steps, 2, 2, -1).permute(0, 3, 1, 4, 2, 5, 6)
        y = y.reshape(n * steps, 2 * rows, 2 * columns, -1)[:, 1:-1, 1:-1]
        return (y.contiguous() if bias is None else y + bias).permute(0, 3, 1, 2)

    def finish(self, phases: Tensor, steps: int, weight: Tensor, bias: Tensor) -> Tensor:
        """As Operations.finish."""
        x = F.relu(self.weave(phases, steps, None))
        return F.conv2d(x, weight.permute(3, 2, 0, 1)[:3], bias[:3], padding=1).float()

    def normed(
        self, raw: Tensor, bias: Tensor | None, skip: Tensor | None, gain: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As Operations.normed."""
        x = raw if bias is None else raw + bias[:, None, None]
        x = x if skip is None else x + skip
        y = F.silu(unit_norm(x, gain)).to(x.dtype)
        return (x, y, None) if past is None else (x, *stack(y, past))


def unit_norm(x: Tensor, gain: Tensor) -> Tensor:
    """x [n, C, h, w] at unit length over its channels, times gain [C]: float32."""
    wide = x.float()
    return wide * wide.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt() * gain[:, None, None]


def stack(x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """x [f, C, h, w] after past [2, C, h, w] -> each frame behind the two before it [f, 3C, h, w], and the last two."""
    row = torch.cat([past, x])
    return torch.cat([row[:-2], row[1:-1], row[2:]], dim=1), row[-2:].clone()
