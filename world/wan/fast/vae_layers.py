"""The parts of the Wan VAE's decoder for a GPU, each a function of frames and of what it remembers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.wan.fast.convolve import CausalStack, CausalSums, Enlarge, channels_last
from world.wan.fast.operations import Operations, stack, unit_norm

State = tuple[Tensor, ...]
Weights = Mapping[str, Tensor]


class Past:
    """What the causal convolutions remember, during one call: each takes its own entry and leaves the next one.

    is_first: whether the call is the first of a stream; there is nothing to take then.
    """

    def __init__(self, state: State) -> None:
        self.is_first = not state
        self._state = state
        self.newest: list[Tensor] = []

    def take(self) -> Tensor | None:
        """What the same convolution left in the last call; None in the first call of a stream."""
        return None if self.is_first else self._state[len(self.newest)]

    def frames(self, x: Tensor) -> Tensor:
        """The two frames before x [f, C, h, w] for the same convolution: zeros in the first call of a stream."""
        return channels_last(x.new_zeros(2, *x.shape[1:])) if self.is_first else self._state[len(self.newest)]


class Sum(NamedTuple):
    """raw + bias [C] + skip: frames [f, C, h, w] that the next norm adds up on its way."""

    raw: Tensor
    bias: Tensor | None = None
    skip: Tensor | None = None

    def value(self) -> Tensor:
        """The sum itself. It takes the place of `raw`."""
        x = self.raw if self.bias is None else self.raw.add_(self.bias[:, None, None])
        return x if self.skip is None else x.add_(self.skip)


class Causal(nn.Module):
    """A causal convolution over three frames; its bias is for the caller to add."""

    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.convolution = CausalStack(weights[f"{name}.weight"], dtype)
        self.register_buffer("bias", weights[f"{name}.bias"].to(dtype), persistent=False)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        stacked, newest = stack(x, past.frames(x))
        past.newest.append(newest)
        made: Tensor = self.convolution(stacked)
        return made


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


class NormedCausal(nn.Module):
    """Norm, SiLU and causal convolution; the convolution's bias is for the caller to add."""

    gain: Tensor

    def __init__(self, weights: Weights, norm: str, name: str, dtype: torch.dtype, operations: Operations) -> None:
        super().__init__()
        self._operations = operations
        self.causal = Causal(weights, name, dtype)
        self.register_buffer("gain", _gain(weights, norm), persistent=False)

    def forward(self, x: Sum, past: Past) -> tuple[Tensor, Tensor]:
        """-> x added up, for use if it has a skip or no bias, and its convolution [f, O, h, w]."""
        value, stacked, newest = self._operations.normed(*x, self.gain, past.frames(x.raw))
        assert newest is not None
        past.newest.append(newest)
        return value, self.causal.convolution(stacked)


class NormedResidual(nn.Module):
    """Norm, SiLU and causal convolution, twice, and a shortcut around them."""

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype, operations: Operations) -> None:
        super().__init__()
        self.first, self.second = (
            NormedCausal(weights, f"{name}.residual.{norm}", f"{name}.residual.{norm + after}", dtype, operations)
            for norm, after in ((0, 2), (3, 3))
        )
        widens = f"{name}.shortcut.weight" in weights
        self.shortcut = Pointwise(weights, f"{name}.shortcut", dtype) if widens else nn.Identity()

    def forward(self, x: Sum, past: Past) -> Sum:
        value, y = self.first(x, past)
        _, y = self.second(Sum(y, self.first.causal.bias), past)
        return Sum(y, self.second.causal.bias, self.shortcut(value))


class PictureAttention(nn.Module):
    """Self-attention within each frame, with one head over all channels."""

    gain: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("gain", _gain(weights, f"{name}.norm"), persistent=False)
        self.to_qkv = Pointwise(weights, f"{name}.to_qkv", dtype)
        self.proj = Pointwise(weights, f"{name}.proj", dtype)

    def forward(self, x: Sum, past: Past) -> Sum:
        value = x.value()
        pixels = self.to_qkv(unit_norm(value, self.gain).to(value.dtype)).flatten(2).transpose(1, 2)
        q, k, v = pixels.unsqueeze(1).chunk(3, dim=-1)
        y = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).unflatten(2, value.shape[2:])
        return Sum(value + self.proj(channels_last(y)))


class Rise(nn.Module):
    """Doubles height and width, halves the channels and, where it has a `time_conv`, makes two frames of each."""

    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype, operations: Operations) -> None:
        super().__init__()
        self._operations = operations
        doubles_time = f"{name}.time_conv.weight" in weights
        self.time_conv = Causal(weights, f"{name}.time_conv", dtype) if doubles_time else None
        self.enlarge = Enlarge(weights[f"{name}.resample.1.weight"], 1, dtype)
        self.register_buffer("bias", weights[f"{name}.resample.1.bias"].to(dtype), persistent=False)

    def forward(self, x: Sum, past: Past) -> Sum:
        value = x.value()
        if self.time_conv is not None:
            value = self._double_time(self.time_conv, value, past)
        return Sum(self._operations.weave(self.enlarge(value), 1, self.bias))

    def _double_time(self, causal: Causal, x: Tensor, past: Past) -> Tensor:
        """x [f, C, h, w] -> [2f, C, h, w], except that a stream's first latent frame stays one frame."""
        f, channels, height, width = x.shape
        if past.is_first:
            # later frames do not see the first one here
            past.newest.append(past.frames(x))
            return x
        even_odd = Sum(causal(x, past), causal.bias).value().permute(0, 2, 3, 1).unflatten(3, (2, channels))
        return even_odd.permute(0, 3, 1, 2, 4).reshape(2 * f, height, width, channels).permute(0, 3, 1, 2)


class Exit(nn.Module):
    """Norm, SiLU and the last convolution, which has so few outputs that their sums are what it remembers."""

    gain: Tensor
    bias: Tensor

    def __init__(self, weights: Weights, name: str, dtype: torch.dtype, operations: Operations) -> None:
        super().__init__()
        self._operations = operations
        self.convolution = CausalSums(weights[f"{name}.2.weight"], dtype)
        self.register_buffer("bias", weights[f"{name}.2.bias"].to(dtype)[:, None, None], persistent=False)
        self.register_buffer("gain", _gain(weights, f"{name}.0"), persistent=False)

    def forward(self, x: Sum, past: Past) -> Tensor:
        """-> pixels [f, 3, Y, X]."""
        _, normed, _ = self._operations.normed(*x, self.gain, None)
        y, newest = self.convolution(normed, past.take())
        past.newest.append(newest)
        pixels: Tensor = y + self.bias
        return pixels


def _gain(weights: Weights, norm: str) -> Tensor:
    gain = weights[f"{norm}.gamma"].float().flatten()
    return gain * math.sqrt(len(gain))
