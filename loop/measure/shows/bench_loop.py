"""`neverblink bench loop`: the time from flip to flip with the model running, and in the same loop without it.

With `--inputs` the show runs with those options on one side, and without them, but with the model, on the other.
"""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.trace.analysis import flip_intervals_ms, late_ticks
from loop.measure.trace.estimate import Estimate, bootstrap_median
from loop.measure.trace.punctuality import on_time_share
from loop.measure.trace.recording import Recording, TraceLine

log = logging.getLogger(__name__)
SWITCH_EVERY_S = 3.0  # so that recaches are part of the model's work


@dataclass(frozen=True)
class SegmentPair:
    """A segment with the model (and the inputs), and the segment without it (or them) that followed."""

    live: Recording
    bare: Recording

    @property
    def p99_ratio(self) -> float:
        """The 99th percentile of the flip intervals of the first, over that of the second."""
        return _interval_spread([self.live]).p99 / _interval_spread([self.bare]).p99


def run_loop_bench(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for."""
    asked = {"segments of each": options.segments, "seconds each": options.seconds, "reserve": options.reserve}
    asked |= {"inputs": " ".join(options.inputs)} if options.inputs else {}
    _check_inputs(options)
    names = ("with the inputs", "without them") if options.inputs else ("with the model", "bare loop")
    head = print_environment(trial.configuration(options) | asked, trial.device_name(options))
    pairs: list[SegmentPair] = []
    for pair in _measured_pairs(options):
        pairs.append(pair)
        write_json(options, head, loop_figures(pairs, names))
    if not pairs:
        raise ChildProcessError("no segment ran to its end")
    print_loop_figures(loop_figures(pairs, names))
    return 0


def _check_inputs(options: Namespace) -> None:
    """Raise UsageError for inputs that no show would take."""
    try:
        parse_command_line(["play", *trial.play_arguments(options, *options.inputs)])
    except UsageError as error:
        raise UsageError(f"--inputs: {error}") from None


def _measured_pairs(options: Namespace) -> Iterator[SegmentPair]:
    """Run the segments with and without the model in turn; a pair of which one failed is left out."""
    for segment in range(options.segments):
        log.info("segment %d of %d, two of %.0f s", segment + 1, options.segments, options.seconds)
        live = trial.try_show(_live_segment(options, segment, options.inputs))
        bare = trial.try_show(_other_segment(options, segment, live.header)) if live else None
        if live and bare:
            yield SegmentPair(live.since(trial.WARM_S), bare.since(trial.WARM_S))


def loop_figures(
    pairs: Sequence[SegmentPair], names: tuple[str, str] = ("with the model", "bare loop")
) -> dict[str, Any]:
    """Flip intervals, late ticks, punctuality and events of all segments on either side, and the ratio between them."""
    sides = {names[0]: [pair.live for pair in pairs], names[1]: [pair.bare for pair in pairs]}
    return {
        "flip intervals in ms": {name: _interval_spread(side) for name, side in sides.items()},
        "late ticks": {name: sum(late_ticks(part.flips) for part in side) for name, side in sides.items()},
        "new frames at the first tick due": {name: min(map(on_time_share, side)) for name, side in sides.items()},
        "events": {name: sum(len(part.events) for part in side) for name, side in sides.items()},
        "ratios of p99": [pair.p99_ratio for pair in pairs],
        "median ratio": asdict(median_p99_ratio(pairs)),
    }


def median_p99_ratio(pairs: Sequence[SegmentPair]) -> Estimate:
    """The median of the pairs' ratios, with bootstrapped limits."""
    return bootstrap_median([pair.p99_ratio for pair in pairs], np.random.default_rng(0))


def print_loop_figures(figures: dict[str, Any]) -> None:
    """Print what `loop_figures` gave."""
    print()
    print_spreads(figures["flip intervals in ms"], "ms from flip to flip")
    for name in ("late ticks", "new frames at the first tick due", "events"):
        print(f"{name}: " + ", ".join(f"{side} {value:.4g}" for side, value in figures[name].items()))
    print("ratio of p99 by segment: " + " ".join(f"{ratio:.3f}" for ratio in figures["ratios of p99"]))
    print(f"median ratio of p99 (95 %, bootstrap over segments): {Estimate(**figures['median ratio']):.3f}")


def _interval_spread(recordings: Sequence[Recording]) -> Spread:
    return Spread.of([interval for recording in recordings for interval in flip_intervals_ms(recording.flips)])


def _live_segment(options: Namespace, segment: int, inputs: Sequence[str] = ()) -> trial.Show:
    chance = random.Random(1000 * trial.seed_of(options) + segment)
    count = int((options.seconds - trial.WARM_S) / SWITCH_EVERY_S)
    times = trial.random_times(chance, count, SWITCH_EVERY_S - 0.5, 0.5)
    arguments = trial.play_arguments(options, "--reserve", options.reserve, *inputs)
    return trial.Show(arguments, trial.prompt_script(times), options.seconds)


def _other_segment(options: Namespace, segment: int, live_header: TraceLine) -> trial.Show:
    """The same show without the inputs; or without a model, at the frame rate and the picture size of that with one."""
    if options.inputs:
        return _live_segment(options, segment)
    return trial.bare_show(options, live_header["fps"], live_header["picture"], (), options.seconds)
