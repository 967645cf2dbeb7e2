"""Everything that can be pressed, typed or scripted, and what it does to the show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from input.keys import Command, Gesture, Keyboard
from input.script import Script
from loop.output.recordings import Recordings
from loop.screen.screen import Screen
from loop.supervise.model import Model
from loop.timing.switch import MODES
from world.event import Event

Submission = tuple[Event, str, int]  # an event, its source, and when it left it (nanoseconds)


@runtime_checkable
class TypingScreen(Protocol):
    """What a screen offers besides if it is a window that somebody sits at and types into."""

    def toggle_fullscreen(self) -> object: ...

    def next_fit(self) -> object: ...

    def start_text(self) -> object: ...

    def stop_text(self) -> object: ...

    def clipboard(self) -> str: ...


class ShowControls:
    """The keyboard, the script, and the state of the show: nothing else sets it. Owned by the engine.

    quitting, frozen, blackout, help, statistics: what the keys have asked for. newest: the last event or command and
    when it came. is_nobody: there is no window, so nobody can be told anything but by the exit status. The words in
    force and the switch mode belong to the model.
    """

    def __init__(
        self, screen: Screen, script: Script | None, model: Model, recordings: Recordings | None = None
    ) -> None:
        self.quitting = self.frozen = self.blackout = self.help = self.statistics = False
        self.newest: tuple[Event | Command | None, int] = (None, 0)
        self._window = screen if isinstance(screen, TypingScreen) else None
        self.is_nobody = self._window is None
        self._script, self._model, self._recordings = script, model, recordings
        clipboard = self._window.clipboard if self._window else str
        self.keyboard = Keyboard(
            lambda: model.words or "", {}, clipboard, lambda: model.info.vocabulary if model.info else ()
        )

    def gather(
        self, gestures: Sequence[tuple[Gesture, int]], now_ns: int, first_flip_ns: int | None
    ) -> Iterator[Submission]:
        """Obey what was pressed; the events of keys and script, each with its source and when it left it.

        Each is to be submitted before the next is asked for, since a key may go on from it.
        """
        for gesture, pump_ns in gestures:
            for asked in self.keyboard.handle(gesture):
                if isinstance(asked, Command):
                    self._obey(asked, pump_ns)
                else:
                    yield self._noted(asked, "keys", pump_ns)
        if self._script and first_flip_ns is not None:
            self._script.start(first_flip_ns)
            for event, due_ns in self._script.poll(now_ns):
                yield self._noted(event, "script", due_ns)

    def _noted(self, event: Event, source: str, pump_ns: int) -> Submission:
        self.keyboard.note(event)
        self.newest = event, pump_ns
        return event, source, pump_ns

    def _obey(self, command: Command, pump_ns: int) -> None:
        """Do what a key asks of the show itself."""
        if command is Command.QUIT:
            self.quitting = True
        elif command is Command.FREEZE:
            self.frozen = not self.frozen
        elif command is Command.BLACKOUT:
            self.blackout = not self.blackout
        elif command is Command.HELP:
            self.help = not self.help
        elif command is Command.STATISTICS:
            self.statistics = not self.statistics
        elif command is Command.SWITCH:
            self._model.set_mode(_mode_after(self._model.mode))
            self.newest = command, pump_ns
        elif command is Command.RECORD and self._recordings:
            self._recordings.toggle()
            self.newest = command, pump_ns
        elif self._window:
            self._obey_window(self._window, command)
            self.newest = (command, pump_ns) if command is Command.FIT else self.newest

    def _obey_window(self, window: TypingScreen, command: Command) -> None:
        if command is Command.FULLSCREEN:
            window.toggle_fullscreen()
        elif command is Command.FIT:
            window.next_fit()
        elif command is Command.LINE_OPENED:
            window.start_text()
        elif command is Command.LINE_CLOSED:
            window.stop_text()


def _mode_after(mode: str) -> str:
    """The next way to switch prompts; after one that is not in the round, the first."""
    place = MODES.index(mode) + 1 if mode in MODES else 0
    return MODES[place % len(MODES)]
