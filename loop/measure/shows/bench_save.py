"""`neverblink bench save`: what the saving of a session costs, in shows with it and without it in turn."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.trace.analysis import flip_intervals_ms, late_ticks
from loop.measure.trace.estimate import Estimate, bootstrap_difference
from loop.measure.trace.recording import Recording

log = logging.getLogger(__name__)
SWITCH_EVERY_S = 3.0
SIDES = ("saved", "not saved")


def run_save_bench(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for."""
    asked = {"segments of each": options.segments, "seconds each": options.seconds, "reserve": options.reserve}
    head = print_environment(trial.configuration(options) | asked, trial.device_name(options))
    sides: dict[str, list[Recording]] = {name: [] for name in SIDES}
    for segment in range(options.segments):
        log.info("segment %d of %d, two of %.0f s", segment + 1, options.segments, options.seconds)
        order = SIDES if segment % 2 else SIDES[::-1]  # the second of a pair may find a warmer machine
        pair = {name: trial.try_show(_segment(options, segment, name == "saved")) for name in order}
        for name, recording in pair.items():
            if recording and all(pair.values()):
                sides[name].append(recording.since(trial.WARM_S))
    if not sides["saved"]:
        raise ChildProcessError("no segment ran to its end")
    figures = save_figures(sides)
    print_save_figures(figures)
    write_json(options, head, figures)
    return 0


def save_figures(sides: dict[str, list[Recording]]) -> dict[str, Any]:
    """Times of blocks and from flip to flip on either side, and by how much saving makes them longer."""
    blocks = {name: _spread(side, block_times_ms) for name, side in sides.items()}
    flips = {name: _spread(side, lambda one: flip_intervals_ms(one.flips)) for name, side in sides.items()}
    medians = {name: [Spread.of(block_times_ms(one)).p50 for one in side] for name, side in sides.items()}
    difference = bootstrap_difference(medians["saved"], medians["not saved"], np.random.default_rng(0))
    return {
        "block times in ms": blocks,
        "flip intervals in ms": flips,
        "late ticks": {name: sum(late_ticks(one.flips) for one in side) for name, side in sides.items()},
        "saving adds to a block, in ms": asdict(difference),
    }


def print_save_figures(figures: dict[str, Any]) -> None:
    """Print what `save_figures` gave."""
    print()
    print_spreads(figures["block times in ms"], "ms for a block without a recache")
    print_spreads(figures["flip intervals in ms"], "ms from flip to flip")
    print("late ticks: " + ", ".join(f"{side} {count}" for side, count in figures["late ticks"].items()))
    added = Estimate(**figures["saving adds to a block, in ms"])
    print(f"saving adds to a block (median of segments, 95 %, bootstrap): {added:.2f} ms")


def block_times_ms(recording: Recording) -> list[float]:
    """What each block took from its begin to its end, those with a recache left out."""
    return [(line["t_end_ns"] - line["t_begin_ns"]) / 1e6 for line in recording.blocks if not line["switch"]]


def _spread(side: Sequence[Recording], times_of: Any) -> Spread:
    return Spread.of([time for recording in side for time in times_of(recording)])


def _segment(options: Namespace, segment: int, saves: bool) -> trial.Show:
    """The same events at the same times on either side."""
    chance = random.Random(1000 * trial.seed_of(options) + segment)
    count = int((options.seconds - trial.WARM_S) / SWITCH_EVERY_S)
    times = trial.random_times(chance, count, SWITCH_EVERY_S - 0.5, 0.5)
    arguments = trial.play_arguments(options, "--reserve", options.reserve)
    return trial.Show(arguments, trial.prompt_script(times), options.seconds, saves=saves)
