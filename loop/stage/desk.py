"""The cue desk: the set list, the staged prompt, the beat clock, and what waits for its beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from input.action import Command, FireCue, StagePrompt
from input.beat import BeatClock, bar_text
from input.cues import BEATS_PER_BAR, MOST_BLOCKS, QUANTISE, Cue
from input.set_list import SetList
from loop.stage.launches import Launch, Launches
from loop.supervise.model import Model
from world.event import Dial, Event, Prompt, Scene

NUDGE_NS = 10_000_000
TRANSITIONS = (1, 2, 4, 8, 16)
AHEAD_BEATS = 2 * BEATS_PER_BAR  # a cue with a bar of its own is armed so long before
LATE_BEATS = 1  # and still played so long after: that of the first bar cannot be armed before it

DESK_COMMANDS = {
    *(Command.NEXT, Command.PREVIOUS, Command.CANCEL, Command.DISARM, Command.TRANSITION, Command.QUANTISE),
    *(Command.TAP, Command.RESYNC, Command.NUDGE_EARLIER, Command.NUDGE_LATER),
}


@dataclass
class FarCues:
    """The cues of another machine's set list. fired: as in net.message.CueCall, until they are sent there."""

    names: tuple[str, ...] = ()
    following: int | None = None
    fired: list[tuple[str, int]] = field(default_factory=list)


Fired = tuple[Event, str, int]  # an event to submit now, its source, and when it left it (nanoseconds)


