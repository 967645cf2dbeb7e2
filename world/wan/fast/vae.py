"""The Wan VAE's decoder for a GPU: frames channels last, and causal convolutions as 2D ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.diffusion.pixels import to_uint8
from world.wan.fast.convolve import CausalTaps, Enlarge, channels_last

State = tuple[Tensor, ...]
Weights = Mapping[str, Tensor]


class Past:
    """What the causal convolutions remember, during one call: each takes its own entry and leaves the next one.

    is_first: whether the call is the first of a stream; there is nothing to take then.
    """

    def __init__(self, state: State) -> None:
        self.is_first = len(state) == 0  # a compiler cannot follow `not state`
        self._state = state
        self.newest: list[Tensor] = []

    def take(self) -> Tensor | None:
        """What the same convolution left in the last call; None in the first call of a stream."""
        return None if self.is_first else self._state[len(self.newest)]


class Causal(nn.Module):
    """A causal convolution over three frames with its bias."""

    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.taps = CausalTaps(weights[f"{name}.weight"], dtype)
        self.register_buffer("bias", weights[f"{name}.bias"].to(dtype)[:, None, None], persistent=False)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        y, newest = self.taps(x, past.take())
        past.newest.append(newest)
        return y + self.bias


class Pointwise(nn.Module):
    """A 1x1 convolution, whichever number of axes its released weight has."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        weight = weights[f"{name}.weight"].to(dtype)
        self.register_buffer("weight", weight.reshape(*weight.shape[:2], 1, 1), persistent=False)
        self.register_buffer("bias", weights[f"{name}.bias"].to(dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias)


class UnitNorm(nn.Module):
    """Normalise to unit length over the channels, then times sqrt(C) and a learned gain; in float32."""

    gain: Tensor

    def __init__(self, weights: Weights, name: str) -> None:
        super().__init__()
        gain = weights[f"{name}.gamma"].float().flatten()
        self.register_buffer("gain", (gain * math.sqrt(len(gain)))[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, C, h, w] -> the same, float32."""
        wide = x.float()
        return wide * wide.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt() * self.gain


class NormedResidual(nn.Module):
    """Norm, SiLU and causal convolution, twice, and a shortcut around them."""

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.norms = nn.ModuleList(UnitNorm(weights, f"{name}.residual.{i}") for i in (0, 3))
        self.convolutions = nn.ModuleList(Causal(weights, f"{name}.residual.{i}", dtype) for i in (2, 6))
        widens = f"{name}.shortcut.weight" in weights
        self.shortcut = Pointwise(weights, f"{name}.shortcut", dtype) if widens else nn.Identity()

    def forward(self, x: Tensor, past: Past) -> Tensor:
        y = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            y = convolution(F.silu(norm(y)).to(x.dtype), past)
        return y + self.shortcut(x)


class PictureAttention(nn.Module):
    """Self-attention within each frame, with one head over all channels."""

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm = UnitNorm(weights, f"{name}.norm")
        self.to_qkv = Pointwise(weights, f"{name}.to_qkv", dtype)
        self.proj = Pointwise(weights, f"{name}.proj", dtype)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        pixels = self.to_qkv(self.norm(x).to(x.dtype)).flatten(2).transpose(1, 2)
        q, k, v = pixels.unsqueeze(1).chunk(3, dim=-1)
        y = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.proj(channels_last(y))


class Rise(nn.Module):
    """Doubles height and width, halves the channels and, where it has a `time_conv`, makes two frames of each."""

    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        doubles_time = f"{name}.time_conv.weight" in weights
        self.time_conv = Causal(weights, f"{name}.time_conv", dtype) if doubles_time else None
        self.enlarge = Enlarge(weights[f"{name}.resample.1.weight"], 1, dtype)
        bias = weights[f"{name}.resample.1.bias"].to(dtype)
        self.register_buffer("bias", bias[:, None, None], persistent=False)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        if self.time_conv is not None:
            x = self._double_time(self.time_conv, x, past)
        return self.enlarge(x) + self.bias

    def _double_time(self, convolution: Causal, x: Tensor, past: Past) -> Tensor:
        """x [f, C, h, w] -> [2f, C, h, w], except that a stream's first latent frame stays one frame."""
        f, channels, height, width = x.shape
        if past.is_first:
            # later frames do not see the first one here
            past.newest.append(convolution.taps.nothing(x))
            return x
        even_odd = convolution(x, past).permute(0, 2, 3, 1).unflatten(3, (2, channels))
        return even_odd.permute(0, 3, 1, 2, 4).reshape(2 * f, height, width, channels).permute(0, 3, 1, 2)


class FastVAE(nn.Module):
    """The decoder of the Wan VAE as one function of latent frames and a state, what each causal convolution remembers.

    weights: those of the plain WanVAE by their released names, and its `mean` and `std`.
    """

    dropped = 0  # pixel frames at the start of a stream that are not shown
    mean: Tensor
    std: Tensor

    def __init__(self, weights: Weights, dtype: torch.dtype) -> None:
        super().__init__()
        for name in ("mean", "std"):
            self.register_buffer(name, weights[name].float().view(1, -1, 1, 1), persistent=False)
        self.latent = Pointwise(weights, "conv2", dtype)
        self.entry = Causal(weights, "decoder.conv1", dtype)
        self.levels = nn.ModuleList(_levels(weights, dtype))
        self.norm = UnitNorm(weights, "decoder.head.0")
        self.exit = Causal(weights, "decoder.head.2", dtype)

    def forward(self, latents: Tensor, state: State) -> tuple[Tensor, State]:
        """latents [f, C, h, w] -> unclamped pixels [n, 3, Y, X], about [-1, 1], and the next state.

        At the start of a stream f is 1 and gives one pixel frame; later each latent frame gives four.
        """
        past = Past(state)
        dtype = self.latent.weight.dtype
        x = self.latent(channels_last((latents.float() * self.std + self.mean).to(dtype)))
        x = self.entry(x, past)
        for level in self.levels:
            x = level(x, past)
        x = self.exit(F.silu(self.norm(x)).to(dtype), past)
        return x, tuple(past.newest)

    def shown(self, raw: Tensor) -> Tensor:
        """raw [n, 3, Y, X] -> frames uint8 [n, Y, X, 3]."""
        return to_uint8(raw * 0.5 + 0.5)


def _levels(weights: Weights, dtype: torch.dtype) -> list[nn.Module]:
    """What lies between the first and the last convolution, in order, as the names of the weights tell it."""
    levels: list[nn.Module] = [
        NormedResidual(weights, "decoder.middle.0", dtype),
        PictureAttention(weights, "decoder.middle.1", dtype),
        NormedResidual(weights, "decoder.middle.2", dtype),
    ]
    numbers = {int(name.split(".")[2]) for name in weights if name.startswith("decoder.upsamples.")}
    for number in sorted(numbers):
        name = f"decoder.upsamples.{number}"
        rises = f"{name}.resample.1.weight" in weights
        levels.append(Rise(weights, name, dtype) if rises else NormedResidual(weights, name, dtype))
    return levels
