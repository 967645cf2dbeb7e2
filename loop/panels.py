"""What lies over the picture of a window: the prompt line, messages and panels, made from the state of the show."""

from __future__ import annotations

from typing import Any

from input.keys import Command, help_rows
from loop.engine import Engine
from loop.screen.hint import hint
from loop.screen.indicator import recording_indicator
from loop.screen.overlay import Mark, OverlayState, layout
from loop.statistics import Statistics
from loop.timing.clock import Clock
from world.event import Dial, Prompt, Scene

TOAST_S = 2.5
ERROR_S = 15.0
BLINK_S = 0.53


class Panels:
    """The overlay of a window. Owned by the engine, which asks for its `marks` at every tick."""

    def __init__(self, window: Any, clock: Clock) -> None:
        self._window, self._clock = window, clock
        self._hinted = ("", "")  # the words last looked up and the hint for them, since that takes a millisecond
        self._errors = (0, 0)  # how many files cannot be written, and when the last of them was noticed (ns)
        self._statistics = Statistics(clock)

    def marks(self, engine: Engine) -> tuple[Mark, ...]:
        """What to draw over the picture of this tick."""
        self._statistics.note(engine)
        size, measure = self._window.size, self._window.measure
        return (*layout(self._state(engine), size, measure), *recording_indicator(_film_s(engine), size, measure))

    def _state(self, engine: Engine) -> OverlayState:
        controls, model = engine.controls, engine.model
        dials = model.info.dials if model.info else {}
        return OverlayState(
            line=controls.keyboard.view(),
            caret_lit=self._clock.now_ns() / 1e9 % (2 * BLINK_S) < BLINK_S,
            status=model.status or ("frozen" if controls.frozen else ""),
            has_picture=engine.first_flip_ns is not None,
            toast=self._toast(engine),
            hint=self._trouble(engine) or self._hint(engine),
            help=help_rows(dials, model.info.vocabulary if model.info else ()) if controls.help else (),
            statistics=self._statistics.rows(engine) if controls.statistics else (),
            blackout=controls.blackout,
        )

    def _toast(self, engine: Engine) -> str:
        """The newest event or command, for a moment: until its first pixel there is no other sign of it."""
        newest, at_ns = engine.controls.newest
        if self._clock.now_ns() - at_ns > TOAST_S * 1e9:
            return ""
        if newest is Command.SWITCH:
            return f"switch: {engine.model.mode}"
        if newest is Command.FIT:
            return f"picture: {self._window.fit}"
        if isinstance(newest, Dial) and newest.name == "guard":  # nothing else says whether it is on
            return f"strobe guard {'on' if newest.value >= 0.5 else 'off'}"
        return newest.text if isinstance(newest, Prompt | Scene) else ""

    def _hint(self, engine: Engine) -> str:
        """A remark on the words being typed or just submitted: which of them the world does not know."""
        line, newest = engine.controls.keyboard.view(), engine.controls.newest[0]
        if engine.model.info is None or (line is None and not isinstance(newest, Prompt | Scene)):
            return ""
        words = line.text.rpartition(" ")[0] if line else self._toast(engine)  # the last word is still being typed
        if words != self._hinted[0]:
            self._hinted = words, hint(words, engine.model.info)
        return self._hinted[1]

    def _trouble(self, engine: Engine) -> str:
        """Which file cannot be written any more and why, for some seconds after that was seen."""
        errors = engine.out.troubles
        if len(errors) > self._errors[0]:
            self._errors = len(errors), self._clock.now_ns()
        return errors[-1] if errors and self._clock.now_ns() - self._errors[1] < ERROR_S * 1e9 else ""


def _film_s(engine: Engine) -> float | None:
    """The length of the film that is being recorded, for the sign that it is; None: no sign."""
    recordings = engine.out.recordings
    return recordings.seconds if recordings and not engine.controls.blackout else None
