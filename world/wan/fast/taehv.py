"""TAEHV's decoder for a GPU: channels last, growing and enlarging in one small convolution."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.diffusion.pixels import to_uint8
from world.wan.fast.convolve import Enlarge, channels_last

State = tuple[Tensor, ...]
Weights = Mapping[str, Tensor]

STARTS = (1, 3, 9, 15, 22)  # in the released numbering: first convolution, three levels, last convolution
BLOCKS = 3  # of each level
STEPS = (1, 2, 2)  # how many frames each level makes of one


class Convolution(nn.Module):
    """A 3x3 convolution and, with `rectified`, what is below zero cut off; before that, `skip` may be added."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype, rectified: bool = True) -> None:
        super().__init__()
        self.rectified = rectified
        self.register_buffer("weight", channels_last(weights[f"{name}.weight"].to(dtype)), persistent=False)
        self.register_buffer("bias", weights[f"{name}.bias"].to(dtype), persistent=False)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        y = F.conv2d(x, self.weight, self.bias, padding=1)
        if skip is not None:
            y = y + skip
        return F.relu(y) if self.rectified else y


class Remembering(nn.Module):
    """A residual block that sees its input and that of one step ago."""

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.first, self.second, self.third = (
            Convolution(weights, f"{name}.conv.{number}", dtype) for number in (0, 2, 4)
        )

    def forward(self, x: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """x [n, C, h, w], last [1, C, h, w] -> its output, and what is `last` for the next call."""
        before = last if len(x) == 1 else torch.cat([last, x[:-1]])
        y = self.third(self.second(self.first(torch.cat([x, before], dim=1))), skip=x)
        return y, x if len(x) == 1 else x[-1:].clone()


class Level(nn.Module):
    """Three blocks, then more frames of twice the height and width."""

    def __init__(self, weights: Weights, start: int, steps: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Remembering(weights, f"decoder.{start + i}", dtype) for i in range(BLOCKS))
        # nothing bends between growing (1x1) and the convolution after enlarging: their product is one kernel
        grow = weights[f"decoder.{start + 4}.conv.weight"].float()[:, :, 0, 0].unflatten(0, (steps, -1))
        after = weights[f"decoder.{start + 5}.weight"].float()
        self.enlarge = Enlarge(torch.einsum("omyx,tmi->toiyx", after, grow).flatten(0, 1), steps, dtype)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, list[Tensor]]:
        """x [n, C, h, w] -> [n * steps, C', 2h, 2w], and the next state of its blocks."""
        newest = []
        for i, block in enumerate(self.blocks):
            x, kept = block(x, state[i] if state else torch.zeros_like(x[:1]))
            newest.append(kept)
        return self.enlarge(x), newest


class FastTAEHV(nn.Module):
    """The decoder of TAEHV as one function of latent frames and a state, the input of each block one step ago.

    weights: those of the plain TAEHV by their released names.
    """

    dropped = 3  # pixel frames at the start of a stream that belong before the first latent frame

    def __init__(self, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__()
        first, *levels, last = STARTS
        self.entry = Convolution(weights, f"decoder.{first}", dtype)
        self.levels = nn.ModuleList(Level(weights, *level, dtype) for level in zip(levels, STEPS, strict=True))
        self.exit = Convolution(weights, f"decoder.{last}", dtype, rectified=False)

    def forward(self, latents: Tensor, state: State) -> tuple[Tensor, State]:
        """latents [f, C, h, w] -> unclamped pixels [4 f, 3, Y, X], about [0, 1], and the next state."""
        squashed = torch.tanh(latents.to(self.entry.weight.dtype) / 3) * 3
        x = self.entry(channels_last(squashed))
        newest: list[Tensor] = []
        for level in self.levels:
            x, kept = level(x, state[len(newest) : len(newest) + BLOCKS])
            newest += kept
        return self.exit(F.relu(x)), tuple(newest)

    def shown(self, raw: Tensor) -> Tensor:
        """raw [n, 3, Y, X] -> frames uint8 [n, Y, X, 3]."""
        return to_uint8(raw)
