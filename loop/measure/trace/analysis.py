"""Figures of a recording: how long events took from stage to stage, and how smoothly the picture moved."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from loop.measure.trace.estimate import Estimate, slope
from loop.measure.trace.recording import MS, NS, Recording, TracedEvent, TraceLine
from loop.output.ledger import STAGES

TOTAL = "pump to flip"
LEAST_RATE = 0.95  # share of the world's own frame rate; a slower stream is slow motion, however even it is


def times_by_stage(events: Iterable[TracedEvent]) -> dict[str, list[float]]:
    """For each stage in order, the ms since the stage before, and under TOTAL the whole time, of the events shown.

    Stages that no event reached are left out.
    """
    times: dict[str, list[float]] = {stage: [] for stage in (*STAGES[1:], TOTAL)}
    for event in events:
        if event.total_ms is not None:
            for stage, value in {**event.stages_ms(), TOTAL: event.total_ms}.items():
                times[stage].append(value)
    return {stage: values for stage, values in times.items() if values}


def shown_switches(recording: Recording) -> list[TracedEvent]:
    """The prompts and hard cuts that reached the screen."""
    return [event for event in recording.events if event.kind in ("prompt", "scene") and "flip" in event.stamps]


def switch_times_ms(recording: Recording) -> list[float]:
    """For each prompt and hard cut that reached the screen, the time from its source to its first pixel."""
    return [ms for event in shown_switches(recording) if (ms := event.total_ms) is not None]


def new_frames(flips: Sequence[TraceLine]) -> list[TraceLine]:
    """The flips that showed another frame than the flip before."""
    return [line for before, line in pairwise([{"frame": None}, *flips]) if line["frame"] != before["frame"]]


def mean_rate(recording: Recording) -> float:
    """How many frames were shown in the mean, as a share of the world's own rate."""
    times = [line["t_ns"] for line in new_frames(recording.flips)]
    return float((len(times) - 1) * recording.period_ms * MS / (times[-1] - times[0]))


def split_at_freezes(flips: Sequence[TraceLine]) -> list[list[TraceLine]]:
    """The flips in runs without a freeze or a blackout; the flips during those are left out."""
    runs: list[list[TraceLine]] = [[]]
    for line in flips:
        if line.get("held"):
            runs.append([])
        else:
            runs[-1].append(line)
    return [run for run in runs if run]


def holds_ms(flips: Sequence[TraceLine]) -> list[float]:
    """How long each frame stood on the screen, freezes and blackouts left out.

    The last frame of a run counts up to the run's last flip.
    """
    holds = []
    for run in split_at_freezes(flips):
        times = [line["t_ns"] for line in new_frames(run)]
        holds += [(after - before) / MS for before, after in pairwise([*times, run[-1]["t_ns"]])]
    return holds


def flip_intervals_ms(flips: Sequence[TraceLine]) -> list[float]:
    """The time from each flip to the next one."""
    return [(after["t_ns"] - before["t_ns"]) / MS for before, after in pairwise(flips)]


def late_ticks(flips: Sequence[TraceLine]) -> int:
    """How many ticks passed without a flip."""
    return sum(after["tick"] - before["tick"] - 1 for before, after in pairwise(flips))


def skipped_frames(recording: Recording) -> int:
    """How many frames of shown blocks never came to the screen.

    The first and the last block do not count: the recording may hold only a part of them.
    """
    shown: dict[int, set[int]] = defaultdict(set)
    for line in recording.flips:
        shown[line["block"]].add(line["frame"])
    starts = {line["block"]: line["start"] for line in recording.blocks}
    return sum(_missing(recording, block, shown[block], starts.get(block, 0)) for block in sorted(shown)[1:-1])


def _missing(recording: Recording, block: int, frames: set[int], start: int) -> int:
    """How many of a block's frames are not among `frames`.

    A scene's first block (`start` 0) may hold fewer frames than the others: it is taken to end with the last one shown.
    """
    size = recording.header["block_frames"]
    first, whole = block * size, size - recording.cut_frames(block)
    return (whole if start else max(frames) - first + 1) - len(frames)


