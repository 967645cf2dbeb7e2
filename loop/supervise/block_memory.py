"""The newest blocks as the window's process remembers them, to go on from in another process."""

from __future__ import annotations

from collections.abc import Sequence

from loop.link.message import BlockMade
from world.block import Conditions, Snapshot


class BlockMemory:
    """The newest blocks that were made and not dropped, and which were dropped. Owned by the live model.

    reserve: the reserve of the stream; at most one block more can be dropped at a time.
    """

    def __init__(self, reserve: int) -> None:
        self._reserve = reserve
        self._made: list[BlockMade] = []
        self._drops: list[int] = []  # for each drop: the newest block that was kept

    @property
    def epoch(self) -> int:
        """How often blocks have been dropped."""
        return len(self._drops)

    @property
    def conditions(self) -> Conditions | None:
        """What the newest block was made under; None before the first."""
        return self._made[-1].conditions if self._made else None

    @property
    def made(self) -> tuple[BlockMade, ...]:
        """The blocks that are remembered, oldest first."""
        return tuple(self._made)

    def add(self, made: BlockMade, memory_blocks: int) -> None:
        """Remember a block, unless it was dropped; memory_blocks: of the world, how many are needed to go on."""
        if not self.is_dropped(made.block.index, made.epoch):
            self._made = [*self._made, made][-(memory_blocks + self._reserve + 2) :]

    def recall(self, made: Sequence[BlockMade]) -> None:
        """Remember these blocks of an earlier show, oldest first, and no others."""
        self._made = list(made)

    def go_back_to(self, made: Sequence[BlockMade]) -> None:
        """Drop every block that is still to come of this epoch, and remember these, oldest first, and no others."""
        self._drops.append(-1)
        self._made = list(made)

    def drop_after(self, kept: int) -> None:
        """Forget the blocks after `kept`, those of this epoch that are still to come included."""
        self._drops.append(kept)
        self._made = [made for made in self._made if made.block.index <= kept]

    def can_drop_after(self, kept: int) -> bool:
        """Whether the blocks after `kept` can be made anew: `kept` is remembered, they are few, and none is a cut."""
        later = [made.block for made in self._made if made.block.index > kept]
        is_known = any(made.block.index == kept for made in self._made)
        return is_known and len(later) <= self._reserve + 1 and all(block.start for block in later)

    def is_dropped(self, block: int, epoch: int) -> bool:
        """Whether block number `block`, made in `epoch`, was dropped since."""
        return any(block > kept for kept in self._drops[epoch:])

    def forget(self) -> None:
        """Forget every block: the stream begins anew."""
        self._made = []

    def snapshot(self, newest_seen: int, seed: int, words: str) -> Snapshot | None:
        """Where to go on; None from the beginning. No block number up to `newest_seen` is used again.

        Without a block to go on from, a stream begins anew from this seed under these words.
        """
        if not self._made:
            return None if newest_seen < 0 else Snapshot(seed, newest_seen + 1, 0, words, {})
        last, conditions = self._made[-1].block, self._made[-1].conditions
        since_cut = max((place for place, made in enumerate(self._made) if made.block.start == 0), default=0)
        return Snapshot(
            seed=conditions.seed,
            index=max(newest_seen, last.index) + 1,
            start=last.start + last.latents.shape[1],
            words=conditions.words,
            dials=conditions.dials,
            blocks=tuple(made.block for made in self._made[since_cut:]),
        )
