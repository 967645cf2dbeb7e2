"""The main loop: fixed ticks, each of which reads the controls, shows the frame that is due, and writes it down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loop.admission import Admission
from loop.controls import ShowControls
from loop.link.kept import Kept
from loop.link.message import BlockDone, BlockMade, Died, Fault, Lost, Retracted, Stage, Taken, Trouble
from loop.link.ring import FrameMark
from loop.output.outputs import Outputs
from loop.peer.peers import Peers, RemoteEvent
from loop.rewind import TimeMachine
from loop.screen.display_dials import DISPLAY_DIALS, DisplayDials
from loop.screen.photodiode import PhotodiodePatch
from loop.screen.screen import Screen
from loop.stage.launches import Launch
from loop.supervise.model import Model
from loop.switching import Switching, Way
from loop.timing.clock import TICK_NS, Clock, FixedStep
from loop.timing.pacer import Pacer, Shown
from loop.timing.playback import Playback
from loop.trace_header import session_header, trace_header
from world.event import Dial, Event, words_of
from world.info import WorldInfo

log = logging.getLogger(__name__)
SPIN_NS = 1_500_000  # the last stretch before a deadline is spun: a sleep ends up to a millisecond late
WAIT_S = 0.002  # the longest wait between two looks at the input: the error bar of every `pump` stamp


@dataclass(frozen=True)
class Parts:
    """What a show is put together from. overlay(engine) gives the marks to draw over the picture; patch lies on top.

    peers: None for a show that is neither a host nor a guest.
    """

    screen: Screen
    model: Model
    controls: ShowControls
    out: Outputs
    overlay: Callable[[Engine], Sequence[Any]]
    clock: Clock
    patch: PhotodiodePatch | None = None
    peers: Peers | None = None


class Engine:
    """One show from the first tick to the last.

    seconds: how long to play, from the first flip; None is until the user quits. wait_s: the longest wait without a
    look at the input. playback: None until the first ring of frames. shown, repeats, skipped: counts of frames so far.
    longest_still_s: the longest time for which one picture stood, freezes left out.
    """

    def __init__(self, parts: Parts, seconds: float | None, wait_s: float = WAIT_S) -> None:
        self.screen, self.model, self.controls, self.out = parts.screen, parts.model, parts.controls, parts.out
        self._overlay, self.patch, self.clock, self.peers = parts.overlay, parts.patch, parts.clock, parts.peers
        self.dials = DisplayDials()
        self.ticks = FixedStep(self.clock.now_ns())
        self.playback: Playback | None = None
        self.first_flip_ns: int | None = None
        self.shown = self.repeats = self.skipped = 0
        self.age_ms = self.longest_still_s = 0.0
        self._still_since_ns, self._was_frozen = 0, False
        self._seconds, self._wait_s = seconds, wait_s
        self._has_met = self._meets_beat = False
        self._frame: FrameMark | None = None
        self._due_ns: int | None = None  # when that frame was due
        self._admission, self._switching = Admission(), Switching(self.model, self.peers)
        launches = self.controls.desk.launches
        launches.at_once, launches.at_once_ns = DISPLAY_DIALS, TICK_NS
        instruments = self.controls.instruments
        self.out.ledger.watch(lambda stamp: instruments.stamped(stamp.number, stamp.stage, stamp.t_ns, stamp.detail))
        if self.peers:
            self.out.watch(self.peers.stamped, self.peers.taken_back)
        can_go_back = self.peers is None or self.peers.can_go_back
        earlier = self.model.options.going_on
        bookmarks = earlier.bookmarks if earlier else {}
        self.past = TimeMachine(self.model if can_go_back else None, self.out, self._submit, bookmarks)

    def run(self) -> None:
        """Ticks until the user quits, the time is up, or the model is given up without a window to say so in."""
        while not self._is_over():
            self._wait()
            if self.ticks.advance(self.clock.now_ns()):
                self._tick()
        self._measure_still(self.clock.now_ns())

    def _is_over(self) -> bool:
        if self.controls.quitting or (self.model.fault and self.controls.is_nobody):
            return True
        if self._seconds is None or self.first_flip_ns is None:
            return False
        return self.clock.now_ns() - self.first_flip_ns >= self._seconds * 1e9

    def _wait(self) -> None:
        """Sleep through event waits until shortly before the tick, then spin; every event is stamped as it comes."""
        deadline = self.ticks.next_ns
        while (left := deadline - SPIN_NS - self.clock.now_ns()) > 0:
            self.screen.wait(min(self._wait_s, left / 1e9))
            self._gather()
        self.clock.spin_until(deadline)

    def _gather(self) -> None:
        """Send on what was pressed or scripted since the last call."""
        gathered = self.controls.gather(self.screen.poll(), self.clock.now_ns(), self.first_flip_ns)
        for event, source, pump_ns in gathered:
            self._submit(event, source, pump_ns)
        for launch, why in self.controls.desk.launches.take_dropped():
            self.controls.instruments.refused(launch.asked_ns, why)
        for remote in self.peers.gather() if self.peers else ():
            self._submit_of_guest(remote)
        while self.controls.past:
            self.past.obey(*self.controls.past.pop(0), self.playback)

    def _submit_of_guest(self, remote: RemoteEvent) -> None:
        """Let in what a guest has asked for; its words wait for the beat of this machine, like those typed here."""
        event, source, pump_ns = remote.event, remote.source, remote.pump_ns
        if words_of(event) and self.peers and not self.controls.desk.words(event, source, pump_ns):
            self.peers.held(remote)
        else:
            self._submit(event, source, pump_ns, remote)

    def _submit(self, event: Event, source: str, pump_ns: int, remote: RemoteEvent | None = None) -> None:
        """Let an event in, number it, and send it on. remote: what it is if a guest has asked for it."""
        admitted = self._admission.admit(event, self.model.info) if self.model.info else event
        number = None
        if admitted is not None:
            number = self.out.submitted(admitted, source, pump_ns, self.clock.now_ns())
        if self.peers:
            self.peers.submitted(number, admitted or event, remote)
        if number is None or admitted is None:
            self.controls.instruments.refused(pump_ns, "this world and its display have no such dial")
            return
        launch = self.controls.desk.launches.sent(number, event)
        self.controls.instruments.submitted(number, launch.asked_ns if launch else pump_ns)
        self._send(number, admitted, launch)

    def _send(self, number: int, event: Event, launch: Launch | None) -> None:
        """Give the event to the display or to the model, whichever it is meant for; a launch to its block."""
        if isinstance(event, Dial) and event.name in DISPLAY_DIALS:
            self.dials.turn(event.name, event.value)
            self.out.ledger.turned(number, event.name)
            if launch:
                self.out.launch(number, launch.to_json())
        elif launch is None or self.playback is None:
            if self.playback:
                self.out.situation(number, self.playback.pacer.situation(self.clock.now_ns()))
            way = self._make_way(number, event)
            self.model.submit(number, event, way.kept, leaps=way.leaps)
        else:
            block = self.playback.block_at(launch.target_ns)
            self.model.submit(number, event, block=block)
            self.out.launch(number, {**launch.to_json(), "block": block})

    def _make_way(self, number: int, event: Event) -> Way:
        """How an event gets to the screen; what nobody saw is dropped for it here."""
        if self.playback is None or self.past.is_held:
            return Way()
        can_leap = not (self._meets_beat or self.controls.frozen)
        way = self._switching.way_for(number, event, self.playback, self.clock.now_ns(), can_leap)
        if way.kept is not None:
            if self.peers:
                self.peers.taken_back(way.kept.block)
            self._drop_after(way.kept, number, way.for_words)
        return way

    def _drop_after(self, kept: Kept, number: int = 0, for_words: bool = True) -> None:
        """What comes after `kept` is not shown any more (Outputs.taken_back)."""
        cut_frames = self.playback.pacer.drop_after(kept) if self.playback else 0
        self.out.taken_back(kept, number, for_words)
        if kept.latents is not None:
            self.out.cut(kept, cut_frames)

    def _tick(self) -> None:
        self._gather()
        messages = self.model.poll()
        if self.model.info is not None and not self._has_met:
            self._meet(self.model.info)
        if self.playback is None and self.model.info is not None and self.model.life:
            self.playback = Playback(self.model.info.fps, self.model.info.block_frames)
        for message in messages:
            self._note(message)
        if self.playback is None or self.model.info is None:
            self._flip(None, None)
            return
        self._keep_the_beat(self.playback)
        pacer, is_frozen = self.playback.pacer, self.controls.frozen and not self.past.is_held
        marks = [mark for mark in self.model.new_frames() if self.past.admit(mark)]
        for mark in marks:
            pacer.add(mark)
        self.past.tick(self.playback, self.clock.now_ns())
        self._was_frozen |= is_frozen or self.past.is_held
        if self.peers:
            self.peers.came(marks)
            self.ticks.start_ns += self.peers.align(pacer, self.controls, self.ticks.tick_ns)
        # the tick's own time: by a clock read a little after it, a frame due exactly then would wait for the next tick
        due = pacer.tick(self.ticks.tick_ns, is_frozen)
        self._present(replace(due, starved=due.starved and not self.past.is_held), pacer, self.model.info)
        lead_ns = self.peers.lead_ns if self.peers else 0
        self.model.tell(pacer.schedule(self.model.seen, is_frozen or self.past.is_on, lead_ns), pacer.oldest)
        if self.peers and self._frame and self._due_ns is not None and not self.past.is_held:
            self.peers.shown(self._frame, (self._due_ns, self.ticks.tick_ns), pacer, self.controls)

    def _keep_the_beat(self, playback: Playback) -> None:
        """Tell the launches how early they must be sent, and bring a block to the beat that matters next."""
        desk = self.controls.desk
        desk.launches.ahead_ns, desk.launches.early_ns = playback.prompt_to_pixel_ns, playback.block_ns
        target_ns = None if self.past.is_held else desk.beat_to_meet(self.clock.now_ns())
        # a frame is seen at the tick after it is due: half a tick later in the mean
        playback.align(None if target_ns is None else target_ns - TICK_NS // 2)
        self._meets_beat = target_ns is not None

    def _meet(self, info: WorldInfo) -> None:
        """The world is open: the keyboard gets its dials, trace and session their headers."""
        self._has_met = True
        self.controls.keyboard.meet({**info.dials, **DISPLAY_DIALS})
        earlier = self.model.options.going_on
        for name, value in earlier.dials.items() if earlier else ():
            self.controls.keyboard.note(Dial(name, value))
            if name in DISPLAY_DIALS:
                self.dials.turn(name, value)
        self.out.header(trace_header(self.model, info, self.ticks), session_header(self.model, info))
        if self.peers:
            self.peers.meet(info)

    def _present(self, due: Shown, pacer: Pacer, info: WorldInfo) -> None:
        """Show the frame that is due, or the last picture again, and write down which it was."""
        pixels = self.dials.picture(self.model.pixels(due.frame) if due.frame else None)
        flip_ns = self._flip(pixels, due.frame)
        if self.playback:
            self.playback.shown(due)
        if due.frame:
            self._measure_still(flip_ns)
            self._frame, self._due_ns = due.frame, due.due_ns
            self.shown += 1
            self.first_flip_ns = self.first_flip_ns or flip_ns
        self.out.record(pixels, flip_ns, info, self.controls.blackout)
        self.skipped += due.skipped
        self.repeats += due.starved
        if self._frame:
            self.age_ms = (flip_ns - self._frame.written_ns) / 1e6
            self.out.flip(self._line(self._frame, due, pacer.rate, flip_ns))

    def _measure_still(self, now_ns: int) -> None:
        """Another picture comes, or the show ends: for how long the last one stood, if nobody froze it."""
        if self._frame and not self._was_frozen:
            self.longest_still_s = max(self.longest_still_s, (now_ns - self._still_since_ns) / 1e9)
        self._still_since_ns, self._was_frozen = now_ns, False

    def _flip(self, pixels: np.ndarray | None, frame: FrameMark | None) -> int:
        """Show pixels (None: the same again) under all that lies over them; the time at which the flip returned."""
        has_picture = frame is not None or self.first_flip_ns is not None  # else nothing that was asked for is seen
        if self.patch and has_picture and self.out.ledger.arrivals(frame):
            self.patch.turn()
        patch = (self.patch.mark(self.screen.size),) if self.patch else ()
        flip_ns = self.screen.show(pixels, (*self._overlay(self), *patch), self.controls.blackout)
        if has_picture:
            for number in self.out.ledger.flipped(frame, flip_ns):
                self.out.launched(number, self.controls.desk.launches.seen(number, flip_ns), flip_ns)
        return flip_ns

    def _line(self, frame: FrameMark, due: Shown, rate: float, flip_ns: int) -> dict[str, Any]:
        """One line of the trace (design, section 9)."""
        line: dict[str, Any] = {"t_ns": flip_ns, "tick": self.ticks.tick, "block": frame.block, "frame": frame.number}
        line |= {"due_ns": self._due_ns, "repeat": due.starved, "queue": due.queue}
        line |= {"age_ms": round(self.age_ms, 3), "rate": round(rate, 4)}
        if due.leapt_ns:
            line["leapt_ms"] = round(due.leapt_ns / 1e6, 3)
        if self.patch:
            line["patch"] = int(self.patch.lit)
        if self.past.is_held or self.controls.frozen or self.controls.blackout:
            line["held"] = "rewind" if self.past.is_held else "freeze" if self.controls.frozen else "blackout"
        return line

    def _note_fault(self, message: Died | Fault | Trouble) -> None:
        if isinstance(message, Died):
            self.past.model_died(self.playback, self.clock.now_ns())
            if self.playback:
                self.playback.stop_leaping()
        if isinstance(message, Trouble):
            log.warning("%s", message.what)
        self.out.fault(message)

    def _note(self, message: Any) -> None:
        """Pass on a message of the model to whom it concerns."""
        if self.peers:
            self.peers.note(message)
        if isinstance(message, BlockMade):
            self.out.block_made(message)
        if isinstance(message, Stage):
            self.out.ledger.stage(message)
        elif isinstance(message, Taken):
            self.out.ledger.taken(message)
            if self.playback:
                self.playback.taken(message)
        elif isinstance(message, Lost):
            self.out.ledger.lost(message.numbers, message.why)
        elif isinstance(message, Died | Fault | Trouble):
            self._note_fault(message)
        elif isinstance(message, Retracted):
            self._drop_after(Kept(message.kept))
        elif isinstance(message, BlockMade) and self.playback:
            self.playback.block_made(message, self.clock.now_ns())
            if not self.model.is_dropped(message.block.index, message.epoch):
                self.out.ledger.made(message.block.index, message.block.parent)
        elif isinstance(message, BlockDone) and self.playback:
            self.out.block(message)
            self.playback.block_done(message)
