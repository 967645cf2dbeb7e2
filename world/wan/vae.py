"""The Wan2.1 VAE as a function of a state: latents to pixels and back, as an endless stream.

Source: Wan2.1 (`Wan2.1_VAE.pth`); the parameter names are those of that file. Every causal convolution needs the last
frames of its own earlier input. They are the state: a tuple of tensors in the order in which the convolutions run. A
state is never written to, so an older one can still be decoded from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.diffusion.pixels import as_tensor, to_uint8
from world.wan.layers import CausalConv, Down, FrameAttention, Norm, ResBlock, State, Tape, Up

MEAN = (-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
        0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921)  # fmt: skip
STD = (2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
       3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160)  # fmt: skip


@dataclass(frozen=True)
class VAEConfig:
    """Sizes of the Wan VAE; the defaults are the released ones.

    res_blocks: on each level of the encoder; the decoder has one more. halves_time: whether each level of the encoder
        but the last ends by halving the frame rate. mean, std: of each latent channel.
    """

    dim: int = 96
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    res_blocks: int = 2
    halves_time: tuple[bool, ...] = (False, True, True)
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    @property
    def channels(self) -> int:
        """Channels of a latent frame."""
        return len(self.mean)


class Stack(nn.Module):
    """What encoder and decoder have in common: convolution, levels, norm, convolution. widths: at both ends."""

    def __init__(self, inner: int, outer: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = CausalConv(inner, widths[0])
        self.head = nn.ModuleDict({"0": Norm(widths[1], 3), "2": CausalConv(widths[1], outer)})

    def run(self, x: Tensor, levels: list[nn.Module], tape: Tape) -> Tensor:
        """x [1, C, f, h, w] through `levels`, between the convolutions at both ends."""
        x = self.conv1(x, tape)
        for level in levels:
            x = level(x, tape)
        return self.head["2"](F.silu(self.head["0"](x)), tape)


def _middle(channels: int) -> nn.ModuleList:
    return nn.ModuleList([ResBlock(channels, channels), FrameAttention(channels), ResBlock(channels, channels)])


class VAEEncoder(Stack):
    """Pixels [1, 3, f, Y, X] to the mean and log-variance of latents: one frame at the start of a stream, then four."""

    def __init__(self, config: VAEConfig) -> None:
        widths = [config.dim * m for m in config.multipliers]
        super().__init__(3, 2 * config.channels, (widths[0], widths[-1]))
        levels: list[nn.Module] = []
        for i, width in enumerate(widths):
            inner = widths[max(i - 1, 0)]
            levels += [ResBlock(inner if n == 0 else width, width) for n in range(config.res_blocks)]
            if i < len(widths) - 1:
                levels.append(Down(width, config.halves_time[i]))
        self.downsamples = nn.ModuleList(levels)
        self.middle = _middle(widths[-1])

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        return self.run(x, [*self.downsamples, *self.middle], tape)


class VAEDecoder(Stack):
    """Latents [1, C, 1, h, w] to pixels: one frame at the start of a stream, then four."""

    def __init__(self, config: VAEConfig) -> None:
        widths = [config.dim * m for m in reversed(config.multipliers)]
        super().__init__(config.channels, 3, (widths[0], widths[-1]))
        doubles_time = config.halves_time[::-1]
        levels: list[nn.Module] = []
        inner = widths[0]
        for i, width in enumerate(widths):
            levels += [ResBlock(inner if n == 0 else width, width) for n in range(config.res_blocks + 1)]
            if i < len(widths) - 1:
                levels.append(Up(width, doubles_time[i]))
                inner = width // 2
        self.middle = _middle(widths[0])
        self.upsamples = nn.ModuleList(levels)

    def forward(self, x: Tensor, tape: Tape) -> Tensor:
        return self.run(x, [*self.middle, *self.upsamples], tape)


class WanVAE(nn.Module):
    """Encoder and decoder between pixels and normalised latents, both streaming.

    latents: [1, n, C, h, w], about unit variance. pixels: eight times h and w, 1 + 4 (n - 1) frames.
    memory: latent frames, besides its own, that a pixel depends on; 38 at the released sizes.
    A state is a tuple of tensors, empty at the start of a stream.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or VAEConfig()
        self.memory = _memory(self.config)
        channels = self.config.channels
        self.encoder = VAEEncoder(self.config)
        self.conv1 = nn.Conv3d(2 * channels, 2 * channels, 1)
        self.conv2 = nn.Conv3d(channels, channels, 1)
        self.decoder = VAEDecoder(self.config)
        # not in the checkpoint, so they need values even where the weights are on the meta device
        shape = (1, channels, 1, 1, 1)
        self.register_buffer("mean", torch.tensor(self.config.mean, device="cpu").view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(self.config.std, device="cpu").view(shape), persistent=False)

    def start(self) -> State:
        """The state at the start of a stream."""
        return ()

    @torch.no_grad()
    def decode_raw(self, state: State, latents: Tensor) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> unclamped pixels [1, n, 3, Y, X], about [-1, 1], and the next state."""
        weight = self.conv2.weight
        z = latents.to(weight.device, torch.float32).transpose(1, 2) * self.std + self.mean
        chunks = []
        # always one latent frame at a time: the same shapes give the same bits, however many frames a call has
        for frame in z.to(weight.dtype).split(1, dim=2):
            tape = Tape(state)
            chunks.append(self.decoder(self.conv2(frame), tape))
            state = tape.state()
        return torch.cat(chunks, dim=2).transpose(1, 2), state

    def decode_tensor(self, state: State, latents: Tensor | np.ndarray) -> tuple[Tensor, State]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB on the weights' device, and the next state."""
        raw, state = self.decode_raw(state, as_tensor(latents))
        return to_uint8(raw[0] * 0.5 + 0.5), state

    def decode(self, state: State, latents: Tensor | np.ndarray) -> tuple[np.ndarray, State]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB in host memory, and the next state."""
        frames, state = self.decode_tensor(state, latents)
        return frames.cpu().numpy(), state

    @torch.no_grad()
    def encode(self, state: State, video: Tensor) -> tuple[Tensor, State]:
        """video [1, n, 3, Y, X] in [-1, 1] -> latents float32 [1, f, C, h, w], and the next state.

        The first latent frame of a stream takes one frame of video, each later one takes four; raises ValueError for a
        number of frames that does not fit.
        """
        weight = self.conv1.weight
        video = video.to(weight.device, weight.dtype).transpose(1, 2)
        latents = []
        for group in video.split(_groups(video.shape[2], is_first=not state), dim=2):
            tape = Tape(state)
            mean = self.conv1(self.encoder(group, tape)).chunk(2, dim=1)[0]
            latents.append((mean.float() - self.mean) / self.std)
            state = tape.state()
        return torch.cat(latents, dim=2).transpose(1, 2), state


def _groups(frames: int, is_first: bool) -> list[int]:
    """How many frames of video go into each latent frame."""
    fours, rest = divmod(frames - 1 if is_first else frames, 4)
    if rest or frames < 1:
        raise ValueError(f"{frames} frames to encode: need {'1 + ' if is_first else ''}a multiple of 4")
    return [1] * is_first + [4] * fours


def _memory(config: VAEConfig) -> int:
    """How many latent frames before its own the first pixel frame of a latent frame depends on."""
    level = 4 * (config.res_blocks + 1)  # each block has two convolutions, and each looks back two frames
    back = 2 + level
    for halves in config.halves_time:
        # a frame at the doubled rate depends on its own frame at the lower rate and, by time_conv, on the two before
        back = (back + 1) // 2 + 2 + level if halves else back + level
    return back + 8 + 2