class CueDesk:
    """Turns cues, staged prompts and what waits for a beat into events. Owned by the show's controls.

    set_list: None without a file. clock, launches: the beat, and what waits for it. quantise: what prompts wait for
    that say nothing themselves. transition: blocks over which their words come in. staged: words that Command.NEXT
    fires. playing: the index of the cue whose words were sent last; None for other words. next_by_hand: the index of
    the cue that was made the next. far: the host's cues, on a guest that may fire them; they are used where there is
    no set list here. message: the newest thing to tell the operator. first_beat_bpm: of a clock that runs from the
    first picture on, if nobody else gives the beat.
    """

    def __init__(
        self, model: Model, set_list: SetList | None = None, quantise: str = "off", first_beat_bpm: float | None = None
    ) -> None:
        self.set_list, self.quantise = set_list, quantise
        self.clock = BeatClock()
        self.launches = Launches(self.clock)
        self.transition = model.options.transition
        self.staged = self.message = ""
        self.far = FarCues()
        self._model, self._first_beat_bpm = model, first_beat_bpm
        self.playing: int | None = None
        self.next_by_hand: int | None = None
        self._played: set[str] = set()  # cues with a bar of their own that were armed already, by name and bar
        self._position = 0.0  # in beats, at the last look at the bars

    @property
    def has_next(self) -> bool:
        """Whether Command.NEXT can do anything."""
        return bool(self.staged) or self.set_list is not None or bool(self.far.names)

    @property
    def cues(self) -> tuple[Cue, ...]:
        return self.set_list.cues if self.set_list else ()

    @property
    def next_cue(self) -> int | None:
        """The index of the cue that Command.NEXT fires if no prompt is staged."""
        if self.next_by_hand is not None and self.next_by_hand < len(self.cues):
            return self.next_by_hand
        return self.set_list.following if self.set_list else None

    def fire(self, action: FireCue | StagePrompt, t_ns: int) -> list[Fired]:
        """Fire or arm a cue, or keep words for later; the events to submit at once."""
        self.message = ""
        count = len(self.far.names if self._is_far else self.cues)
        if isinstance(action, StagePrompt):
            self.staged = action.text
        elif not 0 <= action.index < count:
            self.message = f"there is no cue {action.index + 1}: the set list has {count}"
        elif self._is_far:
            self._fire_far(action)
        elif action.only_arm:
            self.next_by_hand = action.index
        else:
            return self._fire_cue(action.index, t_ns, "cue")
        return []

    def set_state(self, name: str, value: float | str, t_ns: int) -> None:
        """Set what words wait for, over how many blocks they come in, or the tempo; a wrong value is only told."""
        self.message = ""
        if name == "bpm":
            try:
                self.clock.set_tempo(float(value), t_ns)
            except ValueError as error:
                self.message = str(error)
        elif name == "transition" and isinstance(value, int | float) and 1 <= value <= MOST_BLOCKS:
            self.transition = int(value)
        elif name == "quantise" and value in QUANTISE:
            self.quantise = str(value)
        else:
            self.message = f"{name} cannot be {value!r}"

    def words(self, event: Event, source: str, t_ns: int) -> list[Fired]:
        """Words that somebody typed or sent: at once, or armed for the beat that the show waits for."""
        name = event.text if isinstance(event, Prompt | Scene) else type(event).__name__
        return self._launch(Launch(event, name, source, self.quantise, 0, self.transition), t_ns)

    def obey(self, command: Command, t_ns: int) -> list[Fired]:
        """Do what a command asks of the desk; the events to submit at once."""
        self.message = ""
        if command is Command.NEXT and (self.staged or not self._is_far):
            return self._next(t_ns)
        if command in (Command.NEXT, Command.PREVIOUS) and self._is_far:
            self.far.fired.append((command.value, 0))
            return []
        if command is Command.PREVIOUS and self.set_list and self.set_list.preceding is not None:
            return self._fire_cue(self.set_list.preceding, t_ns, "cue")
        if command is Command.CANCEL:
            self._cancel()
        elif command is Command.DISARM:
            self.next_by_hand = None
        elif command is Command.TRANSITION:
            longer = [blocks for blocks in TRANSITIONS if blocks > self.transition]
            self.transition = longer[0] if longer else TRANSITIONS[0]
        elif command is Command.QUANTISE:
            self.quantise = QUANTISE[(QUANTISE.index(self.quantise) + 1) % len(QUANTISE)]
        else:
            self._obey_beat(command, t_ns)
        return []

    def poll(self, now_ns: int, first_flip_ns: int | None) -> Iterator[Fired]:
        """The launches that are due; also looks after the set list's file and the cues with a bar of their own.

        Each is to be submitted before the next is asked for.
        """
        if self.set_list:
            self.set_list.refresh(now_ns)
        if first_flip_ns is not None and self._first_beat_bpm is not None:
            if self.clock.source in ("", "audio"):
                self.clock.fix(self._first_beat_bpm, first_flip_ns)
            self._first_beat_bpm = None
        self.launches.forget(now_ns)
        self._arm_bars(now_ns)
        while (launch := self.launches.due(now_ns)) is not None:
            yield self._send(launch, now_ns)

    def beat_to_meet(self, now_ns: int) -> int | None:
        """When the beat is that a block should begin with: of what waits, or of what may come; None if none matters.

        Blocks are kept on the beat beforehand, since frames can be moved only a little in the time that a launch waits.
        """
        target_ns = self.launches.next_target_ns
        if target_ns is None and self.quantise != "off" and self.clock.is_running:
            target_ns = self.clock.time_of(self.clock.next_beat(now_ns, self.quantise))
        return target_ns

    def text(self, now_ns: int) -> str:
        """One line for the operator: the beat, what waits, what comes next; empty if there is nothing of it."""
        clock, parts = self.clock, []
        if clock.is_running:
            sure = f" ({clock.confidence:.0%})" if clock.source == "audio" else ""
            parts.append(f"{clock.source or 'free'} {clock.bpm:.1f}{sure} · {bar_text(clock.position(now_ns))}")
        if self.quantise != "off":
            parts.append(f"waits for {self.quantise}" + ("" if clock.is_running else ": tap T in time"))
        if waiting := self.launches.text():
            parts.append(f"armed: {waiting}")
        if self.staged:
            parts.append(f"next: {self.staged}")
        elif self._is_far and self.far.following is not None:
            parts.append(f"next: {self.far.following + 1} {self.far.names[self.far.following]} (the host's)")
        elif self.next_cue is not None:
            parts.append(f"next: {self.next_cue + 1} {self.cues[self.next_cue].name}")
        if self.transition > 1:
            parts.append(f"over {self.transition} blocks")
        return " · ".join(parts)

    @property
    def trouble(self) -> str:
        """What is wrong with the set list's file, or with what was asked for last; empty if nothing is."""
        return (self.set_list.trouble if self.set_list else "") or self.message

    @property
    def _is_far(self) -> bool:
        """Whether cues are those of another machine."""
        return bool(self.far.names) and self.set_list is None

    def _fire_far(self, action: FireCue) -> None:
        if action.only_arm:
            self.message = "cues of the host can only be fired: which is the next is decided there"
        else:
            self.far.fired.append(("number", action.index))

    def _next(self, t_ns: int) -> list[Fired]:
        if self.staged:
            words, self.staged = self.staged, ""
            return self.words(Prompt(words), "cue", t_ns)
        if self.next_cue is None:
            self.message = "the set list is at its end" if self.set_list else "there is no set list: start with --set"
            return []
        return self._fire_cue(self.next_cue, t_ns, "cue")

    def _fire_cue(self, index: int, t_ns: int, source: str) -> list[Fired]:
        cue = self.cues[index]
        quantise, transition = cue.quantise or self.quantise, cue.transition or self.transition
        self.next_by_hand = None
        assert self.set_list is not None, "a cue is in a set list"
        self.set_list.fired(index)
        return self._launch(Launch(cue.event, cue.name, source, quantise, 0, transition, index), t_ns)

    def _launch(self, launch: Launch, t_ns: int) -> list[Fired]:
        """Send an event at once, or let it wait for its beat if there is one to wait for."""
        if launch.quantise == "off" or not self.clock.is_running:
            return [self._send(launch, t_ns)]
        beat = self.launches.first_beat(t_ns, launch.quantise)
        self.launches.arm(replace(launch, beat=beat, asked_ns=t_ns))
        return []

    def _send(self, launch: Launch, t_ns: int) -> Fired:
        if not isinstance(launch.event, Dial):
            self._model.set_transition(launch.transition or self.transition)
            self.playing = launch.cue
        if launch.source == "bar" and self.set_list and launch.cue is not None:
            self.set_list.fired(launch.cue)  # one by hand was fired before it waited
        return launch.event, launch.source, t_ns

    def _arm_bars(self, now_ns: int) -> None:
        """Arm the cues whose bar comes soon, each once."""
        if not self.clock.is_running or not any(cue.bar for cue in self.cues):
            return
        now = self.clock.position(now_ns)
        if now < self._position - BEATS_PER_BAR:  # the song has begun once more
            self._played.clear()
        self._position = now
        for index, cue in enumerate(self.cues):
            beat = ((cue.bar or 0) - 1) * BEATS_PER_BAR
            key = f"{cue.name} {cue.bar}"
            if cue.bar and now - LATE_BEATS <= beat <= now + AHEAD_BEATS and key not in self._played:
                self._played.add(key)
                transition = cue.transition or self.transition
                self.launches.arm(Launch(cue.event, cue.name, "bar", "bar", beat, transition, index))

    def _cancel(self) -> None:
        if not self.launches.cancel():
            self.staged, self.next_by_hand = "", None

    def _obey_beat(self, command: Command, t_ns: int) -> None:
        if command is Command.TAP:
            self.clock.tap(t_ns)
        elif command is Command.RESYNC:
            self.clock.resync(t_ns)
            self._played.clear()
        elif command in (Command.NUDGE_EARLIER, Command.NUDGE_LATER):
            self.clock.nudge(NUDGE_NS if command is Command.NUDGE_LATER else -NUDGE_NS)
