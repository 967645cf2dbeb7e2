"""Rendered clips of the storybook, in pairs: two scenes of one seed that meet in one place at the seam.

Both clips of a pair have the same camera and clock. The second is the first with some attributes changed, and its way
is laid so that both are at the same place when block SEAM begins: there a stream can change from one to the other,
either way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from world.train.data.render import dials_per_frame
from world.train.story.form import PICTURE
from world.train.story.turns import turned_dials
from world.train.tale.draw import draw
from world.train.tale.scene import Scenes, changed, random_scenes
from world.train.tale.stage import FRAME_S, PAN_SPEED, ROUND, SPEED
from world.train.tale.words import ATTRIBUTES

BLOCKS, SEAM = 14, 7  # of a clip, and of them before the seam
FRAMES = 6  # pixel frames in a block
OPENING_PHASE = 0.0  # of the camera where a stream begins: nothing tells a stream of its own where to begin
TURNED = 0.5  # the share of pairs and of openings whose dials are turned
CHANGES = (0.55, 0.25, 0.15, 0.05)  # the shares of pairs that differ in one, two, three and four attributes


@dataclass(frozen=True)
class ClipPairs:
    """P pairs of clips: their scenes, one after the other, and dials [P, blocks, 3] that both clips share."""

    first: Scenes
    second: Scenes
    dials: Tensor

    @property
    def sides(self) -> tuple[Scenes, Scenes]:
        """The scenes of both sides."""
        return self.first, self.second


def random_pairs(count: int, generator: torch.Generator, blocks: int = BLOCKS, seam: int = SEAM) -> ClipPairs:
    """Random pairs, everything on the CPU, from a generator of the CPU."""
    first = random_scenes(count, generator)
    dials = turned_dials(count, blocks, generator, TURNED)
    second = replace(_changed_somewhere(first, generator))
    # the second clip begins where it must to be at the seam when the first one is
    gap = travelled(first, dials)[:, seam] - travelled(second, dials)[:, seam]
    return ClipPairs(first, replace(second, phase=(second.phase + gap / ROUND) % 1), dials)


def _changed_somewhere(scenes: Scenes, generator: torch.Generator) -> Scenes:
    """The scenes with one to four random attributes changed, the same ones for every four in a row."""
    parts = []
    for rows in torch.arange(len(scenes)).split(4):
        count = 1 + int(torch.multinomial(torch.tensor(CHANGES), 1, generator=generator))
        # a change that is seen at once is asked for more often
        weights = torch.tensor([1.0 if name in ("colour", "way", "speed") else 1.6 for name in ATTRIBUTES])
        names = [ATTRIBUTES[n] for n in torch.multinomial(weights, count, generator=generator)]
        parts.append(changed(scenes.rows(rows), names, generator))
    return join_scenes(parts)


def join_scenes(parts: list[Scenes]) -> Scenes:
    """Scenes one after the other."""
    return Scenes(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def scenes_on(scenes: Scenes, device: torch.device | str) -> Scenes:
    """The same scenes on a device."""
    return Scenes(**{name: value.to(device) for name, value in vars(scenes).items()})


def scenes_at(scenes: Scenes, dials: Tensor, block: int) -> Scenes:
    """The scenes as they stand when block number `block` of their clips begins, on the CPU."""
    haste = torch.exp(0.5 * dials_per_frame(dials)[:, -1, : block * FRAMES, 0, 0])
    phase = scenes.phase + travelled(scenes, dials)[:, block] / ROUND
    return replace(scenes, phase=phase, beat=scenes.beat + (FRAME_S * haste).sum(1))


def travelled(scenes: Scenes, dials: Tensor) -> Tensor:
    """How far each clip's camera has gone when each block begins, in half picture heights: [B, blocks + 1]."""
    per_frame = dials_per_frame(dials)[..., 0, 0]  # [B, dials, T]
    way, speed = scenes.way.float() * 2 - 1, torch.tensor(SPEED)[scenes.speed]
    steps = FRAME_S * ((way * speed)[:, None] * torch.exp(0.5 * per_frame[:, -1]) + PAN_SPEED * per_frame[:, 0])
    by_block = steps.unflatten(1, (-1, FRAMES)).sum(2).cumsum(1)
    return torch.cat([torch.zeros(len(by_block), 1), by_block], 1)


def random_openings(count: int, generator: torch.Generator) -> Scenes:
    """Scenes in which streams begin, all seen from the same place: a choice of places shows as their mean."""
    return replace(random_scenes(count, generator), phase=torch.full((count,), OPENING_PHASE))


def render_scenes(scenes: Scenes, dials: Tensor, device: torch.device, size: tuple[int, int] = PICTURE) -> Tensor:
    """The clips [B, T, 3, Y, X], -1 to 1, on `device`, of scenes and dials [B, blocks, 3] on the CPU."""
    per_frame = dials_per_frame(dials)[..., 0, 0].mT.contiguous()
    return draw(scenes_on(scenes, device), per_frame.to(device), size)


def render_last_block(scenes: Scenes, dials: Tensor, device: torch.device, size: tuple[int, int]) -> Tensor:
    """What `render_scenes` draws of the last block of clips of at least two: [B, 6, 3, Y, X]."""
    per_frame = dials_per_frame(dials)[..., -FRAMES:, 0, 0].mT.contiguous()
    return draw(scenes_on(scenes_at(scenes, dials, dials.shape[1] - 1), device), per_frame.to(device), size)


def in_chunks(count: int, size: int) -> Iterator[slice]:
    """Slices of `size` that cover `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
