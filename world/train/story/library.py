"""The library of clips: latents of rendered pairs in the memory of the device, with what is said of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.train.story.clips import (
    BLOCKS,
    TURNED,
    in_chunks,
    join_scenes,
    random_openings,
    random_pairs,
    render_scenes,
)
from world.train.story.form import TALE
from world.train.story.spoken import scene_tokens
from world.train.story.turns import turned_dials

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoryLibrary:
    """P pairs of clips on a device.

    latents: float16 [P, 2, blocks, C, h, w]; dials: [P, blocks, 3]; numbers: int64 [P, 2, attributes]; tokens: uint8
    [P, 2, L], of what the model reads beside each clip.
    """

    latents: Tensor
    dials: Tensor
    numbers: Tensor
    tokens: Tensor

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
    pairs = random_pairs(most, torch.Generator().manual_seed(seed))
    out = torch.empty(most, 2, BLOCKS, g.channels, g.rows, g.columns, dtype=torch.float16, device=device)
    done = 0
    for rows in in_chunks(most, chunk):
        both = join_scenes([scenes.rows(rows) for scenes in pairs.sides])
        frames = render_scenes(both, pairs.dials[rows].repeat(2, 1, 1), device)
        out[rows] = latents.encode(frames).unflatten(0, (2, -1)).transpose(0, 1).half()
        done = rows.stop
        if is_time_up():
            break
    log.info("library: %d pairs of %d blocks", done, 2 * BLOCKS)
    numbers = torch.stack([scenes.numbers() for scenes in pairs.sides], 1)[:done].to(device)
    return StoryLibrary(out[:done], pairs.dials[:done].to(device), numbers, scene_tokens(numbers))


@dataclass(frozen=True)
class Openings:
    """N first blocks of streams on a device.

    latents: float16 [N, C, h, w]; dials: [N, 3]; tokens: uint8 [N, L].
    """

    latents: Tensor
    dials: Tensor
    tokens: Tensor


def render_openings(
    latents: LinearLatents, most: int, chunk: int, seed: int, is_time_up: Callable[[], bool]
) -> Openings:
    """Render first blocks, `chunk` at once, until the time is up or there are `most`, on the device of `latents`."""
    device, generator = latents.basis.device, torch.Generator().manual_seed(seed)
    scenes = random_openings(most, generator)
    dials, parts, done = turned_dials(most, 1, generator, TURNED), list[Tensor](), 0
    for rows in in_chunks(most, chunk):
        parts.append(latents.encode(render_scenes(scenes.rows(rows), dials[rows], device))[:, 0].half())
        done = rows.stop
        if is_time_up():
            break
    log.info("openings: %d blocks", done)
    tokens = scene_tokens(scenes.numbers()[:done])
    return Openings(torch.cat(parts), dials[:done, 0].to(device), tokens.to(device))
