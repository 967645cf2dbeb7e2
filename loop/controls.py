"""Everything that can be pressed, typed or scripted, and what it does to the show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from input.keys import Command, Gesture, Keyboard
from input.script import Script
from loop.screen.screen import Screen
from loop.timing.switch import MODES
from world.event import Event

Submission = tuple[Event, str, int]  # an event, its source, and when it left it (perf_counter_ns)
now_ns = time.perf_counter_ns


class ShowControls:
    """The keyboard, the script, and the state of the show that they change. Owned by the engine.

    quitting, frozen, blackout, help, statistics, mode: what the keys ask of the engine. newest: the last event and when
    it came. vocabulary: asked for the words that the open world knows. is_nobody: there is no window, so nobody can be
    told anything but by the exit status.
    """

    def __init__(
        self,
        screen: Screen,
        script: Script | None,
        mode: str = "auto",
        vocabulary: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.keyboard = Keyboard("", {}, getattr(screen, "clipboard", str), vocabulary)
        self.quitting = self.frozen = self.blackout = self.help = self.statistics = False
        self.is_nobody = not hasattr(screen, "toggle_fullscreen")
        self._screen = screen
        self._script = script
        self.mode = mode
        self.newest: tuple[Event | Command | None, int] = (None, 0)

    def gather(self, gestures: Sequence[tuple[Gesture, int]], first_flip_ns: int | None) -> list[Submission]:
        """Obey what was pressed; the events of keys and script, each with its source and when it left it."""
        found: list[Submission] = []
        for gesture, pump_ns in gestures:
            for asked in self.keyboard.handle(gesture):
                if isinstance(asked, Command):
                    self._obey(asked, pump_ns)
                else:
                    found.append((asked, "keys", pump_ns))
        if self._script and first_flip_ns is not None:
            self._script.start(first_flip_ns)
            found += [(event, "script", due_ns) for event, due_ns in self._script.poll(now_ns())]
        for event, _, pump_ns in found:
            self.keyboard.note(event)
            self.newest = event, pump_ns
        return found

    def _obey(self, command: Command, pump_ns: int) -> None:
        """Do what a key asks of the engine itself."""
        actions: dict[Command, Callable[[], Any]] = {
            Command.FULLSCREEN: lambda: self._screen.toggle_fullscreen(),
            Command.LINE_OPENED: lambda: self._screen.start_text(),
            Command.LINE_CLOSED: lambda: self._screen.stop_text(),
        }
        switches = {
            Command.HELP: "help",
            Command.STATISTICS: "statistics",
            Command.FREEZE: "frozen",
            Command.BLACKOUT: "blackout",
        }
        if command is Command.QUIT:
            self.quitting = True
        elif command is Command.SWITCH:
            place = MODES.index(self.mode) + 1 if self.mode in MODES else 0
            self.mode = MODES[place % len(MODES)]
            self.newest = command, pump_ns
        elif command in actions:
            actions[command]()
        elif command in switches:
            name = switches[command]
            setattr(self, name, not getattr(self, name))
