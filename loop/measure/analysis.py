"""From a recording to figures: how long each stage took, and how evenly the picture moved. Pure; ms unless named."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from loop.measure.estimate import Estimate, slope
from loop.measure.recording import MS, NS, Followed, Line, Recording
from loop.output.ledger import STAGES

TOTAL = "pump to flip"
LEAST_RATE = 0.95  # of the world's own: below it a stream is slow motion, however even


def times_by_stage(events: Iterable[Followed]) -> dict[str, list[float]]:
    """Of the events that reached the screen: ms since the stage before, by stage in order, and the total."""
    times: dict[str, list[float]] = {stage: [] for stage in (*STAGES[1:], TOTAL)}
    for event in events:
        if event.total_ms is not None:
            for stage, value in {**event.stages_ms(), TOTAL: event.total_ms}.items():
                times[stage].append(value)
    return {stage: values for stage, values in times.items() if values}


def switches(recording: Recording) -> list[Followed]:
    """The prompts and hard cuts that reached the screen."""
    return [event for event in recording.events if event.kind in ("prompt", "scene") and "flip" in event.stamps]


def new_frames(flips: Sequence[Line]) -> list[Line]:
    """The flips that showed another frame than the one before."""
    return [line for before, line in pairwise([{"frame": None}, *flips]) if line["frame"] != before["frame"]]


def stretches(flips: Sequence[Line]) -> list[list[Line]]:
    """The flips between freezes and blackouts."""
    parts: list[list[Line]] = [[]]
    for line in flips:
        if line.get("held"):
            parts.append([])
        else:
            parts[-1].append(line)
    return [part for part in parts if part]


def holds_ms(flips: Sequence[Line]) -> list[float]:
    """How long each frame was held; of the last one of a stretch, as long as it was seen to be."""
    held = []
    for part in stretches(flips):
        turns = [line["t_ns"] for line in new_frames(part)]
        held += [(after - before) / MS for before, after in pairwise([*turns, part[-1]["t_ns"]])]
    return held


def intervals_ms(flips: Sequence[Line]) -> list[float]:
    """The time between one flip and the next, of every tick."""
    return [(after["t_ns"] - before["t_ns"]) / MS for before, after in pairwise(flips)]


def late_ticks(flips: Sequence[Line]) -> int:
    """Ticks whose whole slot went by without a flip."""
    return sum(after["tick"] - before["tick"] - 1 for before, after in pairwise(flips))


def skipped(recording: Recording) -> int:
    """Frames of shown blocks that never came to the screen. The first and the last block are shown in part."""
    shown: dict[int, set[int]] = defaultdict(set)
    for line in recording.flips:
        shown[line["block"]].add(line["frame"])
    starts = {line["block"]: line["start"] for line in recording.blocks}
    return sum(_missing(recording, block, shown[block], starts.get(block, 0)) for block in sorted(shown)[1:-1])


def _missing(recording: Recording, block: int, frames: set[int], start: int) -> int:
    """A block at the beginning of a scene may hold fewer frames than the others: what is missing at its end is none."""
    size = recording.header["block_frames"]
    first = block * size
    return (size if start else max(frames) - first + 1) - len(frames)


@dataclass(frozen=True)
class Smoothness:
    """How a stream looked. limit_ms: the longest hold that is none (design, section 9); rate: the lowest."""

    repeats: int
    skipped: int
    late_ticks: int
    rate: float
    longest_hold_ms: float
    limit_ms: float

    @property
    def has_no_repeats(self) -> bool:
        """What "no repeats" means: none, at nearly the world's own rate, and no frame held."""
        is_held = self.longest_hold_ms > self.limit_ms
        return self.repeats == 0 and self.rate >= LEAST_RATE and not is_held


def smoothness(recordings: Sequence[Recording]) -> Smoothness:
    """Of several recordings of one setting, which must not be empty: counts add up, of the rest the worst."""
    flips = [recording.flips for recording in recordings]
    return Smoothness(
        sum(line["repeat"] for part in flips for line in part),
        sum(map(skipped, recordings)),
        sum(map(late_ticks, flips)),
        min(line["rate"] for part in flips for line in part),
        max(hold for part in flips for hold in holds_ms(part)),
        1.5 * recordings[0].period_ms + recordings[0].tick_ms,
    )


def frames_lost(recording: Recording, after_s: float = 1.0) -> list[float]:
    """For each switch, the frames that the world would have shown beyond those that were.

    From the frame on the screen when it left its source to the one there `after_s` past its first pixel.
    """
    turns = [line["t_ns"] for line in new_frames(recording.flips)]
    lost = []
    for event in switches(recording):
        first = bisect(turns, event.stamps["pump"]) - 1
        last = bisect(turns, event.stamps["flip"] + round(after_s * NS)) - 1
        if first >= 0 and last < len(turns) - 1:
            lost.append((turns[last] - turns[first]) / MS / recording.period_ms - (last - first))
    return lost


def unseen_blocks(recording: Recording) -> float:
    """Of the finished blocks up to the newest one shown, the share of which no frame ever was."""
    shown = {line["block"] for line in recording.flips}
    made = [line["block"] for line in recording.blocks if shown and min(shown) <= line["block"] <= max(shown)]
    return sum(block not in shown for block in made) / max(1, len(made))


def left_blocks(recording: Recording) -> float:
    """Of all begun blocks, the share that was left unfinished for something better."""
    left = sum(line.get("left", 0) for line in recording.blocks)
    return left / max(1, left + len(recording.blocks))


def queue_age_slope(recording: Recording, bin_s: float = 1.0) -> Estimate:
    """Growth of the age at which each block's first frame is shown, ms a minute with 95 % limits.

    Theil and Sen's slope through the medians of bins of `bin_s`: whole periods of what is done to the stream, so that
    its rhythm is no trend. Raises ValueError when there are too few.
    """
    bins: dict[int, list[float]] = defaultdict(list)
    begin = recording.flips[0]["t_ns"] if recording.flips else 0
    for part in stretches(recording.flips):
        for line in _first_frames(part)[1:]:
            bins[int((line["t_ns"] - begin) / (bin_s * NS))].append(line["age_ms"])
    full = sorted(bins)[:-1]  # the last one is cut short
    return slope([number * bin_s / 60 for number in full], [median(bins[number]) for number in full])


def _first_frames(flips: Sequence[Line]) -> list[Line]:
    """The flips that showed the first frame of a block; within a block ages only count its frames."""
    return [line for before, line in pairwise([{"block": None}, *flips]) if line["block"] != before["block"]]
