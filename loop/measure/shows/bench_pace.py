"""`neverblink bench pace`: what the screen shows of a model slower than real time, and of one whose speed jumps."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from loop.cli.usage import UsageError
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.trace.analysis import shown_switches, smoothness
from loop.measure.trace.estimate import Estimate, bootstrap_difference
from loop.measure.trace.punctuality import late_frames, on_time_share, period_changes_ms, unevenness_ms
from loop.measure.trace.recording import NS, Recording

log = logging.getLogger(__name__)
TARGET = 0.99  # share of new frames at the first tick at or after their due time
EVERY_S = 1.2  # between prompts, which come at the fast pace only: long enough for the stream to come to rest
RETURN_S = 12.0  # the engine goes on planning for slow blocks about this long after a slow stretch
SLOWER = 1.2  # slow motion is a little slower than the model, so a slow stretch plays longer than its pace says


def run_pace_bench(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for; raises UsageError for another world or pace."""
    if options.world != "probe" or len(options.probe_pace) != 2:
        raise UsageError("bench pace plays the test card at two speeds: use --world probe, --probe-pace 2,0.5")
    asked = {"reserve": options.reserve}
    head = print_environment(trial.configuration(options) | asked, trial.device_name(options))
    figures: dict[str, Any] = {}
    for name, show in pace_shows(options).items():
        log.info("%s, %.0f s", name, show.seconds)
        recording = trial.run_show_with_retry(show)
        figures[name] = pace_figures(recording.since(trial.WARM_S))
        if name == "jumping":
            figures["prompt to pixel"] = latency_by_phase(recording, options.probe_pace_every)
        write_json(options, head, figures)
    _print_figures(figures)
    return 0


def pace_shows(options: Namespace) -> dict[str, trial.Show]:
    """Two shows: "slow" keeps the second pace; "jumping" has the first, the second, and the first again.

    The jumping show has prompts while the pace is the first.
    """
    chance = random.Random(trial.seed_of(options))
    fast, slow = options.probe_pace
    first_s, second_s = (options.probe_pace_every / min(1.0, pace) * SLOWER for pace in (fast, slow))
    times = [
        *_prompt_times(chance, trial.WARM_S, options.probe_pace_every - 1.5),
        *_prompt_times(chance, first_s + second_s, 2 * first_s + second_s - 1.5),
    ]
    return {
        "slow": _show_at(options, (slow,), (), second_s + trial.WARM_S),
        "jumping": _show_at(options, (fast, slow, fast, fast), times, 2 * first_s + second_s),
    }


def _show_at(options: Namespace, paces: tuple[float, ...], times: Sequence[float], seconds: float) -> trial.Show:
    at_paces = Namespace(**{**vars(options), "probe_pace": paces})
    return trial.Show(trial.play_arguments(at_paces, "--reserve", options.reserve), trial.prompt_script(times), seconds)


def _prompt_times(chance: random.Random, begin_s: float, end_s: float) -> list[float]:
    count = int((end_s - begin_s) / EVERY_S)
    return [round(begin_s + EVERY_S * (number + chance.uniform(0, 0.5)), 6) for number in range(count)]


def pace_figures(recording: Recording) -> dict[str, Any]:
    """How punctual and how even one show was."""
    return {
        "on time": on_time_share(recording),
        "late after s": late_frames(recording),
        "due times off their period, ms": Spread.of(unevenness_ms(recording)),
        "period changed by, ms": Spread.of(period_changes_ms(recording)),
        "picture": asdict(smoothness([recording])),
    }


def latency_by_phase(recording: Recording, every_s: float) -> dict[str, Any]:
    """Prompt to pixel before the slow stretch, in the RETURN_S after it, and later; and by how much later is longer.

    every_s: seconds of video at each pace.
    """
    jump_ns, back_ns = (_first_flip_ns(recording, stretch, every_s) for stretch in (1, 2))
    settled_ns = back_ns + RETURN_S * NS
    spans = {
        "before": (0, jump_ns - NS),
        f"{RETURN_S:.0f} s after": (back_ns, settled_ns),
        "later": (settled_ns, recording.flips[-1]["t_ns"]),
    }
    times = {name: _latencies_ms(recording, *span) for name, span in spans.items()}
    phases: dict[str, Any] = {name: Spread.of(values) for name, values in times.items() if values}
    if times["before"] and times["later"]:
        longer = bootstrap_difference(times["later"], times["before"], np.random.default_rng(0))
        phases["longer"] = asdict(longer)
    return phases


def _first_flip_ns(recording: Recording, stretch: int, every_s: float) -> int:
    """When the first block of stretch number `stretch` (from 0) of constant pace was shown."""
    header = recording.header
    first = stretch * every_s * header["fps"] / header["block_frames"]
    return next((line["t_ns"] for line in recording.flips if line["block"] >= first), recording.flips[-1]["t_ns"])


def _latencies_ms(recording: Recording, begin_ns: float, end_ns: float) -> list[float]:
    """Prompt to pixel of the prompts submitted within the span."""
    within = [event for event in shown_switches(recording) if begin_ns <= event.stamps["pump"] < end_ns]
    return [ms for event in within if (ms := event.total_ms) is not None]


def _print_figures(figures: dict[str, Any]) -> None:
    for name in ("slow", "jumping"):
        print_pace_figures(name, figures[name])
    print()
    phases = dict(figures["prompt to pixel"])
    longer = phases.pop("longer", None)
    print_spreads(phases, "ms from prompt to pixel")
    if longer:
        print(f"once the jump is over it takes {Estimate(**longer):.1f} ms longer than before (95 %)")


def print_pace_figures(name: str, figures: dict[str, Any]) -> None:
    """Print what `pace_figures` gave for the show `name`."""
    picture = figures["picture"]
    verdict = "reached" if figures["on time"] >= TARGET else "MISSED"
    print(f"\n{name}: {figures['on time']:.2%} of the new frames at the first tick due (99 %: {verdict}), ", end="")
    print(f"repeats {picture['repeats']}, skipped {picture['skipped']}, late ticks {picture['late_ticks']}", end="")
    print(f", lowest rate {picture['rate']:.2f}, longest hold {picture['longest_hold_ms']:.0f} ms")
    print("late: " + (_listed(figures["late after s"]) or "none"))
    print_spreads({key: value for key, value in figures.items() if isinstance(value, Spread)}, "ms")


def _listed(seconds: Sequence[float], most: int = 12) -> str:
    shown = ", ".join(f"{at:.1f}" for at in seconds[:most])
    return f"after {shown} s" + (f" and {len(seconds) - most} more" if len(seconds) > most else "") if shown else ""
