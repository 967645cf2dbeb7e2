"""The main loop: fixed ticks, each of which reads the controls, shows the frame that is due, and writes it down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loop.controls import ShowControls
from loop.link.cost import Cost
from loop.link.message import BlockDone, BlockMade, Died, Fault, Stage, Taken
from loop.link.ring import FrameMark
from loop.output.outputs import Outputs
from loop.screen.display_dials import DISPLAY_DIALS, DisplayDials
from loop.screen.photodiode import PhotodiodePatch
from loop.screen.screen import Screen
from loop.supervise.live_model import LiveModel
from loop.timing.clock import FixedStep
from loop.timing.pacer import Pacer, Shown, SustainableCost
from loop.timing.switch import keep
from loop.trace_header import trace_header
from world.event import Dial, Event, Prompt, Scene

log = logging.getLogger(__name__)
SPIN_NS = 1_500_000  # the last stretch before a deadline is spun: a sleep ends up to a millisecond late
WAIT_S = 0.002  # the longest wait without a look at the input: the error bar of every `pump` stamp
now_ns = time.perf_counter_ns


@dataclass(frozen=True)
class Parts:
    """What a show is put together from. overlay(engine) gives the marks to draw over the picture; patch lies on top."""

    screen: Screen
    model: LiveModel
    controls: ShowControls
    out: Outputs
    overlay: Callable[[Engine], Sequence[Any]]
    patch: PhotodiodePatch | None = None


class Engine:
    """One show from the first tick to the last. Knows the model and the screen only by their verbs.

    seconds: how long to play, from the first flip; None is until the user quits.
    """

    def __init__(self, parts: Parts, seconds: float | None) -> None:
        self.screen, self.model, self.controls, self.out = parts.screen, parts.model, parts.controls, parts.out
        self._overlay, self.patch = parts.overlay, parts.patch
        self.dials = DisplayDials()
        self.seconds = seconds
        self.clock = FixedStep(now_ns())
        self.pacer: Pacer | None = None
        self.first_flip_ns: int | None = None
        self.shown = self.repeats = self.skipped = 0
        self.age_ms = self.block_ms = 0.0
        self._cost = SustainableCost()
        self._worst: Cost | None = None
        self._life = 0
        self._was_late = False  # the newest block: a frame of it was missing when it was due
        self._frame: FrameMark | None = None
        self._due_ns: int | None = None  # when that frame was due
        self._strangers: set[str] = set()  # dials that nobody has, each warned of once

    def run(self) -> None:
        """Ticks until the user quits, the time is up, or the model is given up without a window to say so in."""
        while not self._is_over():
            self._wait()
            if self.clock.advance(now_ns()):
                self._tick()

    def _is_over(self) -> bool:
        if self.controls.quitting or (self.model.fault and self.controls.is_nobody):
            return True
        if self.seconds is None or self.first_flip_ns is None:
            return False
        return now_ns() - self.first_flip_ns >= self.seconds * 1e9

    def _wait(self) -> None:
        """Sleep through event waits until shortly before the tick, then spin; every event is stamped as it comes."""
        deadline = self.clock.next_ns
        while (left := deadline - SPIN_NS - now_ns()) > 0:
            self.screen.wait(min(WAIT_S, left / 1e9))
            self._gather()
        while now_ns() < deadline:
            pass

    def _gather(self) -> None:
        """Send on what was pressed or scripted since the last look."""
        for event, source, pump_ns in self.controls.gather(self.screen.poll(), self.first_flip_ns):
            if not self._is_strange(event):
                self._send(self.out.ledger.submitted(event, source, pump_ns, now_ns()), event)
        if self.controls.mode != self.model.mode:
            self.model.set_mode(self.controls.mode)

    def _is_strange(self, event: Event) -> bool:
        """Whether it sets a dial that neither the display nor the world has; says so once."""
        if not isinstance(event, Dial) or self.model.info is None:
            return False
        known = (*self.model.info.dials, *DISPLAY_DIALS)
        if event.name not in known and event.name not in self._strangers:
            self._strangers.add(event.name)
            log.warning("there is no dial %r here: expected one of %s", event.name, ", ".join(known))
        return event.name not in known

    def _send(self, number: int, event: Event) -> None:
        """To the display or to the model, whichever it is meant for."""
        if isinstance(event, Dial) and event.name in DISPLAY_DIALS:
            self.dials.turn(event.name, event.value)
            self.out.ledger.turned(number, event.name)
        else:
            self.model.submit(number, event, self._take_back(event))

    def _take_back(self, event: Event) -> int | None:
        """Drop the blocks that nobody saw and that other words can replace in time; the newest block that is kept."""
        is_new = isinstance(event, Scene) or (isinstance(event, Prompt) and event.text != self.model.words)
        if self.pacer is None or not is_new or self.model.mode not in ("snap", "auto"):
            return None
        kept = keep(self.pacer.waiting(now_ns()), self._worst, now_ns(), self.model.is_switching)
        if kept is None or not self.model.can_take_back(kept):
            return None
        self.pacer.drop_after(kept)
        self.out.ledger.taken_back(kept)
        return kept

    def _tick(self) -> None:
        self._gather()
        told = self.model.poll()
        self._follow_life()
        for message in told:
            self._account(message)
        if self.pacer is None:
            self._flip(None, None)
            return
        self._present(self._due())
        self.model.tell(self.pacer.schedule(self.model.seen), self.pacer.oldest)

    def _due(self) -> Shown:
        for mark in self.model.new_frames():
            self.pacer.add(mark)
        # a tick's own time: by a clock read a little after it, a frame due exactly then would wait for the next tick
        now = self.clock.tick_ns
        self.pacer.hold(now) if self.controls.frozen else self.pacer.release(now)
        return self.pacer.tick(now)

    def _present(self, due: Shown) -> None:
        """Show what is due, or the last picture again, and write down which it was."""
        pixels = self.dials.picture(self.model.pixels(due.frame) if due.frame else None)
        flip_ns = self._flip(pixels, due.frame)
        if due.frame:
            self._frame, self._due_ns = due.frame, due.due_ns
            self.shown += 1
            self.first_flip_ns = self.first_flip_ns or flip_ns
        if pixels is not None:
            self.out.record(pixels, flip_ns, self.model.info, self.controls.blackout)
        self.skipped += due.skipped
        self.repeats += due.starved
        if self._frame:
            self.age_ms = (flip_ns - self._frame.written_ns) / 1e6
            self.out.flip(self._line(due, flip_ns))

    def _flip(self, pixels: Any, frame: FrameMark | None) -> int:
        """Show pixels (None: the same again) under all that lies over them; the time at which the flip returned."""
        if self.patch and self.out.ledger.arrivals(frame):
            self.patch.turn()
        patch = (self.patch.mark(self.screen.size),) if self.patch else ()
        flip_ns = self.screen.show(pixels, (*self._overlay(self), *patch), self.controls.blackout)
        self.out.ledger.flipped(frame, flip_ns)
        return flip_ns

    def _line(self, due: Shown, flip_ns: int) -> dict[str, Any]:
        """One line of the trace (design, section 9)."""
        line = {"t_ns": flip_ns, "tick": self.clock.tick, "block": self._frame.block, "frame": self._frame.number}
        line |= {"due_ns": self._due_ns, "repeat": due.starved, "queue": due.queue}
        line |= {"age_ms": round(self.age_ms, 3), "rate": round(self.pacer.rate, 4)}
        if self.patch:
            line["patch"] = int(self.patch.lit)
        if self.controls.frozen or self.controls.blackout:
            line["held"] = "freeze" if self.controls.frozen else "blackout"
        return line

    def _account(self, message: Any) -> None:
        """What the model's process said, to whom it concerns."""
        if isinstance(message, Stage):
            self.out.ledger.stage(message)
        elif isinstance(message, Taken):
            self.out.ledger.taken(message)
        elif isinstance(message, BlockMade):
            self._made(message)
        elif isinstance(message, BlockDone):
            self._done(message)
        elif isinstance(message, Died | Fault):
            self.out.fault(message)

    def _made(self, made: BlockMade) -> None:
        """Where a block came too late, and for the first of all, do not show it faster than the next can be made."""
        self._was_late = self.pacer.ask_late()
        if self._was_late or self._worst is None:
            self.pacer.slow_down(made.took_ns * 5 // 4, self.model.info.block_frames)  # the clean pass is a fifth

    def _done(self, done: BlockDone) -> None:
        self.out.block(done)
        self._worst = done.worst
        alone_ns = done.t_end_ns - done.t_begin_ns - done.recache_ns
        cost_ns = self._cost.note(alone_ns, done.recache_ns, self._was_late)
        self.block_ms = cost_ns / 1e6
        self.pacer.set_cost(cost_ns, self.model.info.block_frames)

    def _follow_life(self) -> None:
        """A new ring begins: the pacer starts over on it; the window keeps the last picture meanwhile."""
        if self.model.life == self._life:
            return
        self._life = self.model.life
        if self.pacer is None:
            self.pacer = Pacer(self.model.info.fps)
            self.controls.keyboard.meet(self.model.words, {**self.model.info.dials, **DISPLAY_DIALS})
            self.out.header(trace_header(self.model, self.clock))
        self.pacer.restart()
