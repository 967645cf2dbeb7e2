"""`neverblink bench loop`: the time from flip to flip with the model running, against the same loop without one."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loop.measure import trial
from loop.measure.analysis import intervals_ms, late_ticks
from loop.measure.bench import Spread, print_environment, print_spreads, write_json
from loop.measure.estimate import Estimate, median
from loop.measure.punctuality import on_time_share
from loop.measure.recording import Recording

log = logging.getLogger(__name__)
SWITCH_EVERY_S = 3.0  # a recache is model work too


@dataclass(frozen=True)
class Pair:
    """A segment with the model and the one without that followed it."""

    live: Recording
    bare: Recording

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles of their flip intervals."""
        live, bare = (Spread.of(intervals_ms(recording.flips)) for recording in (self.live, self.bare))
        return live.p99 / bare.p99


def run(options: Namespace) -> int:
    """Measure, print, and write the JSON if one is asked for."""
    asked = {"segments of each": options.segments, "seconds each": options.seconds, "reserve": options.reserve}
    head = print_environment(trial.setting(options) | asked, trial.device_name(options))
    pairs: list[Pair] = []
    for pair in measure(options):
        pairs.append(pair)
        write_json(options.json, head, figures(pairs))
    if not pairs:
        raise ChildProcessError("no segment ran to its end")
    report(figures(pairs))
    return 0


def measure(options: Namespace) -> Iterator[Pair]:
    """Segments with and without the model in turn; a pair that lacks one is left out."""
    for segment in range(options.segments):
        log.info("segment %d of %d, two of %.0f s", segment + 1, options.segments, options.seconds)
        live = trial.attempt(_live_show(options, segment))
        bare = live and trial.attempt(_bare_show(options, live.header))
        if bare:
            yield Pair(*(recording.since(trial.WARM_S) for recording in (live, bare)))


def figures(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Flip intervals of all segments, late ticks, and the ratio that counts."""
    sides = {"with the model": [pair.live for pair in pairs], "bare loop": [pair.bare for pair in pairs]}
    return {
        "flip intervals in ms": {name: _intervals(side) for name, side in sides.items()},
        "late ticks": {name: sum(late_ticks(part.flips) for part in side) for name, side in sides.items()},
        "new frames at the first tick due": {name: min(map(on_time_share, side)) for name, side in sides.items()},
        "ratios of p99": [pair.ratio for pair in pairs],
        "median ratio": asdict(ratio_of(pairs)),
    }


def ratio_of(pairs: Sequence[Pair]) -> Estimate:
    """The median of the pairs' ratios, bootstrapped over the pairs."""
    return median([pair.ratio for pair in pairs], np.random.default_rng(0))


def report(result: dict[str, Any]) -> None:
    """Print the table."""
    print()
    print_spreads(result["flip intervals in ms"], "ms from flip to flip")
    for name in ("late ticks", "new frames at the first tick due"):
        print(f"{name}: " + ", ".join(f"{side} {value:.4g}" for side, value in result[name].items()))
    print("ratio of p99 by segment: " + " ".join(f"{ratio:.3f}" for ratio in result["ratios of p99"]))
    print(f"median ratio of p99 (95 %, bootstrap over segments): {Estimate(**result['median ratio']):.3f}")


def _intervals(recordings: Sequence[Recording]) -> Spread:
    return Spread.of([interval for recording in recordings for interval in intervals_ms(recording.flips)])


def _live_show(options: Namespace, segment: int) -> trial.Show:
    chance = random.Random(1000 * trial.seed(options) + segment)
    count = int((options.seconds - trial.WARM_S) / SWITCH_EVERY_S)
    times = trial.moments(chance, count, SWITCH_EVERY_S - 0.5, 0.5)
    given = trial.arguments(options, "--reserve", options.reserve)
    return trial.Show(given, trial.prompts(times), options.seconds)


def _bare_show(options: Namespace, header: dict[str, Any]) -> trial.Show:
    """The same frames a second, of the same size, on the same screen."""
    picture = "x".join(map(str, header["picture"]))
    window = () if options.window else ("--headless",)
    given = ("--world", "probe", "--probe-fps", str(header["fps"]), "--picture", picture, *window)
    return trial.Show(given, (), options.seconds, "loop.measure.bare")
