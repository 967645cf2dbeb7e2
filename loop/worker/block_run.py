"""One block in the model's process: when its passes run, when it is shown, and when it is abandoned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.link.message import BlockDone, BlockMade, Facts, Lost, PassEnd, Run, Taken, Trouble
from loop.timing.brake import BlockTimes
from loop.timing.switch import PLAIN, WHOLE, fits
from loop.worker.inbox import submitted
from loop.worker.recache_ahead import RecacheAhead, StreamParts
from loop.worker.sequencer import Numbered
from world.block import Block, Conditions, Denoised, Made, Pass, Recached, Remade
from world.event import Dial, Event
from world.info import STEPS_DIAL


@dataclass
class _Times:
    """When the parts of a block's work were done, and how long recaches for the next block interrupted it; ns.

    last_read: of the pipe. denoised: when the latents were there. first_frame, shown: when the first and the last frame
    were in the ring. ahead, ahead_denoised, ahead_shown: what recaches for the next block took, in all, until
    `denoised`, and until `shown`.
    """

    begun: int
    last_read: int
    recached: int = 0
    first_frame: int = 0
    shown: int = 0
    ahead: int = 0
    ahead_shown: int = 0
    denoised: int = 0
    ahead_denoised: int = 0

    def of_block(self, steps: int, ended: int) -> BlockTimes:
        """What the block took by itself."""
        denoise = self.denoised - (self.recached or self.begun) - self.ahead_denoised
        first = self.first_frame - self.denoised - (self.ahead_shown - self.ahead_denoised)
        rest = ended - self.denoised - (self.ahead - self.ahead_denoised)
        return BlockTimes(denoise // max(1, steps), first, rest)

    @property
    def recache(self) -> int:
        """What the block's own recache took."""
        return self.recached - self.begun if self.recached else 0


