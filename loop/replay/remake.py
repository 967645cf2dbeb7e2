"""The blocks of a saved session, made again from its log alone."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace

import numpy as np

from loop.archive.record import BlockRecord
from loop.archive.saved import SavedSession
from loop.archive.segment import LatentsLostError
from world.block import Block, Conditions, Session, Snapshot, World
from world.event import Event, Rebuild, Recall
from world.past_block import PastBlock

_REMEMBERED = 512  # blocks made again whose latents are kept, where those of the session cannot be read


class CannotRemakeError(ValueError):
    """Too much of the log is lost to make a block again; the message says what."""


class Remaker:
    """Makes blocks again in the order in which they were made; each equals the stored one, bit for bit, by the law.

    uses_stored: go on from the session's own latents where they can be read; else only from what was made here, as for
    another size of the picture.
    """

    def __init__(self, world: World, saved: SavedSession, uses_stored: bool = True) -> None:
        self._world, self._saved, self._uses_stored = world, saved, uses_stored
        self._session: Session | None = None
        self._tip: int | None = None  # the newest block of that session; None once it went astray
        self._folding: Session | None = None  # a session that denoises nothing of its own
        self._folding_tip = -1  # the newest block that it took
        self._made: OrderedDict[int, np.ndarray] = OrderedDict()

    def straight(self, record: BlockRecord) -> Block:
        """Make the block in the session that made the ones before it, as the live session did."""
        session = self._session
        if session is None or self._tip is None or record.parent != self._tip or _begins_anew(record):
            session = self._session = self._session_before(record)
        made = session.again(self._stub(record))
        self._tip = record.index
        self._made[record.index] = made.latents
        while len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return made

    def distrust(self) -> None:
        """The block that was made last is not the stored one: the next one is made from stored latents again."""
        self._tip = None

    def folded(self, record: BlockRecord) -> Block:
        """Make the block in a session that the fold has brought there: it denoises nothing else, and reads the log.

        From one cut in the log to the next, that session takes each block for the one after its parent, which is what
        the fold does for a block more; at the cut it is given up, and the next one is folded from there.
        """
        if self._folding is None or self._folding_tip != record.parent:
            self._folding = self._folded_before(record)
        made = self._folding.rehearse(self._stub(record))
        if record.start == 0 or record.cut is not None:
            self._folding = None
        else:
            self._folding.follow(self._block(record))
            self._folding_tip = record.index
        return made

    def latents(self, index: int) -> np.ndarray:
        """The latents of a block: as stored, or else as made again here. Raises CannotRemakeError without either."""
        try:
            if self._uses_stored:
                return self._saved.latents(index)
        except LatentsLostError:
            pass
        if index not in self._made:
            raise CannotRemakeError(f"the latents of block {index} are lost")
        return self._made[index]

    def _session_before(self, record: BlockRecord) -> Session:
        """A session from which `record` can be made: by a cut, where the log has one, or else by the fold."""
        is_anew = any(isinstance(event, Rebuild | Recall) for event in record.events)
        needs_averages = any(isinstance(event, Rebuild) and event.keeps_averages for event in record.events)
        if record.start == 0 or (is_anew and not (needs_averages and self._averages(record.parent) is None)):
            return self._resumed_before(record)
        return self._folded_before(record)

    def _resumed_before(self, record: BlockRecord) -> Session:
        before, blocks = self._conditions_before(record), tuple[Block, ...]()
        session = self._world.session(before.seed, str(before.words))
        try:
            if record.parent in self._saved.blocks:
                line, memory = self._line_before(record), self._saved.header.memory_blocks
                line = line[-len(self._saved.newest(record.parent, memory, record.start)) :]
                blocks = tuple(self._block(one) for one in line)
        except CannotRemakeError:
            if record.start:  # else a hard cut, which needs nothing of what was before
                raise
        start = (record.start or self._saved.blocks[record.parent].end) if blocks else 0
        session.resume(Snapshot(before.seed, record.index, start, before.words, before.dials, blocks))
        return session

    def _folded_before(self, record: BlockRecord) -> Session:
        if record.start == 0:  # nothing of a cache goes over a hard cut
            return self._resumed_before(record)
        line = self._line_before(record)
        first = self._conditions_before(line[0])
        session = self._world.session(first.seed, str(first.words))
        session.fold([self._block(one) for one in line], first.words, first.dials)
        return session

    def _line_before(self, record: BlockRecord) -> list[BlockRecord]:
        """The blocks before `record` since its scene began, oldest first; raises CannotRemakeError at a missing one."""
        found, parent = list[BlockRecord](), record.parent
        while not found or found[-1].start:
            if parent not in self._saved.blocks:
                raise CannotRemakeError(f"the log has no block {parent} any more")
            found.append(self._saved.blocks[parent])
            parent = found[-1].parent
        return found[::-1]

    def _conditions_before(self, record: BlockRecord) -> Conditions:
        """What was in force before the block's own events; for one without a parent what the stream began with."""
        header = self._saved.header
        if record.parent in self._saved.blocks:
            return self._saved.blocks[record.parent].conditions
        if record.index == 0:
            return Conditions(header.prompt, header.seed)
        return replace(record.conditions, seed=header.seed)

    def _block(self, record: BlockRecord) -> Block:
        return self._whole(record, self.latents(record.index), self._averages(record.index))

    def _averages(self, index: int) -> np.ndarray | None:
        """The averages of a block as stored; None where they cannot be read, or are not to be used."""
        if self._uses_stored and index in self._saved.places:
            with suppress(LatentsLostError):
                return self._saved.averages(index)
        return None

    def _stub(self, record: BlockRecord) -> Block:
        """The block as `Session.again` reads it."""
        return self._whole(record, np.empty(0))

    def _whole(self, record: BlockRecord, latents: np.ndarray, averages: np.ndarray | None = None) -> Block:
        """The block with all that its events name; raises CannotRemakeError where a recalled block is lost."""
        block = record.block(latents, averages)
        return replace(block, events=tuple(self._with_latents(event) for event in block.events))

    def _with_latents(self, event: Event) -> Event:
        if not isinstance(event, Recall):
            return event
        lost = [block.index for block in event.blocks if block.index not in self._saved.blocks]
        if lost:
            raise CannotRemakeError(f"the log has no block {lost[0]} any more, which it recalls")
        records = [self._saved.blocks[block.index] for block in event.blocks]
        blocks = tuple(PastBlock(one.index, self.latents(one.index), one.dials) for one in records)
        return replace(event, blocks=blocks)


def _begins_anew(record: BlockRecord) -> bool:
    """Whether the stream was begun anew at this block, without words of its own: its model had died too often."""
    return record.start == 0 and record.parent == -1
