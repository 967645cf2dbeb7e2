"""The rows of the statistics panel: what was really shown in the last seconds, and what the events took."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from loop.engine import Engine
from loop.screen.overlay import Rows
from loop.timing.clock import TICK_HZ, Clock

REFRESH_S = 0.25  # numbers that change at every tick cannot be read, and each change costs a flip
_WINDOW_SAMPLES = 9  # a refresh apart: rates are means over two seconds


@dataclass(frozen=True)
class _Sample:
    """Counts since the show began. made: of frames shown or skipped. ticks: that were not late."""

    t_ns: int
    shown: int
    made: int
    ticks: int


class Statistics:
    """Owned by the panels, which ask for `rows` while the panel is open and call `note` at every tick."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[_Sample] = deque(maxlen=_WINDOW_SAMPLES)
        self._rows: Rows = ()

    def note(self, engine: Engine) -> None:
        """Look at the counts of the engine, if the last look was some time ago."""
        now = self._clock.now_ns()
        if self._samples and now - self._samples[-1].t_ns < REFRESH_S * 1e9:
            return
        made, ticks = engine.shown + engine.skipped, engine.ticks.tick - engine.ticks.late
        self._samples.append(_Sample(now, engine.shown, made, ticks))
        self._rows = ()

    def rows(self, engine: Engine) -> Rows:
        """(name, value) of each row; none before the world is open. The same until the next look at the counts."""
        playback, info = engine.playback, engine.model.info
        if playback is None or info is None:
            return ()
        if self._rows:
            return self._rows
        shown, made, ticks = self._rates()
        self._rows = (
            ("world", info.name),
            ("frames a second", f"{shown:.1f} of {info.fps:g}"),
            ("ticks a second", f"{ticks:.0f} of {TICK_HZ}"),
            ("speed", f"{made / info.fps:.2f}x"),
            ("switch", engine.model.mode),
            ("queue age", f"{engine.age_ms:.0f} ms"),
            ("block", f"{playback.block_ms:.0f} ms"),
            ("repeats / skipped", f"{engine.repeats} / {engine.skipped}"),
            ("late ticks", f"{engine.ticks.late}"),
            *_launch_rows(engine),
            *(engine.peers.rows() if engine.peers else ()),
            *_recording_rows(engine),
            *engine.out.ledger.rows(),
        )
        return self._rows

    def _rates(self) -> tuple[float, float, float]:
        """(frames shown, frames shown or skipped, ticks) a second, in the last seconds; 0 before there are any."""
        first, last = self._samples[0], self._samples[-1]
        span_s = (last.t_ns - first.t_ns) / 1e9
        if not span_s:
            return 0.0, 0.0, 0.0
        return (
            (last.shown - first.shown) / span_s,
            (last.made - first.made) / span_s,
            (last.ticks - first.ticks) / span_s,
        )


def _launch_rows(engine: Engine) -> Rows:
    summary = engine.controls.desk.launches.summary()
    return (("launches on the beat", summary),) if summary else ()


def _recording_rows(engine: Engine) -> Rows:
    recordings = engine.out.recordings
    if not recordings or not recordings.made:
        return ()
    newest = recordings.made[-1]
    if newest.error:
        return (("recording", "failed"),)
    state = "" if recordings.is_on else "ended, "
    left_out = f", {newest.dropped} pictures dropped" if newest.dropped else ""
    return (("recording", f"{state}{newest.recorded / newest.fps:.0f} s{left_out}"),)