@dataclass(frozen=True)
class Smoothness:
    """How smoothly a stream moved.

    rate: the lowest presentation rate, as a share of the world's own. limit_ms: the longest hold that is still smooth.
    """

    repeats: int
    skipped: int
    late_ticks: int
    rate: float
    longest_hold_ms: float
    limit_ms: float

    @property
    def has_no_repeats(self) -> bool:
        """The trace format's "no repeats": no repeat, nearly the world's own rate, and no hold over the limit."""
        is_held = self.longest_hold_ms > self.limit_ms
        return self.repeats == 0 and self.rate >= LEAST_RATE and not is_held


def smoothness(recordings: Sequence[Recording]) -> Smoothness:
    """The smoothness of one or more recordings of the same setting: counts are summed, of all else the worst counts."""
    flips = [recording.flips for recording in recordings]
    return Smoothness(
        repeats=sum(line["repeat"] for part in flips for line in part),
        skipped=sum(map(skipped_frames, recordings)),
        late_ticks=sum(map(late_ticks, flips)),
        rate=min(line["rate"] for part in flips for line in part),
        longest_hold_ms=max(hold for part in flips for hold in holds_ms(part)),
        limit_ms=1.5 * recordings[0].period_ms + recordings[0].tick_ms,
    )


def frames_lost(recording: Recording, after_s: float = 1.0) -> list[float]:
    """For each switch, how many frames fewer were shown than at the world's own rate.

    Counted from the event's source until `after_s` after its first pixel. A switch too near an end of the recording
    to be counted so is left out.
    """
    times = [line["t_ns"] for line in new_frames(recording.flips)]
    lost = []
    for event in shown_switches(recording):
        first = bisect(times, event.stamps["pump"]) - 1
        last = bisect(times, event.stamps["flip"] + round(after_s * NS)) - 1
        if first >= 0 and last < len(times) - 1:
            lost.append((times[last] - times[first]) / MS / recording.period_ms - (last - first))
    return lost


def unseen_blocks(recording: Recording) -> float:
    """The share of finished blocks of which no frame was shown, up to the newest block shown."""
    shown = {line["block"] for line in recording.flips}
    made = [line["block"] for line in recording.blocks if shown and min(shown) <= line["block"] <= max(shown)]
    return sum(block not in shown for block in made) / max(1, len(made))


def abandoned_blocks(recording: Recording) -> float:
    """The share of begun blocks that were abandoned before they were finished."""
    abandoned = sum(line.get("abandoned", 0) for line in recording.blocks)
    return abandoned / max(1, abandoned + len(recording.blocks))


def queue_age_slope(recording: Recording, bin_s: float = 1.0) -> Estimate:
    """How fast the age at which a block's first frame is shown grows: ms a minute with 95 % limits.

    The Theil-Sen slope through the medians of bins of `bin_s`. Choose whole periods of the script's events, so that
    their rhythm is not taken for growth. Raises ValueError with fewer than four full bins.
    """
    bins: dict[int, list[float]] = defaultdict(list)
    begin = recording.flips[0]["t_ns"] if recording.flips else 0
    for run in split_at_freezes(recording.flips):
        for line in _first_frames(run)[1:]:
            bins[int((line["t_ns"] - begin) / (bin_s * NS))].append(line["age_ms"])
    full = sorted(bins)[:-1]  # the last bin is cut short
    return slope([number * bin_s / 60 for number in full], [median(bins[number]) for number in full])


def _first_frames(flips: Sequence[TraceLine]) -> list[TraceLine]:
    """The flips that showed a block's first frame. Within a block the age only follows from the frame's place in it."""
    return [line for before, line in pairwise([{"block": None}, *flips]) if line["block"] != before["block"]]
