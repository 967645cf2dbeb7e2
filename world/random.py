"""Worlds of random weights in the geometry of a published model: for measuring speed, not for looking at."""

from __future__ import annotations

import torch
from torch import Tensor

from world.config import CacheConfig, DiffusionConfig, DiTConfig, LatentConfig
from world.diffusion import DiffusionWorld, Text
from world.dit import CausalDiT
from world.info import WorldError, WorldInfo
from world.wan_vae import WanVAE


def random_wan(
    latent: tuple[int, int], device: torch.device, dtype: torch.dtype, dit: DiTConfig | None = None
) -> DiffusionWorld:
    """Wan2.1-T2V-1.3B with its window of 12, sink of 3 and blocks of 3, at latents of (h, w), both even."""
    height, width = latent
    if height % 2 or width % 2:
        raise WorldError(f"latents of {height}x{width}: patches are 2x2, give even sides")
    sizes = dit or DiTConfig()
    config = DiffusionConfig(
        dit=sizes,
        cache=CacheConfig(window=12, sink=3, block=3),
        latents=LatentConfig(channels=sizes.in_dim, height=height, width=width, grid=(height // 2, width // 2)),
    )
    info = WorldInfo("random Wan", 16.0, 12, (8 * width, 8 * height), "anything", memory_blocks=4)
    model = _randomized(CausalDiT, sizes, device, dtype)
    generator = torch.Generator().manual_seed(1)

    def encode(text: str) -> Text:
        rows = torch.randn(1, sizes.text_len, sizes.text_dim, generator=generator)
        return Text(rows.to(device, dtype))

    return DiffusionWorld(config, model, encode, WanVAE().to(device, dtype), info, device=device)


def _randomized(kind: type, config: DiTConfig, device: torch.device, dtype: torch.dtype) -> CausalDiT:
    """The model with small normal weights, allocated once and in its final dtype."""
    with torch.device("meta"):
        model = kind(config)
    model = model.to(dtype).to_empty(device=device)
    for parameter in model.parameters():
        _fill(parameter.data)
    return model.eval().requires_grad_(False)


def _fill(weights: Tensor) -> None:
    weights.normal_(std=0.02)
