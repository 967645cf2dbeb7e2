"""The blocks of a show so far, to go back to: all of them by number, their latents as far as there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from loop.link.kept import Kept
from loop.link.message import BlockMade
from world.past_block import PastBlock

ROOM_BYTES = 256 << 20  # five minutes of 832x480, many hours of the bundled world


class ShowPast:
    """Owned by the live model.

    memory_blocks: how many blocks a model needs to go on from one; known once it is open.
    """

    def __init__(self, blocks: Iterable[BlockMade] = (), room_bytes: int = ROOM_BYTES) -> None:
        self.memory_blocks = 0
        self._blocks: dict[int, BlockMade] = {}
        self._ends: dict[int, int] = {}  # of the blocks that were cut, the latent frame after what is left of them
        self._means: dict[int, np.ndarray] = {}
        self._order: deque[int] = deque()
        self._left_bytes = room_bytes
        for made in blocks:
            self.add(made)

    def add(self, made: BlockMade) -> None:
        """Remember a block; the oldest are forgotten where there is no room for it."""
        self._blocks[made.block.index] = made
        if made.block.start and made.block.parent in self._blocks:
            self._ends[made.block.parent] = made.block.start
        self._means[made.block.index] = made.block.latents.astype(np.float32).mean((0, 1, 3, 4))
        self._order.append(made.block.index)
        self._left_bytes -= made.block.size_bytes
        while self._left_bytes < 0:
            oldest = self._order.popleft()
            self._left_bytes += self._blocks.pop(oldest).block.size_bytes
            self._ends.pop(oldest, None)
            del self._means[oldest]

    def cut(self, kept: Kept) -> None:
        """What comes after `kept` was dropped: of its block only a part may be left."""
        if kept.latents is not None and kept.block in self._blocks:
            self._ends[kept.block] = self._blocks[kept.block].block.start + kept.latents

    def end(self, index: int) -> int:
        """The latent frame after block `index`, or after what is left of it."""
        block = self._blocks[index].block
        return self._ends.get(index, block.start + block.latents.shape[1])

    def knows(self, index: int) -> bool:
        """Whether block `index` is remembered."""
        return index in self._blocks

    def parent(self, index: int) -> int:
        """The block before block `index`; -1 if there is none, or if it is not known any more."""
        made = self._blocks.get(index)
        return made.block.parent if made and made.block.parent in self._blocks else -1

    def can_go_on_from(self, index: int) -> bool:
        """Whether enough is known to go on from block `index`."""
        line = self.line(index)
        return bool(line) and (self._is_enough(line) or line[0].block.start == 0)

    def line(self, tip: int) -> tuple[BlockMade, ...]:
        """The blocks up to `tip` that a model needs to go on from it, oldest first; those that are known."""
        found: list[BlockMade] = []
        while tip in self._blocks and not (found and self._is_enough(found)):
            found.insert(0, self._blocks[tip])
            if not found[0].block.start:
                break
            tip = found[0].block.parent
        return tuple(found)

    def _is_enough(self, line: Sequence[BlockMade]) -> bool:
        """Whether these blocks, oldest first, have as many latent frames as a model needs, however they were cut."""
        last = line[-1].block
        frames = self.end(last.index) - last.start + sum(b.block.start - a.block.start for a, b in pairwise(line))
        return frames >= self.memory_blocks * last.latents.shape[1]

    def ancestors(self, tip: int) -> list[int]:
        """The numbers of all blocks up to `tip` that are known, oldest first, over hard cuts too."""
        found = []
        while tip in self._blocks:
            found.append(tip)
            tip = self._blocks[tip].block.parent
        return found[::-1]

    def mean_latents(self, index: int) -> np.ndarray:
        """The mean of a block's latents in each channel: float32 [C]."""
        return self._means[index]

    def recalled(self, tip: int, count: int) -> tuple[PastBlock, ...]:
        """The newest blocks up to `tip`, at most so many, as a Recall brings them back."""
        return tuple(made.block.past for made in self.line(tip)[-count:])

    def first_under(self, tip: int) -> int:
        """Of the blocks up to `tip` that were made under its words one after another, the first that is known."""
        while self.parent(tip) >= 0 and self._blocks[tip].block.start:
            before = self._blocks[self.parent(tip)]
            if before.conditions.words != self._blocks[tip].conditions.words:
                break
            tip = before.block.index
        return tip

    def words(self, index: int) -> str:
        """The words that a block was made under, as text."""
        return str(self._blocks[index].conditions.words)

    def starts_scene(self, index: int) -> bool:
        """Whether block `index` follows a hard cut or the beginning."""
        return self._blocks[index].block.start == 0

    def blocks_between(self, older: int, newer: int) -> int:
        """How many blocks `newer` comes after `older` in its line; 0 if it does not."""
        count = 0
        while newer != older:
            newer, count = self.parent(newer), count + 1
            if newer < 0:
                return 0
        return count
