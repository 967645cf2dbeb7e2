"""A world from a folder of Wan2.1 and LongLive checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from world.diffusion.model import TextEncoding
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig, DiffusionConfig, LatentConfig, SamplerConfig
from world.dit.device import memory_gib, resolve, working_dtype
from world.dit.speed import accelerate, speed_for
from world.info import WorldError, WorldInfo
from world.options import WorldOptions
from world.wan.fast.decoder import decoder_at
from world.wan.files import read_decoder, read_prompts, read_sizes, read_transformer, survey
from world.wan.picture import checked_picture
from world.wan.trial import try_once

SHOWPIECE = (
    "A lighthouse on a cliff at dusk, waves breaking on the rocks below, warm light in its windows, "
    "the camera circles it slowly, cinematic, detailed"
)
FPS = 16.0
TEXT_ROOM_GIB = 30.0  # on a smaller GPU the text encoder (10.6 GiB) stays on the CPU; the rest takes about 18


def open_wan(folder: Path, options: WorldOptions) -> DiffusionWorld:
    """Open the world whose checkpoints are in `folder`; raises WorldError, one line, if anything is wrong with them."""
    files = survey(folder, options.decoder)
    sizes = configure(files.config, options)
    device = resolve(options.device)
    dtype = working_dtype(device, options.dtype)
    speed = speed_for(device, options.speed, dtype)
    prompts = read_prompts(files, sizes.dit, _text_device(device))
    decoder = read_decoder(files.decoder, dtype, device)
    if decoder.config.channels != sizes.dit.in_dim:
        raise WorldError(
            f"{files.decoder} has latents of {decoder.config.channels} channels, {files.config} {sizes.dit.in_dim}"
        )
    dit = read_transformer(files, sizes.dit, dtype, device)
    try_once(files, prompts, dit, decoder)

    def encode(text: str) -> TextEncoding:
        return TextEncoding(prompts(text).to(device))

    info = wan_info(sizes, decoder.memory)
    transformer = accelerate(dit, sizes, device, speed)
    pixels = decoder_at(speed, decoder, device, dtype)
    return DiffusionWorld(sizes, transformer, encode, pixels, info, device=device, slow_words=True)


def configure(path: Path, options: WorldOptions) -> DiffusionConfig:
    """The DiffusionConfig that follows from config.json at `path` and from the user's options; raises WorldError."""
    dit = read_sizes(path)
    width, height = checked_picture(options.picture)
    latents = LatentConfig(dit.in_dim, height // 8, width // 8, grid=(height // 16, width // 16))
    try:
        return DiffusionConfig(dit, CacheConfig(positions=options.positions), SamplerConfig(), latents)
    except ValueError as error:
        raise WorldError(str(error)) from None


def wan_info(sizes: DiffusionConfig, decoder_memory: int) -> WorldInfo:
    """The WorldInfo of a Wan world. decoder_memory: latent frames that the decoder looks back."""
    block, latents = sizes.cache.block, sizes.latents
    return WorldInfo(
        name="wan-1.3b",
        fps=FPS,
        block_frames=4 * block,
        picture=(8 * latents.width, 8 * latents.height),
        showpiece=SHOWPIECE,
        memory_blocks=math.ceil(max(sizes.cache.window, decoder_memory) / block),
    )


def _text_device(device: torch.device) -> torch.device:
    room = memory_gib(device)
    return device if room is None or room >= TEXT_ROOM_GIB else torch.device("cpu")
