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
    9 taps. weight: [steps * O, I, 3, 3]; each frame becomes `steps` frames.
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
        """x [n, I, h, w] -> [n * steps, O, 2h, 2w], channels last."""
        y = F.conv2d(x, self.weight, padding=1).permute(0, 2, 3, 1)  # row i has the rows 2i - 1 and 2i of the result
        n, rows, columns = y.shape[:3]
        y = y.view(n, rows, columns, self.steps, 2, 2, -1).permute(0, 3, 1, 4, 2, 5, 6)
        y = y.reshape(n * self.steps, 2 * rows, 2 * columns, -1)
        return y[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)


class CausalTaps(nn.Module):
    """A causal convolution over three frames, without its bias: one 2D convolution whose outputs are the three taps.

    What a frame adds to itself and to the two frames after it is made at once and added up afterwards. So a GPU has
    three times the columns to multiply with, and what a stream has to remember are two frames of sums.
    weight: [O, I, 3, k, k].
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
            sums = sums + F.pad(past, (0, 0, 0, 0, 0, 0, 0, len(x)))
        return sums[:-2], sums[-2:].clone()

    def nothing(self, x: Tensor) -> Tensor:
        """What frames of zeros, of the size of those in x, add to the next two."""
        return channels_last(x.new_zeros(2, len(self.weight) // 3, *x.shape[2:]))


def _later(frames: Tensor, count: int) -> Tensor:
    """The frames, moved by `count` into a row that is two frames longer."""
    return F.pad(frames, (0, 0, 0, 0, 0, 0, count, 2 - count))


class CausalStack(nn.Module):
    """A causal convolution over three frames, without its bias: one 3D convolution, channels last.

    weight: [O, I, 3, k, k].
    """

    weight: Tensor

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        weight = weight.to(dtype).contiguous(memory_format=torch.channels_last_3d)
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [f, I, h, w] -> [f, O, h, w], and the last two frames: [2, I, h, w].

        past: the two frames before them; None at the start of a stream.
        """
        stack = torch.cat([torch.zeros_like(x[:1]).repeat(2, 1, 1, 1) if past is None else past, x])
        side = self.weight.shape[-1] // 2
        y = F.conv3d(stack.transpose(0, 1)[None], self.weight, padding=(0, side, side))
        return y[0].transpose(0, 1), stack[-2:].clone()

    def nothing(self, x: Tensor) -> Tensor:
        """Two frames of zeros, of the size of those in x."""
        return channels_last(x.new_zeros(2, *x.shape[1:]))


class FewOutputs(nn.Module):
    """A 3x3 convolution to a few channels: one product with all nine taps, which are added up afterwards.

    Kernels for convolutions compute 32 or 64 output channels where there are 3; here 27 of 32 columns are used.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self._channels = len(weight)
        taps = weight.permute(2, 3, 0, 1).flatten(0, 2)
        taps = F.pad(taps, (0, 0, 0, -len(taps) % 8))  # rows of whole 16 bytes
        self.register_buffer("weight", taps[:, :, None, None].to(dtype), persistent=False)
        self.register_buffer("bias", bias.to(dtype)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, I, h, w] -> [n, O, h, w]."""
        height, width = x.shape[2:]
        taps = F.pad(F.conv2d(x, self.weight), (1, 1, 1, 1)).split(self._channels, dim=1)
        total = self.bias
        for tap, part in enumerate(taps[:9]):
            row, column = divmod(tap, 3)
            total = total + part[:, :, row : row + height, column : column + width]
        return total
