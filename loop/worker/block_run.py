"""One block in the model's process: when its passes run, when it is shown, and when it is left for something better."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loop.link.message import BlockDone, BlockMade, Facts, Taken
from loop.timing.switch import PLAIN, fits
from loop.worker.inbox import submitted
from world.block import Block, Conditions, Made, Pass, Recached

if TYPE_CHECKING:
    from loop.worker.stream import Stream

now_ns = time.perf_counter_ns


class BlockRun:
    """One block from its boundary to its clean pass."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.session = stream, stream.session
        self.begun_ns = self.looked_ns = now_ns()  # looked: at the pipe
        self.recached_ns = self.first_frame_ns = self.shown_ns = 0
        self.beside_ns = self.beside_shown_ns = 0  # spent on a recache for the next block: in all, and until `shown_ns`
        self.block: Block | None = None
        self.conditions: Conditions | None = (
            None  # what the block is made under; the session's own may be the next one's
        )
        self.due_ns = stream.due_ns
        self.index = self.session.index
        self.events = self._take()

    def run(self) -> None:
        """Make the block, showing it before the clean pass, and look at the pipe between passes."""
        passes = self.session.begin(self.events)
        for done in passes:
            self.conditions = self.conditions or self.session.conditions
            if isinstance(done, Recached):
                self.recached_ns = now_ns()
                self._stamp("recached", self.recached_ns)
            elif isinstance(done, Made):
                self._stamp("denoised", now_ns())
                self._show(done.block)
            self.stream.note_recached()
            self._look(done)
            if self._is_left():
                passes.close()
                break
            self._switch_beside()
            self.looked_ns = now_ns()
        if self.block:
            self._account()
            self.stream.inbox.advance(self.session)
        else:
            self.stream.left += 1
            self.stream.ahead = [*self.taken, *self.stream.ahead]  # still in force for the block that is made instead

    def _take(self) -> list[Any]:
        """The events of this boundary. Words stay waiting where their recache would leave a due frame missing."""
        inbox, ahead, self.stream.ahead = self.stream.inbox, self.stream.ahead, []
        must_wait = inbox.mode in ("overlap", "auto") and inbox.has_words(self.session) and not self.stream.has_room()
        if must_wait:
            inbox.passed_over += 1
        applied, replaced = ([], ()) if must_wait else inbox.taken(self.index)
        self.taken = [*ahead, *applied]
        self.applied = submitted(self.taken)
        if applied or replaced:
            self.stream.send(Taken(self.index, submitted(applied), replaced, self.begun_ns))
        return [event for _, event in applied]

    def _look(self, done: Pass) -> None:
        """Read the pipe, and note for how long nobody did; a recache is counted by itself."""
        if not isinstance(done, Recached):
            self.stream.costs.note_pass(now_ns() - self.looked_ns)
        self.stream.inbox.receive(self.session)

    def _is_left(self) -> bool:
        """Whether to leave the block: dropped; or new words come sooner without it; or they spare its clean pass."""
        inbox = self.stream.inbox
        if inbox.take_back is not None:
            return True
        if inbox.mode in ("overlap", PLAIN) or not (inbox.has_words(self.session) or inbox.has_scene):
            return False
        if self.block:
            return inbox.mode in ("inline", "snap")
        if inbox.mode == "inline":
            return False
        return fits(self.stream.costs.worst, now_ns(), self.due_ns, inbox.has_scene)

    def _switch_beside(self) -> None:
        """Recache for the next block now, if this one and the next stay in time."""
        stream = self.stream
        if stream.inbox.mode not in ("overlap", "auto") or not stream.inbox.has_words(self.session):
            return
        begun_ns = now_ns()
        if self.block:
            if stream.has_room():
                stream.recache_ahead(self.index + 1)
        elif self._has_slack(begun_ns):
            stream.recache_ahead(self.index + 1)
        self.beside_ns += now_ns() - begun_ns

    def _has_slack(self, at_ns: int) -> bool:
        """Whether this block still comes in time with a recache squeezed in before its last pass."""
        cost = self.stream.costs.worst
        if cost is None or self.due_ns is None:
            return True
        spent_ns = at_ns - self.begun_ns - self.beside_ns
        return at_ns + max(0, cost.first_frame_ns - spent_ns) + cost.recache_ns <= self.due_ns

    def _show(self, block: Block) -> None:
        """Decode latent frame by latent frame, so that the first pixels do not wait for the last; report the block."""
        number, state = block.index * self.stream.block_frames, self.stream.state_before(block)
        for frame in range(block.latents.shape[1]):
            pixels, state = self.stream.decode(state, block.latents[:, frame : frame + 1])
            if not self.first_frame_ns:
                self._stamp("decoded", now_ns())
            self.stream.publish(pixels, number, block.index)
            number += len(pixels)
            if not self.first_frame_ns:
                self.first_frame_ns = now_ns()
                self._stamp("uploaded", self.first_frame_ns)
        self.stream.remember(block.index, state)
        self.block, self.shown_ns, self.beside_shown_ns = block, now_ns(), self.beside_ns
        took_ns = self.shown_ns - (self.recached_ns or self.begun_ns) - self.beside_shown_ns
        self.stream.send(BlockMade(block, self.conditions, self.stream.inbox.epoch, took_ns))

    def _account(self) -> None:
        """What the block cost, for the lead and for the window's process."""
        recache_ns = self.recached_ns - self.begun_ns if self.recached_ns else 0
        if recache_ns:
            self.stream.costs.note_recache(recache_ns)
        ended_ns, after_ns = now_ns(), self.beside_ns - self.beside_shown_ns
        first_ns = self.first_frame_ns - self.begun_ns - recache_ns - self.beside_shown_ns
        self.stream.costs.note_block(first_ns, ended_ns - self.shown_ns - after_ns)
        block, left, self.stream.left = self.block, self.stream.left, 0
        facts = Facts(block.index, block.start, block.cut, block.seen, block.dials, left)
        times = (self.begun_ns, ended_ns, recache_ns + self.beside_ns)
        self.stream.send(BlockDone(facts, *times, self.stream.costs.worst))

    def _stamp(self, stage: str, t_ns: int) -> None:
        self.stream.stamp(stage, t_ns, self.applied)
