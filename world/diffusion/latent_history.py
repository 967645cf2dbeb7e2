"""The latents that a rebuild would encode: the newest blocks, as the cache knew them, and what they were made under."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from world.block import Block, Conditions
from world.diffusion.recache import Stretch, frames_needed
from world.dit.config import CacheConfig
from world.dit.device import upload
from world.event import Event, Prompt, Scene

Dials = list[dict[str, float]]  # of each latent frame


@dataclass(frozen=True)
class Kept:
    """A block of the past: latents [B, F, C, h, w] as stored, in float32 on the world's device.

    end: the number of the latent frame after it. conditions: what it was made under; None where nobody told.
    """

    index: int
    end: int
    latents: Tensor
    dials: dict[str, float]
    events: tuple[Event, ...]
    conditions: Conditions | None

    @property
    def frames(self) -> int:
        return self.latents.shape[1]


class LatentHistory:
    """The newest blocks of a stream: a window, and `spare` more that may be taken back. Owned by a session.

    end: the number of the latent frame that comes next.
    """

    def __init__(self, cache: CacheConfig, device: torch.device, spare: int = 8) -> None:
        self._cache, self._device, self._spare = cache, device, spare
        self.clear()

    def clear(self, end: int = 0) -> None:
        """Nothing is known before latent frame `end`."""
        self.end = end
        self._blocks: list[Kept] = []

    def cut(self) -> None:
        """The next block begins anew. What came before it is kept until it is made: it may be abandoned."""
        self.end = 0

    def add(self, block: Block, conditions: Conditions | None) -> None:
        """The next block, and what it was made under."""
        if block.start != self.end:
            come = f"a block begins at latent frame {block.start} where {self.end} comes next"
            raise ValueError(f"{come}: blocks are missing")
        if block.start == 0:
            self.clear()
        latents = upload(torch.from_numpy(block.latents).float(), self._device)
        self.end += latents.shape[1]
        self._blocks.append(Kept(block.index, self.end, latents, block.dials, block.events, conditions))
        while self._cache.window != -1 and _frames(self._blocks[1 : -self._spare or None]) >= self._cache.window:
            del self._blocks[0]

    def last(self, frames: int) -> tuple[Stretch, Dials]:
        """The newest `frames` latent frames, and the dials of each; raises ValueError when they are not known."""
        if not self._blocks:
            raise ValueError(f"nothing is known of what came before latent frame {self.end}: blocks are missing")
        first = len(self._blocks) - 1
        while first and _frames(self._blocks[first:]) < frames:
            first -= 1
        blocks = self._blocks[first:]
        stretch = Stretch(torch.cat([block.latents for block in blocks], 1), self.end - _frames(blocks)).last(frames)
        return stretch, [block.dials for block in blocks for _ in range(block.frames)][-frames:]

    def newest(self) -> tuple[Stretch, Dials]:
        """The newest block, and the dials of each of its latent frames."""
        return self.last(self._blocks[-1].frames)

    def take_back(self, after: int) -> tuple[Conditions, list[Kept]]:
        """Go back to the end of block `after`: what it was made under, and the blocks forgotten, oldest first.

        Raises ValueError where a rebuild could not follow.
        """
        known = [number for number in range(len(self._blocks)) if self._can_go_back_to(number)]
        place = next((number for number in known if self._blocks[number].index == after), None)
        if place is None:
            which = ", ".join(str(self._blocks[number].index) for number in known) or "none"
            raise ValueError(f"block {after} cannot be gone back to: those that can be are {which}")
        kept, forgotten = self._blocks[: place + 1], self._blocks[place + 1 :]
        if forgotten:
            self._blocks, self.end = kept, kept[-1].end
        return kept[-1].conditions, forgotten

    def hold_back(self, index: int) -> list[Kept]:
        """Leave out block `index` and those after it, for `put_back` in this order."""
        held = [block for block in self._blocks if block.index >= index]
        self._blocks = self._blocks[: len(self._blocks) - len(held)]
        self.end -= _frames(held)
        return held

    def put_back(self, block: Kept) -> None:
        """The next block, which was held back."""
        self._blocks.append(block)
        self.end = block.end

    def _can_go_back_to(self, place: int) -> bool:
        block = self._blocks[place]
        needed = frames_needed(self._cache, block.end, renew=True)
        return block.conditions is not None and _frames(self._blocks[: place + 1]) >= needed


def _frames(blocks: Sequence[Kept]) -> int:
    return sum(block.frames for block in blocks)


def gapless(blocks: Sequence[Block], end: int) -> list[Block]:
    """The newest of `blocks` that follow one another up to latent frame `end`, oldest first."""
    run: list[Block] = []
    for block in reversed(blocks):
        if block.start + block.latents.shape[1] != end:
            break
        run.insert(0, block)
        end = block.start
    return run


def words_of(blocks: Sequence[Block], newest: str) -> list[str | None]:
    """The words each of `blocks` was made under, where the newest was under `newest`; None where nobody told."""
    spoken = [[e.text for e in block.events if isinstance(e, Prompt | Scene)] for block in blocks]
    words = None if any(spoken) else newest
    found: list[str | None] = []
    for texts in spoken:
        words = texts[-1] if texts else words
        found.append(words)
    return found
