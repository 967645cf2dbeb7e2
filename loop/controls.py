"""Everything that can be pressed, typed or scripted, and what it does to the show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from input.action import PAST_COMMANDS, Action, Command, ControlMoved, FireCue, SetState, StagePrompt
from input.gesture import Clicked, Closed, Gesture, KeyDown, KeyUp, Pasted
from input.keys import Keyboard
from input.script import Script
from loop.output.recordings import Recordings
from loop.screen.display_dials import DISPLAY_DIALS
from loop.screen.screen import Screen
from loop.stage.desk import DESK_COMMANDS
from loop.stage.lights import lamp_values
from loop.stage.stage import OnStage
from loop.stage.waves import Waves
from loop.supervise.model import Model
from loop.timing.switch import MODES
from world.event import Dial, Event, words_of

Submission = tuple[Event, str, int]  # an event, its source, and when it left it (nanoseconds)


@runtime_checkable
class TypingScreen(Protocol):
    """What a screen offers besides if it is a window that somebody sits at and types into."""

    def toggle_fullscreen(self) -> object: ...

    def next_fit(self) -> object: ...

    def toggle_pinning(self) -> object: ...

    def start_text(self) -> object: ...

    def stop_text(self) -> object: ...

    def ask_clipboard(self) -> object: ...


class ShowControls:
    """The keyboard, the script, and the state of the show: nothing else sets it. Owned by the engine.

    quitting, frozen, blackout, help, statistics: what the keys have asked for. newest: the last event or command, or
    the dials that one key press has set, and when that came. has_pressed: whether any key was pressed yet. ways_asked:
    how often a guest was to follow its host in the next way. past: the commands that concern the past, each with its
    time, until the engine takes them. is_nobody: there is no window, so nobody can be told anything but by the exit
    status. desk: cues and what waits for the beat. instruments, mapper: what is plugged in, and what its controls do.
    audience: whose words wait to be let in, if there is one. The words in force and the switch mode belong to the
    model.
    """

    def __init__(
        self,
        screen: Screen,
        script: Script | None,
        model: Model,
        recordings: Recordings | None = None,
        stage: OnStage | None = None,
    ) -> None:
        stage = stage or OnStage.empty(model)
        self._far: list[tuple[Action, str, int]] = []  # what operators on other machines ask for
        self.desk, self.instruments, self.mapper = stage.desk, stage.instruments, stage.mapper
        self.audience = stage.audience
        self._waves = Waves(self.mapper.waves)
        self.quitting = self.frozen = self.blackout = self.help = self.statistics = False
        self.has_pressed = False
        self.ways_asked = 0
        self.past: list[tuple[Command, int]] = []
        self.newest: tuple[Event | Command | tuple[Dial, ...] | None, int] = (None, 0)
        self._held_back: list[tuple[Gesture, int]] = []  # until the clipboard's text has come
        self._window = screen if isinstance(screen, TypingScreen) else None
        self.is_nobody = self._window is None
        self._script, self._model, self._recordings = script, model, recordings
        ask_clipboard = self._window.ask_clipboard if self._window else str
        self.keyboard = Keyboard(
            lambda: model.words or "",
            {},
            ask_clipboard,
            lambda: model.info.vocabulary if model.info else (),
            lambda: self.desk.has_next,
        )

    def gather(
        self, gestures: Sequence[tuple[Gesture, int]], now_ns: int, first_flip_ns: int | None
    ) -> Iterator[Submission]:
        """Obey what was pressed; the events of keys and script, each with its source and when it left it.

        Each is to be submitted before the next is asked for, since a key may go on from it.
        """
        for gesture, pump_ns in self._in_order(gestures):
            self.has_pressed |= isinstance(gesture, KeyDown)
            if self.keyboard.awaits_paste and not isinstance(gesture, Pasted | Closed):
                self._held_back.append((gesture, pump_ns))
            else:
                yield from self._handle(gesture, pump_ns)
        for event, due_ns in self._scripted(now_ns, first_flip_ns):
            self.keyboard.note(event)
            if not isinstance(event, Dial):
                self.newest = event, due_ns
            yield event, "script", due_ns
        far, self._far = self._far, []
        for asked, source, t_ns in far:
            yield from self._act(asked, source, t_ns)
        for asked, source, t_ns in self.instruments.poll(now_ns, self.desk.clock):
            yield from (
                self._moved(asked, source, t_ns) if isinstance(asked, ControlMoved) else self._act(asked, source, t_ns)
            )
        yield from self._waved(now_ns)
        for event, source, sent_ns in self.desk.poll(now_ns, first_flip_ns):
            self.newest = event, sent_ns
            self.keyboard.note(event)
            yield event, source, sent_ns
        if self.mapper.lights:
            states = {"blackout": self.blackout, "freeze": self.frozen}
            self.instruments.light(lamp_values(self.mapper.lights, self.desk, states, now_ns))

    @property
    def cue_names(self) -> tuple[str, ...]:
        """The cues of this machine's own set list."""
        return tuple(cue.name for cue in self.desk.cues)

    @property
    def next_cue(self) -> int | None:
        """The index of the cue that is next."""
        return self.desk.next_cue

    def fire_cue(self, cue: str, index: int, source: str, t_ns: int) -> None:
        """Fire a cue that an operator on another machine has asked for: "next", "previous" or "number"."""
        commands = {"next": Command.NEXT, "previous": Command.PREVIOUS}
        self._far.append((commands.get(cue, FireCue(index)), source, t_ns))

    def waits(self, event: Event) -> bool:
        """Whether this event waits for its beat."""
        return any(launch.event is event for launch in self.desk.launches.armed)

    def show_far_cues(self, names: tuple[str, ...], following: int | None) -> None:
        """These are the host's cues, which the desk fires where it has none of its own."""
        self.desk.far.names, self.desk.far.following = names, following

    def take_far_cues(self) -> list[tuple[str, int]]:
        """The host's cues that were fired here since the last call."""
        fired, self.desk.far.fired = self.desk.far.fired, []
        return fired

    def _in_order(self, gestures: Sequence[tuple[Gesture, int]]) -> list[tuple[Gesture, int]]:
        """The gestures that were held back for the clipboard and the new ones; its text comes before all of them."""
        waiting, self._held_back = [*self._held_back, *gestures], []
        return sorted(waiting, key=lambda gesture: not isinstance(gesture[0], Pasted))

    def _handle(self, gesture: Gesture, pump_ns: int) -> list[Submission]:
        """Do what a gesture asks of the show; the events that it causes."""
        if isinstance(gesture, KeyDown) and not self.mapper.is_learning:
            self.mapper.message = ""
        if isinstance(gesture, ControlMoved):
            return self._moved(gesture, "gamepad", pump_ns)
        if isinstance(gesture, Clicked):
            return self._act(gesture.action or Command.DISARM, "mouse", pump_ns)
        if (move := self._mapped_key(gesture)) is not None:
            return self._moved(move, "keys", pump_ns)
        values, found = dict(self.keyboard.values), []
        actions = self.keyboard.handle(gesture)
        if actions and Command.LEARN not in actions and self.mapper.ask(actions):
            for name in values:  # the key was not meant
                self.keyboard.note(Dial(name, values[name]))
            return []
        for asked in actions:
            found += self._act(asked, "keys", pump_ns)
        if self.keyboard.pressed:
            self.newest = self.keyboard.pressed, pump_ns
        return found

    def _mapped_key(self, gesture: Gesture) -> ControlMoved | None:
        """The move that a key is, if the mapping has it and it does not type."""
        if not isinstance(gesture, KeyDown | KeyUp) or self.keyboard.is_open:
            return None
        name = f"key:{gesture.key}"
        return ControlMoved(name, float(isinstance(gesture, KeyDown))) if self.mapper.has(name) else None

    def _moved(self, move: ControlMoved, source: str, t_ns: int) -> list[Submission]:
        """Do what a control that moved is mapped to."""
        actions = self.mapper.moved(move, self.keyboard.dials, self.keyboard.values)
        return [submission for action in actions for submission in self._act(action, source, t_ns)]

    def _waved(self, now_ns: int) -> Iterator[Submission]:
        """The dials that follow the beat."""
        world = self._model.info.dials if self.mapper.waves and self._model.info else {}
        ahead_ns = self.desk.launches.ahead_ns
        for dial in self._waves.poll(now_ns, self.desk.clock, world, DISPLAY_DIALS, ahead_ns):
            self.keyboard.note(dial)
            yield dial, "beat", now_ns

    def _set_state(self, asked: SetState, t_ns: int) -> None:
        if asked.name == "blackout":
            self.blackout = bool(asked.value)
        elif asked.name == "freeze":
            self.frozen = bool(asked.value)
        else:
            self.desk.set_state(asked.name, asked.value, t_ns)

    def _act(self, asked: Action, source: str, pump_ns: int) -> list[Submission]:
        """Do what was asked for; the events that it causes now. Words may wait for their beat at the desk."""
        found: list[Submission] = []
        if isinstance(asked, FireCue | StagePrompt):
            found = self.desk.fire(asked, pump_ns)
        elif isinstance(asked, SetState):
            self._set_state(asked, pump_ns)
        elif isinstance(asked, Command):
            found = self.desk.obey(asked, pump_ns) if asked in DESK_COMMANDS else []
            self._obey(asked, pump_ns)
        else:
            self.keyboard.note(asked)
            found = self.desk.words(asked, source, pump_ns) if words_of(asked) else [(asked, source, pump_ns)]
        if found and not isinstance(found[-1][0], Dial):
            self.newest = found[-1][0], pump_ns
        return found

    def _scripted(self, now_ns: int, first_flip_ns: int | None) -> list[tuple[Event, int]]:
        """The events of the script that are due. Those at 0 are due once the world is open, for its first block."""
        if self._script is None or self._model.info is None:
            return []
        opening = [(event, now_ns) for event in self._script.take_opening()]
        if first_flip_ns is None:
            return opening
        self._script.start(first_flip_ns)
        return opening + self._script.poll(now_ns)

    def _obey(self, command: Command, pump_ns: int) -> None:
        """Do what a key asks of the show itself."""
        if command in PAST_COMMANDS:
            self.past.append((command, pump_ns))
            self.newest = command, pump_ns
        elif command is Command.QUIT:
            self.quitting = True
        elif command is Command.FREEZE:
            self.frozen = not self.frozen
        elif command is Command.BLACKOUT:
            self.blackout = not self.blackout
        elif command is Command.HELP:
            self.help = not self.help
        elif command is Command.STATISTICS:
            self.statistics = not self.statistics
        elif command is Command.LEARN:
            self.mapper.learn()
        elif command in (Command.LET_IN, Command.REFUSE) and self.audience:
            self.audience.decide(command is Command.LET_IN)
        elif command is Command.SWITCH:
            self._model.set_mode(_mode_after(self._model.mode))
            self.newest = command, pump_ns
        elif command is Command.WAY:
            self.ways_asked += 1
        elif command is Command.RECORD and self._recordings:
            self._recordings.toggle()
            self.newest = command, pump_ns
        elif self._window:
            self._obey_window(self._window, command)
            self.newest = (command, pump_ns) if command in (Command.FIT, Command.PIN) else self.newest

    def _obey_window(self, window: TypingScreen, command: Command) -> None:
        if command is Command.FULLSCREEN:
            window.toggle_fullscreen()
        elif command is Command.FIT:
            window.next_fit()
        elif command is Command.PIN:
            window.toggle_pinning()
        elif command is Command.LINE_OPENED:
            window.start_text()
        elif command is Command.LINE_CLOSED:
            window.stop_text()


def _mode_after(mode: str) -> str:
    """The next way to switch prompts; after one that is not in the round, the first."""
    place = MODES.index(mode) + 1 if mode in MODES else 0
    return MODES[place % len(MODES)]
