"""Convolutions over frames that lie channels last, rewritten so that a GPU moves and multiplies less.

A weight comes as the released file has it and is rewritten once, in float32; the results are the same in exact
arithmetic. frames: [n, C, h, w], in memory [n, h, w, C].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# [phase, tap, row of the 3x3 kernel]: which rows of the kernel meet the same row of the smaller picture
_FOLD = torch.tensor([[[1.0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])


def channels_last(x: Tensor) -> Tensor:
    """x [n, C, h, w] with its channels next to each other in memory."""
    return x.contiguous(memory_format=torch.channels_last)


class Enlarge(nn.Module):
    """Doubles height and width by nearest neighbour, then convolves 3x3: as one 2x2 convolution of the small picture.

    An output pixel sees 2x2 different pixels of the small picture, and not 3x3: four phases of 4 taps take the place of
    9 taps. They come out side by side, for `Operations.weave`.
    weight: [steps * O, I, 3, 3]; each frame becomes `steps` frames.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, steps: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.steps = steps
        fold = _FOLD.to(weight.device)
        phases = weight.float().unflatten(0, (steps, -1))
        folded = torch.einsum("aur,bvs,toirs->taboiuv", fold, fold, phases).flatten(0, 3)
        self.register_buffer("weight", channels_last(folded.to(dtype)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, I, h, w] -> phases [n, steps * 4 * O, h + 1, w + 1]."""
        return F.conv2d(x, self.weight, padding=1)


class CausalStack(nn.Module):
    """A causal convolution over three frames, without its bias: a 2D one of each frame stacked on the two before it.

    Where pictures are large, which takes longest, a GPU does this fastest: 96 channels of 4x480x832 in 1.53 ms on an
    H100, against 1.84 with the taps as outputs and 3.28 as a 3D convolution. weight: [O, I, 3, k, k].
    """

    weight: Tensor

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        taps = weight.transpose(1, 2).flatten(1, 2)
        self.register_buffer("weight", channels_last(taps.to(dtype)), persistent=False)

    def forward(self, stacked: Tensor) -> Tensor:
        """stacked [f, 3 * I, h, w], the oldest frame first -> [f, O, h, w]."""
        return F.conv2d(stacked, self.weight, padding=self.weight.shape[-1] // 2)


class CausalSums(nn.Module):
    """A causal convolution over three frames, without its bias: a 2D one whose outputs are the three taps.

    What a frame adds to itself and to the two frames after it is made at once and added up afterwards. What a stream
    has to remember are two frames of sums, which is little where O is small. weight: [O, I, 3, k, k].
    """

    weight: Tensor

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        taps = weight.permute(2, 0, 1, 3, 4).flatten(0, 1)
        self.register_buffer("weight", channels_last(taps.to(dtype)), persistent=False)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [f, I, h, w] -> [f, O, h, w], and what these frames add to the next two: [2, O, h, w].

        past: what the frames before them add to the first two; None at the start of a stream.
        """
        oldest, middle, newest = F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2).chunk(3, dim=1)
        sums = _later(newest, 0) + _later(middle, 1) + _later(oldest, 2)
        if past is not None:
            sums[:2] += past
        return sums[:-2], sums[-2:].clone()


def _later(frames: Tensor, count: int) -> Tensor:
    """The frames, moved by `count` into a row that is two frames longer."""
    return F.pad(frames, (0, 0, 0, 0, 0, 0, count, 2 - count))
