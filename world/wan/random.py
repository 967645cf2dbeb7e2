"""Worlds with random weights at the sizes of a published model: for measuring speed, not for looking at."""

from __future__ import annotations

import zlib
from dataclasses import replace

import torch
from torch import Tensor

from world.diffusion.model import TextEncoding
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig, DiffusionConfig, DiTConfig, LatentConfig, SamplerConfig
from world.dit.device import resolve, working_dtype
from world.dit.dit import CausalDiT
from world.dit.speed import accelerate, speed_for
from world.info import WorldError
from world.options import WorldOptions, step_counts
from world.wan.family.picture import checked_picture
from world.wan.fast.decoder import decoder_at
from world.wan.taehv import TAEHV
from world.wan.vae import WanVAE
from world.wan.world import as_asked, wan_info

DECODERS = {"vae": WanVAE, "taehv": TAEHV}
SIZES = {  # of the transformer, by the name of the world
    "random-wan": DiTConfig(),
    "random-wan-tiny": DiTConfig(dim=48, ffn_dim=64, text_dim=16, text_len=8, num_heads=2, num_layers=2),
}
POOL = 1_000_003  # random numbers, used again and again; a prime, so that no two rows of a weight are alike


def open_random(options: WorldOptions) -> DiffusionWorld:
    """The world of random weights that has this name (SIZES), opened as a folder of checkpoints would be."""
    width, height = checked_picture(options.picture)
    device = resolve(options.device)
    dtype = working_dtype(device, options.dtype)
    world = random_wan((height // 8, width // 8), device, dtype, SIZES[options.name], options)
    return replace(world, slow_words=True)  # they are encoded beside the blocks, as those of a folder are


def random_wan(
    latent: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype,
    dit: DiTConfig | None = None,
    options: WorldOptions | None = None,
) -> DiffusionWorld:
    """Wan2.1-T2V-1.3B with random weights: a window of 12 latent frames, a sink of 3, blocks of 3.

    latent: height and width of a latent frame; raises WorldError unless both are even.
    dit: other sizes of the transformer. options: its decoder, speed, steps and memory; without them it is `exact`.
    """
    options = options or WorldOptions("random-wan", speed="exact")
    speed = speed_for(device, options.speed, dtype)
    height, width = latent
    if height % 2 or width % 2:
        raise WorldError(f"latents of {height}x{width}: patches are 2x2, give even sides")
    sizes = dit or DiTConfig()
    latents = LatentConfig(channels=sizes.in_dim, height=height, width=width, grid=(height // 2, width // 2))
    cache = CacheConfig(positions=options.positions or "relative").with_sink(options.sink, options.sink_ema)
    sampler = SamplerConfig().beginning(step_counts(options.steps).first)
    config = DiffusionConfig(sizes, cache, sampler, latents)
    pixels = DECODERS[options.decoder]().to(device, dtype).requires_grad_(False)
    info = replace(wan_info(config, pixels.memory), name="random Wan", showpiece="anything")
    info = as_asked(info, config, options)

    def encode(text: str) -> TextEncoding:
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        return TextEncoding(torch.randn(1, sizes.text_len, sizes.text_dim, generator=generator).to(device, dtype))

    transformer = accelerate(_randomized(sizes, device, dtype), config, device, speed)
    return DiffusionWorld(config, transformer, encode, decoder_at(speed, pixels, device, dtype), info, device=device)


def _randomized(config: DiTConfig, device: torch.device, dtype: torch.dtype) -> CausalDiT:
    """The transformer with small random weights, allocated once, in its final dtype."""
    with torch.device("meta"):
        model = CausalDiT(config)
    model = model.to(dtype).to_empty(device=device)
    # drawing every weight of a large model would take longer than measuring it
    pool = (torch.randn(POOL, generator=torch.Generator().manual_seed(0)) * 0.02).to(device, dtype)
    for parameter in model.parameters():
        _fill(parameter.data, pool)
    return model.eval().requires_grad_(False)


def _fill(weights: Tensor, pool: Tensor) -> None:
    for part in weights.view(-1).split(len(pool)):
        part.copy_(pool[: len(part)])
