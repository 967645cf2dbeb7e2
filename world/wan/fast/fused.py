"""The operations between convolutions as Triton kernels: each reads its frames once and writes them once.

Needs Triton, which comes with torch for NVIDIA GPUs on Linux, and a C compiler. A program has some pixels of one frame
and all their channels; what a loop writes here as one line happens to all of them at once.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from world.wan.fast.convolve import channels_last

ELEMENTS = 4096  # of a program: pixels times channels
TILE = (8, 16)  # pixels of a program that convolves: rows, columns


@triton.jit
def _cell(
    frame: tl.tensor, y: tl.tensor, x: tl.tensor, rows: tl.tensor, columns: tl.tensor, steps: tl.constexpr
) -> tl.tensor:
    """Where the phase of a pixel lies, in rows of channels: cell i has the rows 2i - 1 and 2i of the picture."""
    i = (frame // steps) * rows + (y + 1) // 2
    j = i.to(tl.int64) * columns + (x + 1) // 2
    return (j * steps + frame % steps) * 4 + (y + 1) % 2 * 2 + (x + 1) % 2


@triton.jit(do_not_specialize=["height", "width"])
def _weave(
    phases: tl.tensor, bias: tl.tensor, out: tl.tensor, height: tl.tensor, width: tl.tensor,
    C: tl.constexpr, steps: tl.constexpr, has_bias: tl.constexpr, count: tl.constexpr, wide: tl.constexpr,
) -> None:  # fmt: skip
    frame = tl.program_id(1)
    pixel = tl.program_id(0) * count + tl.arange(0, count)
    channel = tl.arange(0, wide)
    inside = (pixel < height * width)[:, None] & (channel < C)[None, :]
    row = _cell(frame, pixel // width, pixel % width, height // 2 + 1, width // 2 + 1, steps)
    value = tl.load(phases + row[:, None] * C + channel[None, :], mask=inside, other=0.0).to(tl.float32)
    if has_bias:
        value += tl.load(bias + channel, mask=channel < C, other=0.0).to(tl.float32)[None, :]
    to = frame.to(tl.int64) * height * width + pixel
    tl.store(out + to[:, None] * C + channel[None, :], value.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["height", "width"])
def _finish(
    phases: tl.tensor, weight: tl.tensor, bias: tl.tensor, out: tl.tensor, height: tl.tensor, width: tl.tensor,
    C: tl.constexpr, steps: tl.constexpr, tile_y: tl.constexpr, tile_x: tl.constexpr, wide: tl.constexpr,
) -> None:  # fmt: skip
    frame = tl.program_id(1)
    # square tiles: neighbours above and below are read from the same near cache as those beside
    across = tl.cdiv(width, tile_x)
    place = tl.arange(0, tile_y * tile_x)
    top = tl.program_id(0) // across * tile_y + place // tile_x
    left = tl.program_id(0) % across * tile_x + place % tile_x
    channel = tl.arange(0, wide)
    column = tl.arange(0, 16)
    total = tl.zeros((tile_y * tile_x, 16), tl.float32)
    for tap in tl.static_range(9):
        y = top + (tap // 3 - 1)
        x = left + (tap % 3 - 1)
        seen = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        row = _cell(frame, y, x, height // 2 + 1, width // 2 + 1, steps)
        inside = seen[:, None] & (channel < C)[None, :]
        value = tl.load(phases + row[:, None] * C + channel[None, :], mask=inside, other=0.0)
        kernel = tl.load(
            weight + (tap * C + channel)[:, None] * 16 + column[None, :], mask=(channel < C)[:, None], other=0.0
        )
        value = tl.maximum(value, 0.0).to(kernel.dtype)
        total = tl.dot(value, kernel, total, input_precision="ieee")
    total += tl.load(bias + column).to(tl.float32)[None, :]
    to = frame.to(tl.int64) * height * width + top * width + left
    inside = ((top < height) & (left < width))[:, None] & (column < 3)[None, :]
    tl.store(out + to[:, None] * 3 + column[None, :], total, mask=inside)


@triton.jit(do_not_specialize=["frames", "pixels"])
def _normed(
    raw: tl.tensor, bias: tl.tensor, skip: tl.tensor, gain: tl.tensor, past: tl.tensor,
    value: tl.tensor, made: tl.tensor, newest: tl.tensor, frames: tl.tensor, pixels: tl.tensor,
    C: tl.constexpr, taps: tl.constexpr, has_bias: tl.constexpr, has_skip: tl.constexpr,
    count: tl.constexpr, wide: tl.constexpr,
) -> None:  # fmt: skip
    row = tl.program_id(1)  # of frames: first those of `past`, then those of `raw`
    pixel = (tl.program_id(0) * count + tl.arange(0, count)).to(tl.int64)
    channel = tl.arange(0, wide)
    real = channel < C
    inside = (pixel < pixels)[:, None] & real[None, :]
    at = pixel[:, None] * C + channel[None, :]
    if row < taps - 1:
        y = tl.load(past + row.to(tl.int64) * pixels * C + at, mask=inside, other=0.0).to(tl.float32)
    else:
        at_frame = (row - (taps - 1)).to(tl.int64) * pixels * C + at
        x = tl.load(raw + at_frame, mask=inside, other=0.0).to(tl.float32)
        if has_bias:
            x += tl.load(bias + channel, mask=real, other=0.0).to(tl.float32)[None, :]
        if has_skip:
            x += tl.load(skip + at_frame, mask=inside, other=0.0).to(tl.float32)
            tl.store(value + at_frame, x.to(value.dtype.element_ty), mask=inside)
        scale = 1.0 / tl.sqrt(tl.maximum(tl.sum(x * x, 1), 1e-24))
        y = x * scale[:, None] * tl.load(gain + channel, mask=real, other=0.0)[None, :]
        y = y / (1.0 + tl.exp(-y))
    y = y.to(made.dtype.element_ty)
    for tap in tl.static_range(taps):
        frame = row - tap  # the one that has this frame as its tap
        if (frame >= 0) & (frame < frames):
            to = (frame.to(tl.int64) * pixels + pixel) * taps + tap
            tl.store(made + to[:, None] * C + channel[None, :], y, mask=inside)
    if row >= frames:
        tl.store(newest + (row - frames).to(tl.int64) * pixels * C + at, y, mask=inside)


class Fused:
    """Implements Operations on a GPU."""

    def weave(self, phases: Tensor, steps: int, bias: Tensor | None) -> Tensor:
        """As Operations.weave."""
        n, channels, height, width = _enlarged(phases, steps)
        out = _frames(phases, n, channels, height, width)
        wide = triton.next_power_of_2(channels)
        count = max(1, ELEMENTS // wide)
        grid = triton.cdiv(height * width, count), n
        given = channels_last(phases), phases if bias is None else bias
        _weave[grid](*given, out, height, width, channels, steps, bias is not None, count, wide)
        return out

    def finish(self, phases: Tensor, steps: int, weight: Tensor, bias: Tensor) -> Tensor:
        """As Operations.finish."""
        n, channels, height, width = _enlarged(phases, steps)
        out = _frames(phases, n, 3, height, width, torch.float32)
        tile_y, tile_x = TILE
        grid = triton.cdiv(height, tile_y) * triton.cdiv(width, tile_x), n
        wide = max(16, triton.next_power_of_2(channels))
        _finish[grid](channels_last(phases), weight, bias, out, height, width, channels, steps, *TILE, wide)
        return out

    def normed(
        self, raw: Tensor, bias: Tensor | None, skip: Tensor | None, gain: Tensor, past: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As Operations.normed; without `skip` the first result is not made: it is `raw`."""
        raw = channels_last(raw)
        f, channels, height, width = raw.shape
        taps = 1 if past is None else 3
        value = raw if skip is None else torch.empty_like(raw)
        made = _frames(raw, f, taps * channels, height, width)
        newest = None if past is None else _frames(raw, 2, channels, height, width)
        wide = triton.next_power_of_2(channels)
        count = max(1, ELEMENTS // wide)
        grid = triton.cdiv(height * width, count), f + taps - 1
        skip, past = (None if x is None else channels_last(x) for x in (skip, past))
        tensors = (raw, bias, skip, gain, past, value, made, newest)
        given = [raw if tensor is None else tensor for tensor in tensors]  # no kernel takes None
        has = bias is not None, skip is not None
        _normed[grid](*given, f, height * width, channels, taps, *has, count, wide)
        return value, made, newest


def _enlarged(phases: Tensor, steps: int) -> tuple[int, int, int, int]:
    """The shape of the frames that phases are woven into."""
    n, channels, rows, columns = phases.shape
    return n * steps, channels // (4 * steps), 2 * (rows - 1), 2 * (columns - 1)


def _frames(like: Tensor, n: int, c: int, h: int, w: int, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for frames [n, C, h, w], channels last."""
    return torch.empty(n, h, w, c, device=like.device, dtype=dtype or like.dtype).permute(0, 3, 1, 2)
