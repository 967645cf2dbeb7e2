"""The layers of the Wan VAE, and the tape that carries the last frames of its causal convolutions from call to call."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Tape:
    """A stream's state during one call. Each causal convolution reads and writes its own entry once, in a fixed order.

    is_first: whether the call is the first of a stream; there is nothing to read then.
    """

    def __init__(self, state: State) -> None:
        self.is_first = not state
        self._past = iter(state)
        self._next: list[Tensor] = []

    def read(self) -> Tensor:
        """The frames that the same convolution wrote in the last call."""
        return next(self._past)

    def write(self, frames: Tensor) -> None:
        """Keep `frames` for the next call."""
        # a view would keep all the frames of this call alive
        self._next.append(frames.clone())

    def state(self) -> State:
        """The state after this call."""
        return tuple(self._next)


class Norm(nn.Module):
    """Normalise to unit length over the channels, then times sqrt(C) and a learned gain. axes: those behind C."""

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * math.sqrt(x.shape[1]) * self.gamma


class CausalConv(nn.Module):
    """A convolution that sees a frame and the two before it; at the start of a stream, zeros in their place."""

    def __init__(self, inner: int, outer: int, kernel: tuple[int, int, int] = (3, 3, 3)) -> None:
        super().__init__()
        conv = nn.Conv3d(inner, outer, kernel)
        self.weight, self.bias = conv.weight, conv.bias
        self._padding = (0, kernel[1] // 2, kernel[2] // 2)

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        """x [1, C, f, h, w] -> [1, C', f, h, w]."""
        past = torch.zeros_like(x[:, :, :1]).repeat(1, 1, 2, 1, 1) if tape.is_first else tape.read()
        x = torch.cat([past, x], dim=2)
        tape.write(x[:, :, -2:])
        return F.conv3d(x, self.weight, self.bias, padding=self._padding)


class ResBlock(nn.Module):
    """Norm, SiLU and convolution, twice, and a shortcut around them."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.residual = nn.ModuleDict(
            {"0": Norm(inner, 3), "2": CausalConv(inner, outer), "3": Norm(outer, 3), "6": CausalConv(outer, outer)}
        )
        self.shortcut = nn.Conv3d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        y = self.residual["2"](F.silu(self.residual["0"](x)), tape)
        y = self.residual["6"](F.silu(self.residual["3"](y)), tape)
        return y + self.shortcut(x)


class FrameAttention(nn.Module):
    """Self-attention within each frame, with one head over all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels, 2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        frames = x.transpose(1, 2).flatten(0, 1)
        q, k, v = self.to_qkv(self.norm(frames)).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, dim=-1)
        y = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(frames.shape)
        return x + self.proj(y).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


class Up(nn.Module):
    """Doubles height and width, halves the channels and, with `doubles_time`, makes two frames of each."""

    def __init__(self, channels: int, doubles_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels // 2, 3, padding=1)})
        self.time_conv = CausalConv(channels, 2 * channels, (3, 1, 1)) if doubles_time else None

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        if self.time_conv is not None:
            x = _double_time(self.time_conv, x, tape)
        frames = F.interpolate(x.transpose(1, 2).flatten(0, 1), scale_factor=2.0, mode="nearest")
        return self.resample["1"](frames).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)


def _double_time(conv: CausalConv, x: Tensor, tape: Tape) -> Tensor:
    """x [1, C, f, h, w] -> [1, C, 2f, h, w], except that a stream's first latent frame stays one frame."""
    if tape.is_first:
        # later frames do not see the first one here
        tape.write(torch.zeros_like(x[:, :, :1]).repeat(1, 1, 2, 1, 1))
        return x
    even_odd = conv(x, tape).unflatten(1, (2, x.shape[1]))
    return even_odd.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)


class Down(nn.Module):
    """Halves height and width and, with `halves_time`, makes one frame of two."""

    def __init__(self, channels: int, halves_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels, 3, stride=2)})
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if halves_time else None

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        frames = F.pad(x.transpose(1, 2).flatten(0, 1), (0, 1, 0, 1))
        x = self.resample["1"](frames).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
        if self.time_conv is None:
            return x
        y = x if tape.is_first else self.time_conv(torch.cat([tape.read(), x], dim=2))
        tape.write(x[:, :, -1:])
        return y
