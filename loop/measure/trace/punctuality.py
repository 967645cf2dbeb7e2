"""Whether each frame of a recording came when it was due, and how evenly the due times are spaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from loop.measure.trace.analysis import new_frames, split_at_freezes
from loop.measure.trace.recording import MS, NS, Recording, TraceLine

_RUN_FRAMES = 64  # of an estimate of due times: rates are rounded in a trace, so errors add up over longer runs
_LEAST_RUN_FRAMES = 9  # a shorter run gives no estimate


def on_time_share(recording: Recording) -> float:
    """The share of new frames that were shown at the first tick at or after their due time.

    A frame that was not ready keeps the due time that it missed. Due times are estimated for a trace without them.
    """
    lateness_ns = [late_ns for _, late_ns in _lateness_ns(recording)]
    return sum(not _is_late(recording, late_ns) for late_ns in lateness_ns) / max(1, len(lateness_ns))


def late_frames(recording: Recording) -> list[float]:
    """When late frames were shown, in seconds after the first flip."""
    late = [line["t_ns"] for line, late_ns in _lateness_ns(recording) if _is_late(recording, late_ns)]
    return [(t_ns - recording.flips[0]["t_ns"]) / NS for t_ns in late]


def _is_late(recording: Recording, late_ns: float) -> bool:
    return late_ns >= 0.999 * recording.tick_ms * MS  # a whole tick, but for rounding


def unevenness_ms(recording: Recording) -> list[float]:
    """For each new frame, how far its due time lies from that of the frame before plus the period in force then.

    By how much a leap has moved it forward is left out.
    """
    uneven = []
    for before, after in _neighbours(recording):
        expected_ns = _periods_between(recording, before, after) * _period_ns(recording, before)
        leapt_ns = after.get("leapt_ms", 0) * MS
        uneven.append(abs(after["due_ns"] + leapt_ns - before["due_ns"] - expected_ns) / MS)
    return uneven


def period_changes_ms(recording: Recording) -> list[float]:
    """By how much the period changed from each new frame to the next."""
    return [abs(_period_ns(recording, b) - _period_ns(recording, a)) / MS for a, b in _neighbours(recording)]


def _neighbours(recording: Recording) -> Iterator[tuple[TraceLine, TraceLine]]:
    """The flips of each two new frames in a row; pairs across a freeze or a blackout are left out."""
    for run in split_at_freezes(recording.flips):
        # a run's first flip may show a frame that came earlier
        yield from pairwise(new_frames(run)[1:])


def _lateness_ns(recording: Recording) -> Iterator[tuple[TraceLine, float]]:
    """The flip of each new frame, and how long after the frame's due time that tick was."""
    if any("due_ns" not in line for line in recording.flips):
        yield from _estimated_lateness_ns(recording)
        return
    zero_ns, tick_ns = _tick_zero_ns(recording), recording.tick_ms * MS
    for before, line in pairwise(recording.flips):
        if line["frame"] != before["frame"] and not line.get("held"):
            yield line, zero_ns + line["tick"] * tick_ns - line["due_ns"]


def _tick_zero_ns(recording: Recording) -> float:
    """When tick 0 was. A trace that does not say so gives an upper bound: no flip comes before its tick."""
    if "tick_zero_ns" in recording.header:
        return recording.header["tick_zero_ns"]
    return min(line["t_ns"] - line["tick"] * recording.tick_ms * MS for line in recording.flips)


def _periods_between(recording: Recording, before: TraceLine, after: TraceLine) -> int:
    """How many periods lie between two shown frames: a skipped frame takes one, one that was taken back takes none."""
    taken_back = max(0, after["block"] - before["block"] - 1) * recording.header["block_frames"]
    if after["block"] != before["block"]:
        taken_back += recording.cut_frames(before["block"])
    return max(1, after["frame"] - before["frame"] - taken_back)


def _period_ns(recording: Recording, line: TraceLine) -> float:
    return recording.period_ms * MS / line["rate"]


def _estimated_lateness_ns(recording: Recording) -> Iterator[tuple[TraceLine, float]]:
    """`_lateness_ns` for traces without due times.

    Under one schedule a frame is due one period after the frame before, and no frame is shown early. So the promptest
    flip of a run tells when the run's schedule began.
    """
    zero_ns, tick_ns = _tick_zero_ns(recording), recording.tick_ms * MS
    for run in _runs_of_one_schedule(recording.flips):
        due_ns = [0.0]  # after the schedule began
        for before, after in pairwise(run):
            due_ns.append(due_ns[-1] + _periods_between(recording, before, after) * _period_ns(recording, before))
        begin_ns = min(line["t_ns"] - due for line, due in zip(run, due_ns, strict=True))
        for line, due in zip(run, due_ns, strict=True):
            yield line, zero_ns + line["tick"] * tick_ns - begin_ns - due


def _runs_of_one_schedule(flips: Sequence[TraceLine]) -> list[list[TraceLine]]:
    """New frames in short runs under one schedule; a repeat, a freeze and a blackout each begin another schedule."""
    runs: list[list[TraceLine]] = [[]]
    for part in split_at_freezes(flips):
        runs.append([])
        for before, line in pairwise([{"frame": None}, *part]):
            if line["repeat"] or len(runs[-1]) == _RUN_FRAMES:
                runs.append([])
            if line["frame"] != before["frame"]:
                runs[-1].append(line)
    return [run for run in runs if len(run) >= _LEAST_RUN_FRAMES]
