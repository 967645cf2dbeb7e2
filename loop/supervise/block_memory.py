"""The newest blocks as the window's process remembers them, to go on from in another process."""

from __future__ import annotations

from collections.abc import Sequence

from loop.link.kept import Kept
from loop.link.message import BlockMade
from world.block import Conditions, Snapshot, latent_frames


class BlockMemory:
    """The newest blocks that were made and not dropped, and which were dropped. Owned by the live model.

    reserve: the reserve of the stream; at most one block more can be dropped at a time. end: the latent frame at which
    the newest block was cut, and that the next one begins with; None: it is whole.
    """

    def __init__(self, reserve: int) -> None:
        self._reserve = reserve
        self._made: list[BlockMade] = []
        self._drops: list[Kept] = []  # for each drop: up to where the stream was kept
        self.end: int | None = None

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
        if self.is_dropped(made.block.index, made.epoch):
            return
        self._made, self.end = [*self._made, made], None
        needed = (memory_blocks + self._reserve + 2) * made.block.latents.shape[1]
        while latent_frames([made.block for made in self._made[1:]]) >= needed:
            del self._made[0]

    def recall(self, made: Sequence[BlockMade]) -> None:
        """Remember these blocks of an earlier show, oldest first, and no others."""
        self._made, self.end = list(made), None

    def go_back_to(self, made: Sequence[BlockMade], end: int | None = None) -> None:
        """Drop every block that is still to come of this epoch, and remember these, oldest first, and no others."""
        self._drops.append(Kept(-1))
        self._made, self.end = list(made), end

    def drop_after(self, kept: Kept) -> None:
        """Forget what comes after `kept`, the blocks of this epoch that are still to come included."""
        self._drops.append(kept)
        made = [made for made in self._made if made.block.index <= kept.block]
        if made and len(made) < len(self._made):
            following = self._made[len(made)].block
            self.end = following.start or None  # where the newest was cut earlier, if it was
        self._made = made
        if kept.latents is not None and made and made[-1].block.index == kept.block:
            self.end = made[-1].block.start + kept.latents

    def can_drop_after(self, kept: Kept, cut_from: int | None = None) -> bool:
        """Whether what comes after `kept` can be made anew.

        Its block is remembered, those after it are few, and none is a hard cut. cut_from: of the world, from which
        latent frame on a block can be cut; None: never.
        """
        later = [made.block for made in self._made if made.block.index > kept.block]
        newest = next((made.block for made in self._made if made.block.index == kept.block), None)
        if newest is None or len(later) > self._reserve + 1 or not all(block.start for block in later):
            return False
        return kept.latents is None or (cut_from is not None and newest.start + kept.latents >= cut_from)

    def is_dropped(self, block: int, epoch: int, latent: int = 0) -> bool:
        """Whether latent frame number `latent` of block number `block`, made in `epoch`, was dropped since."""
        return any(kept.drops(block, latent) for kept in self._drops[epoch:])

    def forget(self) -> None:
        """Forget every block: the stream begins anew."""
        self._made, self.end = [], None

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
            start=last.start + last.latents.shape[1] if self.end is None else self.end,
            words=conditions.words,
            dials=conditions.dials,
            blocks=tuple(made.block for made in self._made[since_cut:]),
        )
