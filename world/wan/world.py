"""A world from a folder of Wan2.1 and LongLive checkpoints."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

import torch

from world.diffusion.model import TextEncoding
from world.diffusion.world import DiffusionWorld
from world.dit.config import DiffusionConfig, LatentConfig
from world.dit.device import free_gib, resolve, working_dtype
from world.dit.parallel import shared_config
from world.dit.speed import accelerate, speed_for
from world.info import DialRange, WorldError, WorldInfo, grip_dial, press_dial, steps_dial
from world.options import WorldOptions, step_counts
from world.wan.family.picture import checked_picture
from world.wan.family.recognise import FPS, Recognised
from world.wan.fast.decoder import decoder_at
from world.wan.files import read_decoder, read_prompts, read_sizes, read_transformer, survey
from world.wan.fit import Setting, can_cut, fitted, memory_need
from world.wan.trial import try_once

log = logging.getLogger(__name__)

SHOWPIECE = (
    "A lighthouse on a cliff at dusk, waves breaking on the rocks below, warm light in its windows, "
    "the camera circles it slowly, cinematic, detailed"
)


def open_wan(folder: Path, options: WorldOptions, has_text: bool = True) -> DiffusionWorld:
    """Open the world whose checkpoints are in `folder`; raises WorldError, one line, if anything is wrong with them.

    has_text: whether prompts are encoded here, and not by another process that shares this world.
    """
    files = survey(folder, options.decoder)
    plan = files.plan
    sizes = configure(plan, options)
    shared_config(sizes, options.ranks)
    device = resolve(options.device)
    dtype = working_dtype(device, options.dtype)
    speed = speed_for(device, options.speed, dtype)
    picture, asked = checked_picture(options.picture or plan.picture), options.text_device if has_text else "cpu"
    setting = Setting(picture, options.decoder, dtype.itemsize, asked, speed, ranks=options.ranks)
    text = _place_for_text(sizes, setting, device)
    prompts = read_prompts(files, sizes.dit, *_encoding(text, device)) if has_text else None
    decoder = read_decoder(files.decoder, dtype, device)
    if decoder.config.channels != sizes.dit.in_dim:
        raise WorldError(
            f"{files.decoder} has latents of {decoder.config.channels} channels, {files.config} {sizes.dit.in_dim}"
        )
    dit = read_transformer(files, sizes.dit, dtype, device)
    try_once(files, prompts, dit, decoder)

    def encode(text: str) -> TextEncoding:
        assert prompts is not None, "prompts are encoded by another process"
        return TextEncoding(prompts(text).to(device))

    info = wan_info(sizes, decoder.memory, plan.family.name, plan.fps)
    info = as_asked(info, sizes, options)
    transformer = accelerate(dit, sizes, device, speed)
    pixels = decoder_at(speed, decoder, device, dtype)
    return DiffusionWorld(sizes, transformer, encode, pixels, info, device=device, slow_words=True)


def configure(plan: Recognised, options: WorldOptions) -> DiffusionConfig:
    """The DiffusionConfig that follows from config.json, the family and the user's options; raises WorldError."""
    dit = read_sizes(plan.config)
    width, height = checked_picture(options.picture or plan.picture)
    latents = LatentConfig(dit.in_dim, height // 8, width // 8, grid=(height // 16, width // 16))
    try:
        cache = replace(plan.cache, positions=options.positions or plan.cache.positions)
        cache = cache.with_sink(options.sink, options.sink_ema)
        return DiffusionConfig(dit, cache, plan.sampler.beginning(step_counts(options.steps).first), latents)
    except ValueError as error:
        raise WorldError(str(error)) from None


def wan_info(sizes: DiffusionConfig, decoder_memory: int, name: str = "longlive", fps: float = FPS) -> WorldInfo:
    """The WorldInfo of a Wan world. decoder_memory: latent frames that the decoder looks back. name: its family's."""
    block, latents = sizes.cache.block, sizes.latents
    return WorldInfo(
        name=name,
        fps=fps,
        block_frames=4 * block,
        picture=(8 * latents.width, 8 * latents.height),
        showpiece=SHOWPIECE,
        memory_blocks=math.ceil(max(sizes.cache.window, decoder_memory) / block),
        sink_blocks=max(1, math.ceil(sizes.cache.sink / block)),
        dials=_dials(sizes, WorldOptions()),
    )


def as_asked(info: WorldInfo, sizes: DiffusionConfig, options: WorldOptions) -> WorldInfo:
    """The same, with what the user has asked for of dials, memory and decoder."""
    dials, slots = {**info.dials, **_dials(sizes, options)}, options.memory_slots
    cut_from = sizes.cache.rules.cut_from if can_cut(sizes.cache, options.decoder) else None
    return replace(info, dials=dials, sink_blocks=slots or info.sink_blocks, cut_from=cut_from)


def _dials(sizes: DiffusionConfig, options: WorldOptions) -> dict[str, DialRange]:
    """The dials of a Wan world, at rest as the user has asked."""
    steps = step_counts(options.steps).then or len(sizes.sampler.steps)
    return {**steps_dial(steps), **grip_dial(options.carry, sizes.cache.window), **press_dial(options.press or 0.0)}


def _place_for_text(sizes: DiffusionConfig, setting: Setting, device: torch.device) -> str:
    """Where prompts are encoded (world.options.TEXT_DEVICES). What the world needs is told.

    Raises WorldError where it does not fit into the GPU's memory.
    """
    free = free_gib(device)
    if free is None:
        if setting.text not in ("auto", "cpu"):
            raise WorldError(
                f"text-device {setting.text}: the model runs on the CPU, and prompts are encoded there too"
            )
        return "cpu"
    setting = fitted(sizes.dit, sizes.cache, setting, free)
    need = memory_need(sizes.dit, sizes.cache, setting)
    log.info("GPU memory: needs about %s of %.1f GiB free; text encoder: %s", need, free, setting.text)
    return setting.text


def _encoding(text: str, device: torch.device) -> tuple[torch.device, bool]:
    """The device that prompts are encoded on, and whether the encoder's weights stay in host memory."""
    return (torch.device("cpu") if text == "cpu" else device), text == "offload"
