"""Compact worlds: a model and its picture decoder from one file, opened as a world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from world.compact.cpu_decoder import CpuDecoder
from world.compact.cpu_dit import CpuDiT
from world.compact.decoder import PictureDecoder
from world.compact.files import explained, file_of
from world.compact.form import WorldForm, describe_form, read_form
from world.compact.model import CompactModel, shape, shape_of
from world.compact.packed import read_packed, write
from world.compact.small import SMALL
from world.compact.text import tokenize
from world.diffusion.model import TextEncoding
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig, DiffusionConfig, DiTConfig, LatentConfig, SamplerConfig
from world.dit.device import resolve
from world.dit.speed import accelerate, speed_for
from world.info import WorldError, grip_dial, press_dial, steps_dial
from world.options import WorldOptions, step_counts


class CompactWorld(nn.Module):
    """A compact world's model and decoder, with parameter names as in its file."""

    def __init__(self, config: DiTConfig | None = None, form: WorldForm = SMALL) -> None:
        super().__init__()
        self.form, self.model = form, CompactModel(config, form)
        self.decoder = PictureDecoder(form.geometry, has_scales=form.has_scales, form=form.pictures)

    @classmethod
    def load(cls, path: Path) -> CompactWorld:
        """Load a world's file; raises WorldError if it cannot be read or holds something else."""
        try:
            form = read_form(path) or SMALL
            weights = read_packed(path)
            sizes = shape_of({name.removeprefix("model."): tensor for name, tensor in weights.items()}, form)
            world = cls(sizes, form)
            world.load_state_dict(weights)
        except (WorldError, RuntimeError) as error:
            raise explained(path, error) from None
        return world.eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Write the file that `load` reads."""
        write(path, self.state_dict(), describe_form(self.form))

    def encode(self, text: str) -> TextEncoding:
        """Encode a prompt's known words, or the showpiece if it has none: embedding [1, L, 128], pooled [1, 128]."""
        language = self.form.language
        words = language.known_words(text) or language.showpiece
        return TextEncoding(*self.model.text(tokenize([words], language).to(self.decoder.enter.weight.device)))


def open_compact(options: WorldOptions) -> DiffusionWorld:
    """Open a compact world; raises WorldError for another picture size or unreadable weights."""
    world = CompactWorld.load(file_of(options.name))
    world.form.check_picture(options.picture)
    form = world.form.with_sink(options.sink)
    device = resolve(options.device)
    world.to(device)
    model = world.model
    steps = step_counts(options.steps)
    config = sizes(form, model.dit.config, options.positions or "relative")
    cache = config.cache.with_sink(None, options.sink_ema)
    config = replace(config, cache=cache, sampler=config.sampler.beginning(steps.first))
    speed = speed_for(device, options.speed, model.dit.dtype)
    is_plain = device.type == "cpu" and speed == "exact"
    transformer = CpuDiT(model.dit) if is_plain else accelerate(model.dit, config, device, speed)
    decoder = CpuDecoder(world.decoder) if device.type == "cpu" else _channels_last(world.decoder)
    info = form.info(options.name)
    press = press_dial(form.press if options.press is None else options.press)
    of_session = {**steps_dial(steps.then or len(form.steps)), **grip_dial(options.carry, cache.window), **press}
    info = replace(info, dials={**info.dials, **of_session}, sink_blocks=options.memory_slots or info.sink_blocks)
    complete = form.language.complete if form.language.slots else None
    return DiffusionWorld(config, transformer, world.encode, decoder, info, model.condition, device, complete=complete)


def _channels_last(decoder: PictureDecoder) -> PictureDecoder:
    """The decoder with its weights as a GPU's convolutions read them."""
    # torch's stubs leave memory_format out
    return decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def sizes(form: WorldForm = SMALL, dit: DiTConfig | None = None, positions: str = "relative") -> DiffusionConfig:
    """The DiffusionConfig of a compact world; without `dit`, with a transformer of the size of `small`."""
    g = form.geometry
    return DiffusionConfig(
        dit=dit or shape(form=form),
        cache=CacheConfig(window=form.window, sink=form.sink, block=1, positions=positions),
        sampler=SamplerConfig(steps=form.steps, shift=form.shift, prediction="x0"),
        latents=LatentConfig(channels=g.channels, height=g.rows, width=g.columns, grid=g.grid),
    )
