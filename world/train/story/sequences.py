"""Batches of sequences, drawn from the library on its device: openings, streams, switches and stale switches.

All sequences of a batch have the same cut and the same stale blocks, as in `world.train.data.batches`.

A switch is swift: it fades in one block, so that the block after the cut is unlike the one before it even where the
model is unsure. And it may come late: words that have brought nothing for a block or three still have to be followed,
or a switch whose first block went wrong would never come.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.train.data.cross_fade import CrossFade
from world.train.story.clips import BLOCKS, SEAM
from world.train.story.library import Openings, StoryLibrary

FOREIGN = 0.5  # the share of full windows whose sink is of another clip
FADE = 1  # blocks
MOST_EMPHASIS = 12.0
LATE, LATEST = 0.3, 3  # the share of switches that come late, and by how many blocks at most


@dataclass(frozen=True)
class StoryBatch:
    """B sequences of n blocks.

    latents: [B, n, C, h, w]; dials: [B, n, 3]; old, new: tokens [B, L] before and after the change of words. weight:
    [B, n, 1, h, w] or broadcast to it, how much each cell counts. first: the number of the first block in the loss.
    cut: how many first blocks were re-encoded together under `new`. stale: how many are still encoded under `old`.
    """

    latents: Tensor
    dials: Tensor
    old: Tensor
    new: Tensor
    weight: Tensor
    first: int = 0
    cut: int = 0
    stale: int = 0


class SequenceSource:
    """Draws batches. Owns its random numbers: `generator` on the device for the rows, `rng` for what a batch shares."""

    def __init__(self, library: StoryLibrary, shelf: Openings, latents: LinearLatents, seed: int) -> None:
        self.library, self.shelf, self.cross_fade = library, shelf, CrossFade(latents, FADE)
        self.rng = random.Random(seed)
        self.generator = torch.Generator(library.device).manual_seed(seed)

    def openings(self, count: int) -> StoryBatch:
        """Single blocks: a scene from nothing."""
        row = self._numbers(len(self.shelf.latents), count)
        words = self.shelf.tokens[row].long()
        return StoryBatch(
            latents=self.shelf.latents[row].unsqueeze(1).float(),
            dials=self.shelf.dials[row].unsqueeze(1),
            old=words,
            new=words,
            weight=self._alike(count, 1),
        )

    def streams(self, count: int, length: int, is_full: bool | None = None) -> StoryBatch:
        """Sequences that go on as they are.

        is_full: whether the window is full and has a sink, as also below; None for every other batch.
        """
        return self._running(count, length, self._is_full(is_full))

    def stale(self, count: int, length: int, is_full: bool | None = None) -> StoryBatch:
        """Sequences whose words change while the cache still holds the old ones: the old scene goes on."""
        return self._running(count, length, self._is_full(is_full), stale=self.rng.randrange(2, length))

    def switches(self, count: int, length: int, is_full: bool | None = None) -> StoryBatch:
        """Sequences that change into the other clip of the pair, with the history re-encoded under the new words."""
        library, least = self.library, max(1, length + SEAM - BLOCKS)
        turn = self.rng.randrange(least, min(length, SEAM + 1))
        late = self.rng.randrange(1, LATEST + 1) if self.rng.random() < LATE else 0
        cut, is_full = max(1, turn - late), self._is_full(is_full)
        row, side = self._rows(count), self._sides(count)
        blocks = (torch.arange(length, device=library.device) + SEAM - turn).expand(count, -1)
        before, after = (self._clips(row, s, blocks) for s in (1 - side, side))
        batch = StoryBatch(
            latents=self.cross_fade.fade(before, after, turn),
            dials=library.dials[row[:, None], blocks],
            old=self._said(row, 1 - side),
            new=self._said(row, side),
            weight=emphasis(before, after),
            first=turn,
            cut=cut,
            stale=int(cut > 1 and is_full),
        )
        return self._with_sinks(batch, row, 1 - side) if batch.stale else batch

    def _running(self, count: int, length: int, is_full: bool, stale: int = 0) -> StoryBatch:
        """Clips as they are: under words that fit them, or with `stale` first blocks, after which the words change."""
        library = self.library
        row, side = self._rows(count), self._sides(count)
        start = self._numbers(BLOCKS - length + 1, count)
        blocks = start[:, None] + torch.arange(length, device=library.device)
        fitting = self._said(row, side)
        new = self._said(row, 1 - side) if stale else fitting
        batch = StoryBatch(
            latents=self._clips(row, side, blocks),
            dials=library.dials[row[:, None], blocks],
            old=fitting,
            new=new,
            weight=self._alike(count, length),
            first=max(1, stale),  # words do not say where in its way the first block is
            # a sink that was in a recache is under the present words, and another under its own
            stale=stale or int(is_full and self.rng.random() < 0.5),
        )
        return self._with_sinks(batch, row, side) if is_full else batch

    def _with_sinks(self, batch: StoryBatch, row: Tensor, side: Tensor) -> StoryBatch:
        """The batch in full windows: its first blocks are from elsewhere in the clip, or from another clip."""
        library, count = self.library, len(row)
        old = batch.old
        if batch.stale <= 1:  # words have changed since, perhaps: the sink is of another clip, often of the other side
            foreign, is_far = self._chance(count, FOREIGN), self._chance(count, 0.5)
            row = torch.where(foreign & is_far, self._rows(count), row)
            side = torch.where(foreign, 1 - side, side)
        if batch.stale == 1:
            old = self._said(row, side)
        block = self._numbers(BLOCKS, count)
        latents, dials = batch.latents.clone(), batch.dials.clone()
        latents[:, 0], dials[:, 0] = library.latents[row, side, block].float(), library.dials[row, block]
        # the block after the sink does not follow it
        return replace(batch, latents=latents, dials=dials, old=old, first=max(2, batch.first))

    def _clips(self, row: Tensor, side: Tensor, blocks: Tensor) -> Tensor:
        """Latents [B, n, C, h, w] of blocks [B, n]."""
        return self.library.latents[row[:, None], side[:, None], blocks].float()

    def _said(self, row: Tensor, side: Tensor) -> Tensor:
        """What is said of clips: tokens int64 [B, L]."""
        return self.library.tokens[row, side].long()

    def _alike(self, count: int, length: int) -> Tensor:
        """The weight of cells that count alike, [B, n, 1, 1, 1]."""
        return torch.ones(count, length, 1, 1, 1, device=self.library.device)

    def _is_full(self, asked: bool | None) -> bool:
        return self.rng.random() < 0.5 if asked is None else asked

    def _rows(self, count: int) -> Tensor:
        return self._numbers(len(self.library), count)

    def _sides(self, count: int) -> Tensor:
        return self._numbers(2, count)

    def _numbers(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.generator, device=self.library.device)

    def _chance(self, count: int, share: float) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.library.device) < share


def emphasis(before: Tensor, after: Tensor) -> Tensor:
    """The weight of each cell of a switch, [B, n, 1, h, w], from both clips [B, n, C, h, w].

    Every cell counts once, and all together once more by how far the clips differ there. Without it the colour of a
    small boat weighs a hundredth of its waves.
    """
    apart = (after - before).square().mean(2, keepdim=True)
    return 1 + (apart / apart.mean((1, 3, 4), keepdim=True).clamp(min=1e-6)).clamp(max=MOST_EMPHASIS)


def read_pairs(library: StoryLibrary, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two blocks in a row of random clips, [B, 2, C, h, w], and the values of their attributes, int64 [B, K]."""

    def numbers(below: int) -> Tensor:
        return torch.randint(below, (count,), generator=generator, device=library.device)

    row, side = numbers(len(library)), numbers(2)
    blocks = numbers(BLOCKS - 1)[:, None] + torch.arange(2, device=library.device)
    return library.latents[row[:, None], side[:, None], blocks].float(), library.numbers[row, side]
