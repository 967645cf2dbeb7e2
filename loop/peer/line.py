"""The blocks that a guest's process was given, and a snapshot while it comes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loop.link.message import BlockMade
from net.picture import WorldState

KEPT = 64  # blocks


class Line:
    """Owned by the guest's model. is_arriving: a snapshot has begun to come, and is not complete."""

    def __init__(self) -> None:
        self._digests: dict[int, str] = {}  # by block, in the order in which they were given
        self._state: WorldState | None = None
        self._blocks: list[BlockMade] = []  # of the snapshot

    @property
    def is_arriving(self) -> bool:
        return self._state is not None

    @property
    def newest(self) -> int:
        """The newest block that was given; -1 for none."""
        return max(self._digests, default=-1)

    def clear(self) -> None:
        """What was given is of no use any more; a snapshot that comes still is."""
        self._digests.clear()

    def knows(self, block: int) -> bool:
        """Whether this block was given."""
        return block in self._digests

    def note_given(self, made: BlockMade) -> None:
        """The process was given this block."""
        self._digests[made.block.index] = made.block.digest
        while len(self._digests) > KEPT:
            del self._digests[next(iter(self._digests))]

    def drop_after(self, kept: int) -> None:
        """The blocks after `kept` were taken back."""
        self._digests = {index: digest for index, digest in self._digests.items() if index <= kept}

    def known_of(self, blocks: Sequence[BlockMade]) -> int:
        """How many of these blocks, from the first on, end with one that was given."""
        known = [n for n, made in enumerate(blocks) if self._digests.get(made.block.index) == made.block.digest]
        return known[-1] + 1 if known else 0

    def expect(self, state: WorldState) -> None:
        """A snapshot comes: its blocks follow."""
        self._state, self._blocks = state, []

    def give_up(self) -> None:
        """The snapshot that was coming does not come to its end."""
        self._state = None

    def arrived(self, made: BlockMade) -> list[BlockMade]:
        """A block of the snapshot has come; all of its blocks, once this was the last."""
        assert self._state is not None, "nothing arrives that was not expected"
        self._blocks.append(made)
        if len(self._blocks) < self._state.blocks:
            return []
        self._state = None
        return self._blocks
