"""TAEHV's decoder for a GPU: channels last, growing and enlarging in one small convolution."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.diffusion.pixels import to_uint8
from world.wan.fast.convolve import Enlarge, channels_last
from world.wan.fast.operations import Operations

State = tuple[Tensor, ...]
Weights = Mapping[str, Tensor]

STARTS = (1, 3, 9, 15, 22)  # in the released numbering: first convolution, three levels, last convolution
BLOCKS = 3  # of each level
STEPS = (1, 2, 2)  # how many frames each level makes of one


class Convolution(nn.Module):
    """A 3x3 convolution to which something may be added; what is below zero is cut off."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("weight", channels_last(weight.to(dtype)), persistent=False)
        self.register_buffer("bias", bias.to(dtype), persistent=False)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if x.is_cuda:
            one = (1, 1)
            if skip is None:
                return torch.cudnn_convolution_relu(x, self.weight, self.bias, one, one, one, 1)
            return torch.cudnn_convolution_add_relu(x, self.weight, skip, 1.0, self.bias, one, one, one, 1)
        y = F.conv2d(x, self.weight, self.bias, padding=1)
        return F.relu(y if skip is None else y + skip)


class Remembering(nn.Module):
    """A residual block that sees its input and that of one step ago."""

    now: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        # two convolutions whose sum is the first one, so that its two inputs need not be copied together
        now, before = weights[f"{name}.conv.0.weight"].chunk(2, dim=1)
        self.register_buffer("now", channels_last(now.to(dtype)), persistent=False)
        self.before = Convolution(before, weights[f"{name}.conv.0.bias"], dtype)
        self.second, self.third = (_convolution(weights, f"{name}.conv.{number}", dtype) for number in (2, 4))

    def forward(self, x: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """x [n, C, h, w], last [1, C, h, w] -> its output, and what is `last` for the next call."""
        before = last if len(x) == 1 else torch.cat([last, x[:-1]])
        y = self.before(before, skip=F.conv2d(x, self.now, padding=1))
        return self.third(self.second(y), skip=x), x if len(x) == 1 else x[-1:].clone()


class Level(nn.Module):
    """Three blocks, then more frames of twice the height and width, as phases."""

    def __init__(self, weights: Weights, start: int, steps: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Remembering(weights, f"decoder.{start + i}", dtype) for i in range(BLOCKS))
        # nothing bends between growing (1x1) and the convolution after enlarging: their product is one kernel
        grow = weights[f"decoder.{start + 4}.conv.weight"].float()[:, :, 0, 0].unflatten(0, (steps, -1))
        after = weights[f"decoder.{start + 5}.weight"].float()
        self.enlarge = Enlarge(torch.einsum("omyx,tmi->toiyx", after, grow).flatten(0, 1), steps, dtype)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, list[Tensor]]:
        """x [n, C, h, w] -> phases [n, steps * 4 * C', h + 1, w + 1], and the next state of its blocks."""
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
    replays = True  # its many small kernels take less time than their launches
    weight: Tensor
    bias: Tensor

    def __init__(self, weights: Weights, dtype: torch.dtype, operations: Operations) -> None:
        super().__init__()
        self._operations = operations
        first, *levels, last = STARTS
        self.entry = _convolution(weights, f"decoder.{first}", dtype)
        self.levels = nn.ModuleList(Level(weights, *level, dtype) for level in zip(levels, STEPS, strict=True))
        weight, bias = (weights[f"decoder.{last}.{kind}"].to(dtype) for kind in ("weight", "bias"))
        self.register_buffer("weight", F.pad(weight.permute(2, 3, 1, 0), (0, 13)).contiguous(), persistent=False)
        self.register_buffer("bias", F.pad(bias, (0, 13)), persistent=False)

    def forward(self, latents: Tensor, state: State) -> tuple[Tensor, State]:
        """latents [f, C, h, w] -> unclamped pixels [4 f, 3, Y, X], about [0, 1], and the next state."""
        squashed = torch.tanh(latents.to(self.weight.dtype) / 3) * 3
        x = self.entry(channels_last(squashed))
        newest: list[Tensor] = []
        for i, level in enumerate(self.levels):
            x = x if i == 0 else self._operations.weave(x, STEPS[i - 1], None)
            x, kept = level(x, state[len(newest) : len(newest) + BLOCKS])
            newest += kept
        return self._operations.finish(x, STEPS[-1], self.weight, self.bias), tuple(newest)

    def shown(self, raw: Tensor) -> Tensor:
        """raw [n, 3, Y, X] -> frames uint8 [n, Y, X, 3]."""
        return to_uint8(raw)


def _convolution(weights: Weights, name: str, dtype: torch.dtype) -> Convolution:
    return Convolution(weights[f"{name}.weight"], weights[f"{name}.bias"], dtype)
