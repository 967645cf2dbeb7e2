"""Whether frames came when they were due, and how evenly they were: read out of a recording. Pure; ms unless named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from loop.measure.analysis import stretches
from loop.measure.recording import MS, NS, Line, Recording


def on_time_share(recording: Recording) -> float:
    """Of the new frames, how many came at the first tick at or after their due time.

    A frame that was not there yet keeps the time at which it was missed. A trace from before due times were written
    gives an estimate.
    """
    waits = [late_ns for _, late_ns in _lateness_ns(recording)]
    return sum(not _is_late(recording, late_ns) for late_ns in waits) / max(1, len(waits))


def late_frames(recording: Recording) -> list[float]:
    """Seconds from the first flip to each frame that came later."""
    late = [line["t_ns"] for line, late_ns in _lateness_ns(recording) if _is_late(recording, late_ns)]
    return [(t_ns - recording.flips[0]["t_ns"]) / NS for t_ns in late]


def _is_late(recording: Recording, late_ns: float) -> bool:
    return late_ns >= 0.999 * recording.tick_ms * MS  # a whole tick, but for rounding


def unevenness_ms(recording: Recording) -> list[float]:
    """How far each due time lies from where the one before and the period of that moment put it."""
    spaces = [
        (b["due_ns"] - a["due_ns"], _steps(recording, a, b) * _period_ns(recording, a)) for a, b in _turns(recording)
    ]
    return [abs(space - planned) / MS for space, planned in spaces]


def period_changes_ms(recording: Recording) -> list[float]:
    """How much the time between frames changed from one new frame to the next."""
    return [abs(_period_ns(recording, b) - _period_ns(recording, a)) / MS for a, b in _turns(recording)]


def _turns(recording: Recording) -> Iterator[tuple[Line, Line]]:
    """The flips of each two new frames in a row, freezes and blackouts left out."""
    for part in stretches(recording.flips):
        yield from pairwise([after for before, after in pairwise(part) if after["frame"] != before["frame"]])


def _lateness_ns(recording: Recording) -> Iterator[tuple[Line, float]]:
    """Each new frame's flip, and how long after its due time the tick of it was."""
    if any("due_ns" not in line for line in recording.flips):
        yield from _estimated_lateness_ns(recording)
        return
    zero_ns, tick_ns = _tick_zero_ns(recording), recording.tick_ms * MS
    for before, line in pairwise(recording.flips):
        if line["frame"] != before["frame"] and not line.get("held"):
            yield line, zero_ns + line["tick"] * tick_ns - line["due_ns"]


def _tick_zero_ns(recording: Recording) -> float:
    """When tick 0 was; in a trace that does not say, no later than the promptest flip allows."""
    if "tick_zero_ns" in recording.header:
        return recording.header["tick_zero_ns"]
    return min(line["t_ns"] - line["tick"] * recording.tick_ms * MS for line in recording.flips)


def _steps(recording: Recording, before: Line, after: Line) -> int:
    """How many periods lie between two shown frames: a skipped one has its own, what was taken back has none."""
    never_shown = max(0, after["block"] - before["block"] - 1) * recording.header["block_frames"]
    return max(1, after["frame"] - before["frame"] - never_shown)


def _period_ns(recording: Recording, line: Line) -> float:
    return recording.period_ms * MS / line["rate"]


# -- traces that do not name due times --------------------------------------------------------------------------------


def _estimated_lateness_ns(recording: Recording) -> Iterator[tuple[Line, float]]:
    """A frame is due a period after the last one, and none is ever shown early: so the earliest flips of a run under
    one schedule tell where that lies."""
    for run in _scheduled(recording.flips):
        due = [0.0]
        for before, after in pairwise(run):
            due.append(due[-1] + _steps(recording, before, after) * _period_ns(recording, before))
        begin_ns = min(line["t_ns"] - at for line, at in zip(run, due, strict=True))
        zero_ns, tick_ns = _tick_zero_ns(recording), recording.tick_ms * MS
        yield from ((line, zero_ns + line["tick"] * tick_ns - begin_ns - at) for line, at in zip(run, due, strict=True))


def _scheduled(flips: Sequence[Line]) -> list[list[Line]]:
    """New frames in runs under one schedule: a repeat begins another. Short, since rates are rounded in a trace."""
    runs: list[list[Line]] = [[]]
    for part in stretches(flips):
        runs.append([])
        for before, line in pairwise([{"frame": None}, *part]):
            if line["repeat"] or len(runs[-1]) == 64:
                runs.append([])
            if line["frame"] != before["frame"]:
                runs[-1].append(line)
    return [run for run in runs if len(run) > 8]
