"""The bundled world: the shared transformer with few, rich tokens that know their place, and a head that sees x_t."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.attend import Dense, teacher_forcing
from world.config import DiTConfig
from world.decoder import Geometry
from world.dit import CausalDiT
from world.text import TEXT_LENGTH, TextEncoder

PATCH = 2
TEXT_DIM = 128
CONFIG = DiTConfig(
    dim=192, ffn_dim=768, text_dim=TEXT_DIM, text_len=TEXT_LENGTH, in_dim=32, out_dim=32, num_heads=3, num_layers=6
)
GRID = (4, 7)  # rows and columns of tokens
DIALS = ("pan_x", "pan_y", "zoom", "energy")


class PlacedEmbed(nn.Module):
    """Patches of latents, each told where in the picture it lies.

    Relative positions alone give a tunnel no centre to find.
    """

    def __init__(self, channels: int, rows: int, columns: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("features", place_features(rows // PATCH, columns // PATCH), persistent=False)
        self.patch = nn.Linear(channels * PATCH**2, dim)
        self.place = nn.Linear(self.features.shape[1], dim)
        self.position = nn.Parameter(torch.randn(len(self.features), dim) * 0.02)

    def forward(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> tokens [B, F N, D], frame by frame, row by row."""
        b, f, c, h, w = latents.shape
        split = latents.reshape(b, f, c, h // PATCH, PATCH, w // PATCH, PATCH).permute(0, 1, 3, 5, 2, 4, 6)
        tokens = self.patch(split.reshape(b, f, -1, c * PATCH**2))
        return (tokens + self.place(self.features) + self.position).flatten(1, 2)


def place_features(rows: int, columns: int) -> Tensor:
    """Waves of x, y, radius and angle at the middle of each patch: [rows columns, 37]."""
    y = ((torch.arange(rows) + 0.5) / rows * 2 - 1).view(-1, 1).expand(rows, columns)
    x = (((torch.arange(columns) + 0.5) / columns * 2 - 1) * columns / rows).expand(rows, columns)
    radius, angle = torch.sqrt(x**2 + y**2), torch.atan2(y, x)
    features = [x, y, radius]
    for k in (1, 2, 4, 8):
        features += [wave(k * math.pi / 2 * place) for place in (x, y, radius) for wave in (torch.sin, torch.cos)]
    for k in (1, 2, 3, 4, 6):
        features += [torch.cos(k * angle), torch.sin(k * angle)]
    return torch.stack(features, -1).flatten(0, 1)


class ConvHead(nn.Module):
    """Tokens to a prediction of x0, with three convolutions across patch seams that see the noisy latents too."""

    def __init__(self, channels: int, rows: int, columns: int, dim: int, width: int = 96) -> None:
        super().__init__()
        self.grid = (rows // PATCH, columns // PATCH, channels)
        self.modulation = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)
        self.out = nn.Linear(dim, channels * PATCH**2)
        self.first = nn.Conv2d(2 * channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, channels, 3, padding=1)
        self.film = nn.Linear(dim, 4 * width)
        for layer in (self.out, self.third, self.film):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens [B, F N, D], e [B, F, D], latents [B, F, C, h, w] -> x0 [B, F, C, h, w]."""
        rough = self._unpatch(tokens, e).flatten(0, 1)
        scale_1, shift_1, scale_2, shift_2 = self.film(F.silu(e)).flatten(0, 1)[..., None, None].chunk(4, 1)
        fine = self.first(torch.cat([rough, latents.flatten(0, 1).to(rough.dtype)], 1))
        fine = self.second(F.gelu(fine * (1 + scale_1) + shift_1, approximate="tanh"))
        fine = self.third(F.gelu(fine * (1 + scale_2) + shift_2, approximate="tanh"))
        return (rough + fine).view(latents.shape)

    def _unpatch(self, tokens: Tensor, e: Tensor) -> Tensor:
        rows, columns, channels = self.grid
        b, f, dim = e.shape
        shift, scale = (self.modulation.unsqueeze(0) + e.unsqueeze(2)).unsqueeze(3).unbind(2)
        normed = F.layer_norm(tokens, (dim,), eps=1e-6).view(b, f, -1, dim)
        patches = self.out(normed * (1 + scale) + shift).view(b, f, rows, columns, channels, PATCH, PATCH)
        return patches.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, f, channels, rows * PATCH, columns * PATCH)


class Conditioner(nn.Module):
    """What is added to the time embedding: the pooled words and the dials."""

    def __init__(self, text_dim: int, dials: int, dim: int) -> None:
        super().__init__()
        self.words = nn.Sequential(nn.Linear(text_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        # without bias: dials at rest change nothing
        self.dials = nn.Linear(dials, dim, bias=False)
        nn.init.normal_(self.dials.weight, std=0.1)

    def forward(self, pooled: Tensor, dials: Tensor) -> Tensor:
        """pooled [B, text_dim], dials [B, F, n] -> [B, F, D]."""
        return self.words(pooled).unsqueeze(1) + self.dials(dials)


class SmallModel(nn.Module):
    """Everything that is trained but the picture decoder: words, dials and the transformer."""

    def __init__(self) -> None:
        super().__init__()
        g = Geometry()
        sizes = (g.channels, g.rows, g.columns, CONFIG.dim)
        self.text = TextEncoder(TEXT_DIM)
        self.condition = Conditioner(TEXT_DIM, len(DIALS), CONFIG.dim)
        self.dit = CausalDiT(CONFIG, embed=PlacedEmbed(*sizes), head=ConvHead(*sizes))
        for block in self.dit.blocks:
            # every branch begins as nothing, so that depth costs no early progress
            for layer in (block.self_attn.o, block.cross_attn.o, block.ffn[2]):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, latents: Tensor, timesteps: Tensor, tokens: Tensor, dials: Tensor, attend: Dense) -> Tensor:
        """latents [B, F, C, h, w], timesteps [B, F], tokens [B, L], dials [B, F, 4] -> x0 [B, F, C, h, w]."""
        embedding, pooled = self.text(tokens)
        return self.dit(latents, timesteps, self.dit.words(embedding), attend, self.condition(pooled, dials))


def single() -> Dense:
    """Attention of a single block."""
    return forced(0)


@lru_cache(maxsize=4)
def forced(blocks: int) -> Dense:
    """Teacher forcing over [clean | noisy] blocks; with no blocks, one alone."""
    if not blocks:
        return Dense(GRID, [0], CONFIG.head_dim)
    return Dense(GRID, [*range(blocks)] * 2, CONFIG.head_dim, teacher_forcing(blocks, 1))
