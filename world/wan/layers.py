"""The layers of the Wan VAE, and the tape on which its causal convolutions keep their last frames."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Tape:
    """The state while it is used: read and written once by each causal convolution, in order."""

    def __init__(self, state: State) -> None:
        self.is_first = not state
        self._past = iter(state)
        self._next: list[Tensor] = []

    def read(self) -> Tensor:
        """What the same convolution wrote at the last boundary."""
        return next(self._past)

    def write(self, frames: Tensor) -> None:
        # a view would keep all the frames of this call alive
        self._next.append(frames.clone())

    def state(self) -> State:
        """The state at the boundary after this call."""
        return tuple(self._next)


class Norm(nn.Module):
    """Unit length over the channels, times sqrt(C) and a gain."""

    def __init__(self, channels: int, axes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * math.sqrt(x.shape[1]) * self.gamma


class CausalConv(nn.Conv3d):
    """A 3x3x3 convolution that sees its frame and the two before it."""

    def __init__(self, inner: int, outer: int, kernel: tuple[int, int, int] = (3, 3, 3)) -> None:
        super().__init__(inner, outer, kernel, padding=(0, kernel[1] // 2, kernel[2] // 2))

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        past = torch.zeros_like(x[:, :, :1]).repeat(1, 1, 2, 1, 1) if tape.is_first else tape.read()
        x = torch.cat([past, x], dim=2)
        tape.write(x[:, :, -2:])
        return super().forward(x)


class ResBlock(nn.Module):
    """Norm, SiLU, convolution, twice, around a shortcut."""

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


class Attention(nn.Module):
    """Attention of a frame to itself, one head over all channels."""

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
    """Twice the height and width, half the channels and, with `doubles_time`, two frames for each."""

    def __init__(self, channels: int, doubles_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels // 2, 3, padding=1)})
        self.time_conv = CausalConv(channels, 2 * channels, (3, 1, 1)) if doubles_time else None

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        if self.time_conv is not None:
            x = self._double(x, tape)
        frames = F.interpolate(x.transpose(1, 2).flatten(0, 1), scale_factor=2.0, mode="nearest")
        return self.resample["1"](frames).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)

    def _double(self, x: Tensor, tape: Tape) -> Tensor:
        if tape.is_first:
            # the first latent frame stays one frame, and later ones do not see it here
            tape.write(torch.zeros_like(x[:, :, :1]).repeat(1, 1, 2, 1, 1))
            return x
        even_odd = self.time_conv(x, tape).unflatten(1, (2, x.shape[1]))
        return even_odd.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)


class Down(nn.Module):
    """Half the height and width and, with `halves_time`, one frame for two."""

    def __init__(self, channels: int, halves_time: bool) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels, 3, stride=2)})
        self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1)) if halves_time else None

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        frames = F.pad(x.transpose(1, 2).flatten(0, 1), (0, 1, 0, 1))
        x = self.resample["1"](frames).unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
        return x if self.time_conv is None else self._halve(x, tape)

    def _halve(self, x: Tensor, tape: Tape) -> Tensor:
        y = x if tape.is_first else self.time_conv(torch.cat([tape.read(), x], dim=2))
        tape.write(x[:, :, -1:])
        return y
