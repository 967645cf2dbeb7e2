"""The Wan VAE's decoder for a GPU: frames channels last, and causal convolutions as 2D ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world.diffusion.pixels import to_uint8
from world.wan.fast.convolve import channels_last
from world.wan.fast.operations import Operations
from world.wan.fast.vae_layers import (
    Causal,
    Exit,
    NormedResidual,
    Past,
    PictureAttention,
    Pointwise,
    Rise,
    State,
    Sum,
    Weights,
)


class FastVAE(nn.Module):
    """The decoder of the Wan VAE as one function of latent frames and a state, what each causal convolution remembers.

    weights: those of the plain WanVAE by their released names, and its `mean` and `std`.
    """

    dropped = 0  # pixel frames at the start of a stream that are not shown
    replays = False  # copying its state, nearly 2 GiB, in and out of a graph takes longer than the launches it saves
    mean: Tensor
    std: Tensor

    def __init__(self, weights: Weights, dtype: torch.dtype, operations: Operations) -> None:
        super().__init__()
        for name in ("mean", "std"):
            self.register_buffer(name, weights[name].float().view(1, -1, 1, 1), persistent=False)
        self.latent = Pointwise(weights, "conv2", dtype)
        self.entry = Causal(weights, "decoder.conv1", dtype)
        self.levels = nn.ModuleList(_levels(weights, dtype, operations))
        self.exit = Exit(weights, "decoder.head", dtype, operations)

    def forward(self, latents: Tensor, state: State) -> tuple[Tensor, State]:
        """latents [f, C, h, w] -> unclamped pixels [n, 3, Y, X], about [-1, 1], and the next state.

        At the start of a stream f is 1 and gives one pixel frame; later each latent frame gives four.
        """
        past = Past(state)
        x = self.latent(channels_last((latents.float() * self.std + self.mean).to(self.latent.weight.dtype)))
        y = Sum(Sum(self.entry(x, past), self.entry.bias).value())
        for level in self.levels:
            y = level(y, past)
        pixels = self.exit(y, past)
        return pixels, tuple(past.newest)

    def shown(self, raw: Tensor) -> Tensor:
        """raw [n, 3, Y, X] -> frames uint8 [n, Y, X, 3]."""
        return to_uint8(raw * 0.5 + 0.5)


def _levels(weights: Weights, dtype: torch.dtype, operations: Operations) -> list[nn.Module]:
    """What lies between the first and the last convolution, in order, as the names of the weights tell it."""
    levels: list[nn.Module] = [
        NormedResidual(weights, "decoder.middle.0", dtype, operations),
        PictureAttention(weights, "decoder.middle.1", dtype),
        NormedResidual(weights, "decoder.middle.2", dtype, operations),
    ]
    numbers = {int(name.split(".")[2]) for name in weights if name.startswith("decoder.upsamples.")}
    for number in sorted(numbers):
        name = f"decoder.upsamples.{number}"
        kind = Rise if f"{name}.resample.1.weight" in weights else NormedResidual
        levels.append(kind(weights, name, dtype, operations))
    return levels
