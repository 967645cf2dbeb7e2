"""The layers that only compact worlds have: embedding with places, convolutional head, conditioner, the decoder's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.compact.geometry import Geometry


class PlacedEmbed(nn.Module):
    """Latents to tokens, one for each patch, with the place of the patch in the picture added.

    Rotary positions are only relative: with them alone the model cannot find the centre of the picture, say for a
    tunnel.
    """

    features: Tensor

    def __init__(self, geometry: Geometry, dim: int) -> None:
        super().__init__()
        self.geometry = geometry
        features = place_features(*geometry.grid)
        self.register_buffer("features", features, persistent=False)
        self.patch = nn.Linear(geometry.channels * math.prod(geometry.patch), dim)
        self.place = nn.Linear(features.shape[1], dim)
        self.position = nn.Parameter(torch.randn(len(features), dim) * 0.02)

    def forward(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> tokens [B, F * N, dim], frame by frame, row by row."""
        rows, columns = self.geometry.patch
        patches = latents.unflatten(-1, (-1, columns)).unflatten(-3, (-1, rows))  # [B, F, C, rows, p, columns, q]
        patches = patches.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)
        return (self.patch(patches) + self.place(self.features) + self.position).flatten(1, 2)


def place_features(rows: int, columns: int) -> Tensor:
    """Sines and cosines of x, y, radius and angle at the centre of each token: [rows * columns, 37]."""
    y = ((torch.arange(rows) + 0.5) / rows * 2 - 1).view(-1, 1).expand(rows, columns)
    x = (((torch.arange(columns) + 0.5) / columns * 2 - 1) * 1.75).expand(rows, columns)
    radius, angle = torch.sqrt(x**2 + y**2), torch.atan2(y, x)
    features = [x, y, radius]
    for k in (1, 2, 4, 8):
        features += [wave(k * math.pi / 2 * place) for place in (x, y, radius) for wave in (torch.sin, torch.cos)]
    for k in (1, 2, 3, 4, 6):
        features += [torch.cos(k * angle), torch.sin(k * angle)]
    return torch.stack(features, -1).flatten(0, 1)


class ConvHead(nn.Module):
    """Tokens to the predicted x0. Three convolutions, which also see the noisy latents, smooth the seams of patches."""

    def __init__(self, geometry: Geometry, dim: int, width: int = 96) -> None:
        super().__init__()
        self.geometry, channels = geometry, geometry.channels
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)
        self.out = nn.Linear(dim, channels * math.prod(geometry.patch))
        self.first = nn.Conv2d(2 * channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, channels, 3, padding=1)
        self.film = nn.Linear(dim, 4 * width)
        zero(self.out, self.third, self.film)

    def forward(self, tokens: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens [B, F * N, dim], time embedding e [B, F, dim], latents [B, F, C, h, w] -> x0 [B, F, C, h, w]."""
        rough = self._unpatch(tokens, e).flatten(0, 1)
        scale_1, shift_1, scale_2, shift_2 = self.film(F.silu(e)).flatten(0, 1)[..., None, None].chunk(4, 1)
        fine = self.first(torch.cat([rough, latents.flatten(0, 1).to(rough.dtype)], 1))
        fine = self.second(F.gelu(fine * (1 + scale_1) + shift_1, approximate="tanh"))
        fine = self.third(F.gelu(fine * (1 + scale_2) + shift_2, approximate="tanh"))
        return (rough + fine).view(latents.shape)

    def _unpatch(self, tokens: Tensor, e: Tensor) -> Tensor:
        b, f, dim = e.shape
        shift, scale = (self.modulation + e.unsqueeze(2)).unsqueeze(3).unbind(2)
        normed = F.layer_norm(tokens, (dim,), eps=1e-6).view(b, f, -1, dim)
        g = self.geometry
        patches = self.out(normed * (1 + scale) + shift).view(b, f, *g.grid, g.channels, *g.patch)
        return patches.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4)


class Conditioner(nn.Module):
    """The condition that is added to the time embedding, from the pooled words and the dials."""

    def __init__(self, text_dim: int, dials: int, dim: int) -> None:
        super().__init__()
        self.words = nn.Sequential(nn.Linear(text_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        # without bias, dials at rest change nothing
        self.dials = nn.Linear(dials, dim, bias=False)
        nn.init.normal_(self.dials.weight, std=0.1)

    def forward(self, pooled: Tensor, dials: Tensor) -> Tensor:
        """pooled words [B, text_dim], or [B, F, text_dim] for each frame, and dials [B, F, n] -> [B, F, dim]."""
        words = self.words(pooled)
        return (words if pooled.ndim == 3 else words.unsqueeze(1)) + self.dials(dials.to(pooled))


class Residual(nn.Module):
    """Two convolutions, and a shortcut around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.gelu(self.first(x), approximate="tanh"))


class Upscale(nn.Module):
    """A convolution that gives `factor` times the rows and columns."""

    def __init__(self, inward: int, outward: int, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(inward, outward * factor**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), self.factor)


class LatentRefiner(nn.Module):
    """A correction of latents, from themselves and those before them.

    The model makes each token's cells by itself, so that neighbouring tokens do not quite fit together. A convolution
    does not know where tokens meet; `place` tells it. Before training the correction is nothing.
    """

    def __init__(self, geometry: Geometry, width: int, depth: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * geometry.channels, width, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(width, geometry.rows, geometry.columns))
        self.body = nn.Sequential(*(Residual(width) for _ in range(depth)))
        self.leave = nn.Conv2d(width, geometry.channels, 3, padding=1)
        zero(self.leave)

    def forward(self, latents: Tensor, before: Tensor) -> Tensor:
        """latents and those before them, [B, C, h, w] each -> refined latents [B, C, h, w]."""
        return latents + self.leave(self.body(self.enter(torch.cat([before, latents], 1)) + self.place))


def zero(*layers: nn.Module) -> None:
    """Set all weights of `layers` to zero: a branch that ends in one adds nothing until training changes it."""
    for layer in layers:
        for weights in layer.parameters():
            nn.init.zeros_(weights)
