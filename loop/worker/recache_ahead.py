"""A recache for the next block that runs before its boundary, behind the words in force (modes AHEAD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.link.message import Taken
from loop.timing.brake import Brake
from loop.timing.clock import Clock
from loop.timing.costs import Costs
from loop.timing.switch import AHEAD, fits
from loop.worker.frame_output import FrameOutput
from loop.worker.inbox import Inbox, submitted
from loop.worker.sequencer import Numbered
from loop.worker.window_link import WindowLink
from world.block import Session
from world.event import words_of


@dataclass(frozen=True)
class StreamParts:
    """What a running session in the model's process is put together from. Each part alone changes its own state.

    brake: None where blocks are made in the steps that are asked for, in time or not.
    """

    session: Session
    inbox: Inbox
    output: FrameOutput
    link: WindowLink
    costs: Costs
    clock: Clock
    brake: Brake | None = None


class RecacheAhead:
    """Recaches under the words that wait, and the events that were taken for them. Owned by the stream."""

    def __init__(self, parts: StreamParts) -> None:
        self._parts = parts
        self._taken: list[Numbered] = []
        self._under_way: list[tuple[int, tuple[int, ...]]] = []  # begin, and the numbers of the events

    @property
    def is_asked(self) -> bool:
        """Whether words wait for which the mode allows a recache ahead."""
        return self._parts.inbox.mode in AHEAD and self._parts.inbox.has_words

    @property
    def has_words(self) -> bool:
        """Whether words were taken for a block that is not begun: no others may come before that one is made."""
        return any(words_of(event) is not None for _, event in self._taken)

    @property
    def fits(self) -> bool:
        """Whether a recache that begins now leaves the next block in time. Words are made to wait only once."""
        parts = self._parts
        return parts.inbox.has_postponed or fits(parts.costs.worst, parts.clock.now_ns(), self._due_ns)

    @property
    def _due_ns(self) -> int | None:
        """When the next block is due, at the earliest: one that is leapt to may be shown at once."""
        output, due_ns, period_ns = self._parts.output, self._parts.output.due_ns, self._parts.output.period_ns
        if due_ns is None or period_ns is None or not self._parts.inbox.leaps_to(self._parts.session.index - 1):
            return due_ns
        return min(due_ns, self._parts.clock.now_ns() + output.block_frames * period_ns)

    def begin(self, block: int) -> None:
        """Take what waits for `block` and recache for it, while the present words stay in force until that block."""
        parts, begun_ns = self._parts, self._parts.clock.now_ns()
        taken, replaced = parts.inbox.take(block)
        parts.link.send(Taken(block, submitted(taken), replaced, begun_ns, recaches=True))
        parts.session.ahead([event for _, event in taken])
        self._taken += taken
        self._under_way.append((begun_ns, submitted(taken)))
        self.note_finished()

    def note_finished(self) -> None:
        """Note the costs of recaches that have finished: on a GPU they run on after `begin` returns."""
        if self._under_way and not self._parts.session.is_recaching:
            now_ns = self._parts.clock.now_ns()
            for begun_ns, numbers in self._under_way:
                self._parts.costs.note_recache(now_ns - begun_ns)
                self._parts.link.stamp("recached", now_ns, numbers)
            self._under_way.clear()

    def pop_taken(self) -> list[Numbered]:
        """The events that were taken for the block that begins now."""
        taken, self._taken = self._taken, []
        return taken

    def put_back(self, taken: Sequence[Numbered]) -> None:
        """Events of an abandoned block: they are in force for the block that is made instead of it."""
        self._taken = [*taken, *self._taken]

    def forget(self) -> None:
        """The blocks that the events were taken for have been taken back."""
        self._taken.clear()
