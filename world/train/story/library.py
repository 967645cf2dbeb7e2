"""The library of clips: latents of rendered pairs in the memory of the device, with what is said of them."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.train.data.render import random_dials
from world.train.story.clips import (
    BLOCKS,
    ClipPairs,
    in_chunks,
    join_scenes,
    random_openings,
    random_pairs,
    render_scenes,
)
from world.train.story.form import TALE
from world.train.story.spoken import Sentences, opening_tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoryLibrary:
    """P pairs of clips on a device.

    latents: float16 [P, 2, blocks, C, h, w]; dials: [P, blocks, 4]; numbers: int64 [P, 2, attributes]; said: the tokens
    of the sentences.
    """

    latents: Tensor
    dials: Tensor
    numbers: Tensor
    said: Sentences

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def device(self) -> torch.device:
        """Where the clips lie."""
        return self.latents.device


def render_library(
    latents: LinearLatents, most: int, chunk: int, seed: int, is_time_up: Callable[[], bool]
) -> StoryLibrary:
    """Render pairs, `chunk` at once, until the time is up or there are `most`. The device is that of `latents`."""
    device, g = latents.basis.device, TALE.geometry
    generator, rng = torch.Generator().manual_seed(seed), random.Random(seed)
    pairs = random_pairs(most, generator)
    first, second = (scenes.described() for scenes in pairs.sides)
    out = torch.empty(most, 2, BLOCKS, g.channels, g.rows, g.columns, dtype=torch.float16, device=device)
    said, done = Sentences.empty(most), 0
    for rows in in_chunks(most, chunk):
        both = join_scenes([scenes.rows(rows) for scenes in pairs.sides])
        frames = render_scenes(both, pairs.dials[rows].repeat(2, 1, 1), device)
        out[rows] = latents.encode(frames).unflatten(0, (2, -1)).transpose(0, 1).half()
        # a GPU is drawing while the CPU finds the words
        said.write(rows.start, first[rows], second[rows], rng)
        done = rows.stop
        if is_time_up():
            break
    log.info("library: %d pairs of %d blocks", done, 2 * BLOCKS)
    return _library(out[:done], pairs, said)


def _library(latents: Tensor, pairs: ClipPairs, said: Sentences) -> StoryLibrary:
    device, count = latents.device, len(latents)
    numbers = torch.stack([scenes.numbers() for scenes in pairs.sides], 1)[:count].to(device)
    tables = (table[:count].to(device) for table in (said.running, said.turning))
    return StoryLibrary(latents, pairs.dials[:count].to(device), numbers, Sentences(*tables))


@dataclass(frozen=True)
class Openings:
    """N first blocks of streams on a device.

    latents: float16 [N, C, h, w]; dials: [N, 4]; tokens: uint8 [N, VARIANTS, L] of sentences that say all of it.
    """

    latents: Tensor
    dials: Tensor
    tokens: Tensor


def render_openings(
    latents: LinearLatents, most: int, chunk: int, seed: int, is_time_up: Callable[[], bool]
) -> Openings:
    """Render first blocks, `chunk` at once, until the time is up or there are `most`, on the device of `latents`."""
    device, generator, rng = latents.basis.device, torch.Generator().manual_seed(seed), random.Random(seed)
    scenes = random_openings(most, generator)
    dials, told, parts, tokens = random_dials(most, 1, generator), scenes.described(), list[Tensor](), list[Tensor]()
    done = 0
    for rows in in_chunks(most, chunk):
        parts.append(latents.encode(render_scenes(scenes.rows(rows), dials[rows], device))[:, 0].half())
        tokens.append(opening_tokens(told[rows], rng))
        done = rows.stop
        if is_time_up():
            break
    log.info("openings: %d blocks", done)
    return Openings(torch.cat(parts), dials[:done, 0].to(device), torch.cat(tokens).to(device))
