"""A running session in the model's process: blocks that begin just in time, decoded into the ring."""

from __future__ import annotations

import logging
from dataclasses import replace

from loop.link.message import Run, Start
from loop.link.ring import FrameRing
from loop.timing.brake import Brake
from loop.timing.clock import Clock
from loop.timing.costs import Costs
from loop.timing.switch import lead_ns
from loop.worker.block_run import BlockRun
from loop.worker.dial_steps import DialSteps
from loop.worker.frame_output import FrameOutput
from loop.worker.inbox import Inbox
from loop.worker.recache_ahead import RecacheAhead, StreamParts
from loop.worker.window_link import WindowLink
from world.block import World
from world.info import STEPS_DIAL

log = logging.getLogger(__name__)
POLL_S = 0.05  # the longest wait between two looks at the schedule; a message ends it at once
FULL_S = 0.002  # the same while the ring is full
LEAP_S = 0.008  # the same after a block that was leapt to: when the next one is due changes with its first frame
SPARE = 8  # blocks beyond the reserve that can be taken back


def _brake(world: World, start: Start) -> Brake | None:
    """The brake that was asked for, in a world whose steps can be counted."""
    limits = world.info.dials.get(STEPS_DIAL)
    return Brake(round(world.info.block_s * 1e9), round(limits.rest)) if start.brakes and limits else None


class Stream:
    """A session and when its blocks begin. Owned by the model's process."""

    def __init__(self, world: World, start: Start, ring: FrameRing, link: WindowLink, clock: Clock) -> None:
        costs, session = Costs(), world.session(start.seed, start.prompt, spare=start.reserve + SPARE)
        dials = DialSteps(world.info.dials, start.snapshot.dials if start.snapshot else {})
        inbox = Inbox(link, session, start, dials, costs, clock)
        output = FrameOutput(world, ring, link, clock, states=start.reserve + 3)
        self._parts = StreamParts(session, inbox, output, link, costs, clock, _brake(world, start))
        self._ahead, self._dials = RecacheAhead(self._parts), world.info.dials
        self._reserve_ns = start.reserve * round(world.info.block_s * 1e9)
        if start.snapshot:
            session.resume(start.snapshot)
            output.resume([block for block, _ in start.snapshot.line()])
        if start.snapshot and start.snapshot.blocks:
            for submit in start.submits:
                inbox.accept(submit)
        else:
            inbox.open_with(start.submits)

    def run(self) -> Start | None:
        """Make blocks until told to close; no other session follows."""
        given_up: list[Run] = []  # the runs at the next block that were abandoned
        while self._wait_for_boundary():
            block = BlockRun(self._parts, self._ahead)
            if block.run(given_up):
                given_up.clear()
            else:
                given_up.append(block.so_far)
        self._parts.output.close()
        return None

    def _wait_for_boundary(self) -> bool:
        """Wait, reading the pipe, until the next block must begin; False once the session is to close."""
        inbox = self._parts.inbox
        while not inbox.closed:
            self._take_back()
            self._go_back()
            if inbox.is_resting:
                self._draw()
                inbox.receive(FULL_S if inbox.draws else POLL_S)
                continue
            if self._ahead.is_asked and self._ahead.fits:
                self._ahead.begin(self._parts.session.index)
            self._ahead.note_finished()
            wait_s = self._wait_s()
            most_s = LEAP_S if inbox.leaps_to(self._parts.session.index - 1) else POLL_S
            inbox.receive(min(max(wait_s, 0.0), most_s))
            if wait_s <= 0 and not inbox.has_take_back:
                return not inbox.closed
        return False

    def _take_back(self) -> None:
        """Forget what the window's process has dropped of the newest blocks, if it has dropped any."""
        kept = self._parts.inbox.pop_take_back()
        if kept is None:
            return
        self._ahead.forget()
        self._parts.output.drop_frames()
        if self._parts.output.can_continue(kept):
            try:
                self._parts.session.take_back(kept.block, kept.latents)
                self._parts.output.forget_after(kept.block)
            except ValueError as error:  # a message that was long under way: the stream goes on from the newest block
                log.warning("%s", error)

    def _go_back(self) -> None:
        """Go on from an older block, if the window's process has asked for it."""
        message = self._parts.inbox.pop_go_back()
        if message is None:
            return
        session, snapshot = self._parts.session, message.snapshot
        self._ahead.forget()
        self._parts.output.drop_frames()
        session.resume(replace(snapshot, index=max(snapshot.index, session.index)))
        self._parts.output.resume([block for block, _ in snapshot.line()])
        self._parts.inbox.begin_again(message.submits, DialSteps(self._dials, snapshot.dials))

    def _draw(self) -> None:
        """Draw the next of the stored blocks that were asked for, if there is room for its frames."""
        if self._parts.inbox.draws and self._parts.output.has_room:
            message = self._parts.inbox.draws.popleft()
            self._parts.output.draw(message.blocks, message.epoch)

    def _wait_s(self) -> float:
        """Seconds until the next block must begin, to be just in time."""
        output, costs = self._parts.output, self._parts.costs
        if not output.has_room:
            return FULL_S
        if not output.is_scheduled or self._parts.inbox.hurries(self._parts.session.index):
            return 0.0
        due_ns, period_ns = output.due_ns, output.period_ns
        if due_ns is None or period_ns is None:
            return POLL_S
        lead = lead_ns(costs.worst, self._parts.inbox.mode, output.block_frames * period_ns)
        return (due_ns - lead - self._reserve_ns - self._parts.clock.now_ns()) / 1e9
