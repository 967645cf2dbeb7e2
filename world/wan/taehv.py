"""TAEHV, the tiny autoencoder for Wan latents: a fast decoder and encoder, both functions of a state.

Source: madebyollin/taehv (`taew2_1.pth`); the parameter names are those of that file, a numbered sequence of layers.
Only the MemBlocks look back, each at its own input one step ago. The state is that input, one tensor for each MemBlock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.diffusion.pixels import as_tensor, to_uint8

TRIM = 3  # pixel frames at the start of a stream that belong before the first latent frame

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class TAEHVConfig:
    """Sizes of the tiny autoencoder; the defaults are those of `taew2_1`.

    channels: of a latent frame. decoder, encoder: widths of their levels; the encoder's are all alike.
    """

    channels: int = 16
    decoder: tuple[int, int, int, int] = (256, 128, 64, 64)
    encoder: int = 64


class Squash(nn.Module):
    """A soft limit that keeps latents within three standard deviations."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class MemBlock(nn.Module):
    """A residual block that sees its input x and that of one step ago."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ModuleDict(
            {"0": _conv(2 * channels, channels), "2": _conv(channels, channels), "4": _conv(channels, channels)}
        )

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        y = F.relu(self.conv["0"](torch.cat([x, before], dim=1)))
        return F.relu(self.conv["4"](F.relu(self.conv["2"](y))) + x)


class Grow(nn.Module):
    """Makes `factor` steps of each."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels, channels * factor, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y.unflatten(1, (self.factor, x.shape[1])).flatten(0, 1)


class Pool(nn.Module):
    """Makes one step of each `factor` steps."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels * factor, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.unflatten(0, (-1, self.factor)).flatten(1, 2))


def _conv(inner: int, outer: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, padding=1, **options)


def _decoder(config: TAEHVConfig) -> nn.Sequential:
    a, b, c, d = config.decoder
    layers: list[nn.Module] = [Squash(), _conv(config.channels, a), nn.ReLU()]
    for inner, outer, factor in ((a, b, 1), (b, c, 2), (c, d, 2)):
        layers += [MemBlock(inner) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), Grow(inner, factor), _conv(inner, outer, bias=False)]
    return nn.Sequential(*layers, nn.ReLU(), _conv(d, 3))


def _encoder(config: TAEHVConfig) -> nn.Sequential:
    width = config.encoder
    layers: list[nn.Module] = [_conv(3, width), nn.ReLU()]
    for factor in (2, 2, 1):
        layers += [Pool(width, factor), _conv(width, width, stride=2, bias=False)]
        layers += [MemBlock(width) for _ in range(3)]
    return nn.Sequential(*layers, _conv(width, config.channels))


def _run(layers: nn.Sequential, x: Tensor, state: State) -> tuple[Tensor, State]:
    """x [n, C, h, w], the steps of one latent frame, oldest first -> what `layers` make of it, and the next state."""
    past = iter(state)
    newest = []
    for layer in layers:
        if isinstance(layer, MemBlock):
            last = next(past) if state else torch.zeros_like(x[:1])
            newest.append(x[-1:].clone())
            x = layer(x, torch.cat([last, x[:-1]]))
        else:
            x = layer(x)
    return x, tuple(newest)


class TAEHV(nn.Module):
    """Fast encoder and decoder between pixels and normalised latents, both streaming.

    latents: [1, f, C, h, w], about unit variance. pixels: eight times h and w, RGB with black 0 and white 1.
    A state is a tuple of tensors, empty at the start of a stream.
    """

    memory: int = 8  # latent frames that a pixel depends on: six MemBlocks look back by one, three by a half

    def __init__(self, config: TAEHVConfig | None = None) -> None:
        super().__init__()
        self.config = config or TAEHVConfig()
        self.encoder = _encoder(self.config)
        self.decoder = _decoder(self.config)

    def start(self) -> State:
        """The state at the start of a stream."""
        return ()

    @torch.no_grad()
    def decode_raw(self, state: State, latents: Tensor) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> unclamped pixels [1, 4 f, 3, Y, X], about [0, 1], and the next state."""
        weight = next(self.decoder.parameters())
        frames = []
        # always one latent frame at a time: the same shapes give the same bits, however many frames a call has
        for latent in latents[0].to(weight.device, weight.dtype).split(1):
            raw, state = _run(self.decoder, latent, state)
            frames.append(raw)
        return torch.cat(frames)[None], state

    def decode_tensor(self, state: State, latents: Tensor | np.ndarray) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB on the weights' device, and the next state.

        The first latent frame of a stream gives one frame, each later one gives four.
        """
        raw, after = self.decode_raw(state, as_tensor(latents))
        return to_uint8(raw[0] if state else raw[0, TRIM:]), after

    def decode(self, state: State, latents: Tensor | np.ndarray) -> tuple[np.ndarray, State]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB in host memory, and the next state."""
        frames, state = self.decode_tensor(state, latents)
        return frames.cpu().numpy(), state

    @torch.no_grad()
    def encode(self, state: State, video: Tensor) -> tuple[Tensor, State]:
        """video [1, n, 3, Y, X] in [0, 1] -> latents [1, ceil(n / 4), C, h, w], and the next state.

        Each latent frame takes four frames, from the first on. If fewer are left at the end, the last one is repeated,
        so only the last call of a video may have a number of frames that is no multiple of four.
        """
        weight = next(self.encoder.parameters())
        frames = video[0].to(weight.device, weight.dtype)
        frames = torch.cat([frames, frames[-1:].expand(-len(frames) % 4, -1, -1, -1)])
        latents = []
        for group in frames.split(4):
            latent, state = _run(self.encoder, group, state)
            latents.append(latent)
        return torch.cat(latents)[None], state


def trim_grow(tensors: dict[str, Tensor], config: TAEHVConfig) -> dict[str, Tensor]:
    """`tensors` with only those steps of each Grow that are used: released files have more, before them."""
    steps = {"decoder.7": config.decoder[0], "decoder.13": 2 * config.decoder[1], "decoder.19": 2 * config.decoder[2]}
    kept = {f"{layer}.conv.weight": channels for layer, channels in steps.items()}
    return {name: t[-kept[name] :] if name in kept and t.ndim else t for name, t in tensors.items()}
