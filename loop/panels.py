"""From the state of the show to what lies over its picture."""

from __future__ import annotations

import time
from typing import Any

from input.keys import Command, help_rows
from loop.engine import Engine
from loop.screen.hint import hint
from loop.screen.overlay import Mark, OverlayState, Rows, layout
from world.event import Dial, Prompt, Scene

TOAST_S = 2.5
BLINK_S = 0.53


class Panels:
    """The overlay of a window: `marks` is what the engine asks for at every tick."""

    def __init__(self, window: Any) -> None:
        self._window = window
        self._hinted = ("", "")  # the words last looked at and the remark on them, which costs a millisecond
        self._rates: tuple[int, int, float] = (0, 0, 0.0)  # at (ns), frames shown until then, frames a second since

    def marks(self, engine: Engine) -> tuple[Mark, ...]:
        """What to draw over the picture of this tick."""
        return layout(self._state(engine), self._window.size, self._window.measure)

    def _state(self, engine: Engine) -> OverlayState:
        controls, model = engine.controls, engine.model
        dials = model.info.dials if model.info else {}
        return OverlayState(
            line=controls.keyboard.view(),
            caret_lit=time.monotonic() % (2 * BLINK_S) < BLINK_S,
            status=model.status or ("frozen" if controls.frozen else ""),
            has_picture=engine.first_flip_ns is not None,
            toast=self._toast(engine),
            hint=self._hint(engine),
            help=help_rows(dials, model.info.vocabulary if model.info else ()) if controls.help else (),
            statistics=self._statistics(engine) if controls.statistics else (),
            blackout=controls.blackout,
        )

    def _toast(self, engine: Engine) -> str:
        """What was just asked for, for a moment: the only sign of it until its first pixel."""
        newest, at_ns = engine.controls.newest
        if time.perf_counter_ns() - at_ns > TOAST_S * 1e9:
            return ""
        if newest is Command.SWITCH:
            return f"switch: {engine.controls.mode}"
        if isinstance(newest, Dial) and newest.name == "guard":  # nothing else says whether it is on
            return f"strobe guard {'on' if newest.value >= 0.5 else 'off'}"
        return newest.text if isinstance(newest, Prompt | Scene) else ""

    def _hint(self, engine: Engine) -> str:
        """What the world makes of the words being typed, or just submitted."""
        line, newest = engine.controls.keyboard.view(), engine.controls.newest[0]
        if engine.model.info is None or (line is None and not isinstance(newest, Prompt | Scene)):
            return ""
        words = line.text.rpartition(" ")[0] if line else self._toast(engine)  # the last word is still being typed
        if words != self._hinted[0]:
            self._hinted = words, hint(words, engine.model.info)
        return self._hinted[1]

    def _statistics(self, engine: Engine) -> Rows:
        pacer = engine.pacer
        if pacer is None:
            return ()
        rows = [
            ("world", engine.model.info.name),
            ("frames a second", f"{self._rate(engine):.1f} of {engine.model.info.fps:g}"),
            ("switch", engine.controls.mode),
            ("speed", f"{pacer.rate:.2f}x"),
            ("queue age", f"{engine.age_ms:.0f} ms"),
            ("block", f"{engine.block_ms:.0f} ms"),
            ("repeats / late ticks", f"{engine.repeats} / {engine.clock.late}"),
        ]
        return (*rows, *engine.out.ledger.rows())

    def _rate(self, engine: Engine) -> float:
        """Frames shown a second, over the last half second or so."""
        at, shown, rate = self._rates
        now = time.perf_counter_ns()
        if now - at > 5e8:
            rate = (engine.shown - shown) / (now - at) * 1e9 if at else 0.0
            self._rates = now, engine.shown, rate
        return rate