class BlockRun:
    """One block from its boundary to its clean pass. Owned by the stream."""

    def __init__(self, parts: StreamParts, ahead: RecacheAhead) -> None:
        self._session, self._inbox, self._output = parts.session, parts.inbox, parts.output
        self._link, self._costs, self._clock, self._ahead = parts.link, parts.costs, parts.clock, ahead
        self._index = parts.session.index
        now_ns = parts.clock.now_ns()
        self._times = _Times(now_ns, now_ns)
        self._passes: list[PassEnd] = []
        self._block: Block | None = None
        self._taken: list[Numbered] = []
        self._brake, self._steps = parts.brake, 0

    @property
    def so_far(self) -> Run:
        """When the block was begun, and its passes so far."""
        return Run(self._times.begun, tuple(self._passes))

    def run(self, given_up: Sequence[Run] = ()) -> bool:
        """Make the block and show it before its clean pass; whether it was made and not abandoned.

        given_up: the runs at this block that were abandoned before.
        """
        passes = self._session.begin(self._take_events())
        conditions: Conditions | None = None
        for done in passes:
            # asked after the first pass: once a recache ahead was begun, the session speaks of the next block
            conditions = conditions or self._session.conditions
            self._follow(done, conditions)
            self._ahead.note_finished()
            self._read_pipe(done)
            conditions = self._turn_dials() or conditions
            if self._is_worth_abandoning():
                passes.close()
                break
            self._recache_ahead()
            self._times.last_read = self._clock.now_ns()
        if self._block is None:
            self._ahead.put_back(self._taken)
            return False
        self._report(self._block, tuple(given_up))
        if not self._ahead.has_words:
            self._inbox.advance_transition()
        return True

    def _take_events(self) -> list[Event]:
        """Take the events of this boundary, without the words if their recache would make the block late."""
        self._inbox.release(self._index)
        taken_ahead = self._ahead.pop_taken()
        must_wait = self._ahead.is_asked and not self._ahead.fits
        if must_wait:
            self._inbox.postpone()
        recaches = self._inbox.has_words and not must_wait
        applied, replaced = ([], ()) if must_wait else self._inbox.take(self._index)
        self._inbox.release(self._index + 1)
        self._taken = [*taken_ahead, *applied]
        if applied or replaced:
            self._link.send(Taken(self._index, submitted(applied), replaced, self._times.begun, recaches))
        return self._braked([event for _, event in applied], recaches or bool(taken_ahead))

    def _braked(self, events: list[Event], recaches: bool) -> list[Event]:
        """The events of this boundary, and the steps that the brake allows where they are not those in force."""
        if self._brake is None:
            return events
        turned = [event.value for event in events if isinstance(event, Dial) and event.name == STEPS_DIAL]
        self._brake.asked = round(turned[-1]) if turned else self._brake.asked
        cost, due_ns = self._costs.worst, self._output.due_ns
        recache_ns = cost.recache_ns if cost and recaches else 0
        steps = self._brake.steps(None if due_ns is None else due_ns - self._times.begun - recache_ns)
        in_force = turned[-1] if turned else self._session.conditions.dials.get(STEPS_DIAL, self._brake.rest)
        return events if steps == in_force else [*events, Dial(STEPS_DIAL, steps)]

    def _turn_dials(self) -> Conditions | None:
        """Let dials that wait enter the block between its denoising steps; what it is made under then, if any did."""
        inbox = self._inbox
        if inbox.mode in (PLAIN, WHOLE) or inbox.has_take_back or not self._session.takes_dials:
            return None
        applied, replaced = inbox.take_between(self._index)
        dials = [event for _, event in applied if isinstance(event, Dial)]
        if not dials:
            return None
        self._taken += applied
        now_ns = self._clock.now_ns()
        spent_ns = now_ns - (self._times.recached or self._times.begun) - self._times.ahead
        self._link.send(Taken(self._index, submitted(applied), replaced, now_ns, spent_ns=spent_ns))
        return self._session.turn(dials)

    def _follow(self, done: Pass, conditions: Conditions) -> None:
        """Stamp what a pass has finished, and show the block once it is made."""
        if isinstance(done, Recached):
            self._times.recached = self._clock.now_ns()
            self._stamp("recached", self._times.recached)
        elif isinstance(done, Remade):
            self._report_remade(done)
        elif isinstance(done, Denoised):
            self._steps = done.step + 1
        elif isinstance(done, Made):
            self._times.denoised, self._times.ahead_denoised = self._clock.now_ns(), self._times.ahead
            self._stamp("denoised", self._times.denoised)
            self._show(done, conditions)

    def _report_remade(self, remade: Remade) -> None:
        """The block came out unusable and is made again; if without its events, these are lost."""
        self._link.send(Trouble(str(remade)))
        if remade.without_events:
            self._link.send(Lost(submitted(self._taken), "nothing finite came out under it"))
            self._taken = []

    def _read_pipe(self, done: Pass) -> None:
        """Read the pipe, and note how long it was not read; a recache is noted by itself."""
        if not isinstance(done, Recached):
            self._costs.note_pass(self._clock.now_ns() - self._times.last_read)
        self._passes.append((type(done).__name__.lower(), self._clock.now_ns()))
        self._inbox.receive()

    def _is_worth_abandoning(self) -> bool:
        """Whether the block was taken back, or new words come sooner without it or without its clean pass."""
        inbox = self._inbox
        if inbox.has_take_back:
            return True
        if inbox.mode in ("overlap", PLAIN) or not inbox.is_urgent(self._index):
            return False
        if self._block:
            return inbox.mode in ("inline", "snap")
        if inbox.mode == "inline":
            return False
        return fits(self._costs.worst, self._clock.now_ns(), self._output.due_ns, not inbox.has_words)

    def _recache_ahead(self) -> None:
        """Recache for the next block now, if this block and the next one stay in time."""
        if not self._ahead.is_asked:
            return
        begun_ns = self._clock.now_ns()
        if self._ahead.fits if self._block else self._has_slack(begun_ns):
            self._ahead.begin(self._index + 1)
        self._times.ahead += self._clock.now_ns() - begun_ns

    def _has_slack(self, at_ns: int) -> bool:
        """Whether this block still comes in time with a recache before its last pass; one that is leapt to does not."""
        cost, due_ns = self._costs.worst, self._output.due_ns
        if self._inbox.leaps_to(self._index):
            return False
        if cost is None or due_ns is None:
            return True
        spent_ns = at_ns - self._times.begun - self._times.ahead
        return at_ns + max(0, cost.first_frame_ns - spent_ns) + cost.recache_ns <= due_ns

    def _show(self, made: Made, conditions: Conditions) -> None:
        """Decode the block into the ring and report it."""
        times, block = self._times, made.block
        number = block.index * self._output.block_frames
        for upload in self._output.uploads(block, made.latents):
            if not times.first_frame:
                upload.wait_decoded()
                self._stamp("decoded", self._clock.now_ns())
            self._output.publish(upload, number, block.index, self._inbox.epoch)
            number += upload.count
            if not times.first_frame:
                times.first_frame = self._clock.now_ns()
                self._stamp("uploaded", times.first_frame)
        self._block, times.shown, times.ahead_shown = block, self._clock.now_ns(), times.ahead
        took_ns = times.shown - (times.recached or times.begun) - times.ahead_shown
        self._link.send(BlockMade(block, conditions, self._inbox.epoch, took_ns))

    def _report(self, block: Block, given_up: tuple[Run, ...]) -> None:
        """Note what the block cost, and tell the window's process."""
        times, ended_ns = self._times, self._clock.now_ns()
        if times.recache:
            self._costs.note_recache(times.recache)
        first_ns = times.first_frame - times.begun - times.recache - times.ahead_shown
        self._costs.note_block(first_ns, ended_ns - times.shown - (times.ahead - times.ahead_shown))
        if self._brake:
            self._brake.note(times.of_block(self._steps, ended_ns))
        worst = self._costs.worst
        assert worst is not None, "a block was just noted"
        facts = Facts(block.index, block.start, block.cut, block.seen, block.dials, len(given_up))
        recache_ns, passes = times.recache + times.ahead, tuple(self._passes)
        self._link.send(BlockDone(facts, times.begun, ended_ns, recache_ns, worst, passes, given_up))

    def _stamp(self, stage: str, t_ns: int) -> None:
        self._link.stamp(stage, t_ns, submitted(self._taken))
