"""`neverblink bench pace`: a model slower than real time, and one whose speed jumps, as the screen sees them."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from loop.cli.options import UsageError
from loop.measure import trial
from loop.measure.analysis import smoothness, switches
from loop.measure.bench import Spread, print_environment, print_spreads, write_json
from loop.measure.estimate import Estimate, difference
from loop.measure.punctuality import late_frames, on_time_share, period_changes_ms, unevenness_ms
from loop.measure.recording import NS, Recording

log = logging.getLogger(__name__)
TARGET = 0.99  # of the new frames at the first tick of their time
EVERY_S = 1.2  # between prompts at the faster pace, where they find the stream at rest
RETURN_S = 12.0  # what the engine takes to believe that a slow stretch is over
SLOWER = 1.2  # slow motion is a little slower than the model


def run(options: Namespace) -> int:
    """Measure, print, and write the JSON if one is asked for."""
    if options.world != "probe" or len(options.probe_pace) != 2:
        raise UsageError("bench pace plays the test card at two speeds: use --world probe, --probe-pace 2,0.5")
    asked = {"reserve": options.reserve}
    head = print_environment(trial.setting(options) | asked, trial.device_name(options))
    result: dict[str, Any] = {}
    for name, show in shows(options).items():
        log.info("%s, %.0f s", name, show.seconds)
        recording = trial.insist(show)
        result[name] = figures(recording.since(trial.WARM_S))
        if name == "jumping":
            result["prompt to pixel"] = by_phase(recording, options.probe_pace_every)
        write_json(options.json, head, result)
    report(result)
    return 0


def shows(options: Namespace) -> dict[str, trial.Show]:
    """The second pace all the time; and the first, the second, the first again, with prompts while it is the first."""
    chance, fast, slow = random.Random(trial.seed(options)), *options.probe_pace
    first_s, second_s = (options.probe_pace_every / min(1.0, pace) * SLOWER for pace in options.probe_pace)
    times = [
        *_times(chance, trial.WARM_S, options.probe_pace_every - 1.5),
        *_times(chance, first_s + second_s, 2 * first_s + second_s - 1.5),
    ]
    return {
        "slow": _show(options, (slow,), (), second_s + trial.WARM_S),
        "jumping": _show(options, (fast, slow, fast, fast), times, 2 * first_s + second_s),
    }


def _show(options: Namespace, paces: tuple[float, ...], times: Sequence[float], seconds: float) -> trial.Show:
    given = trial.arguments(Namespace(**{**vars(options), "probe_pace": paces}), "--reserve", options.reserve)
    return trial.Show(given, trial.prompts(times), seconds)


def _times(chance: random.Random, begin_s: float, end_s: float) -> list[float]:
    count = int((end_s - begin_s) / EVERY_S)
    return [round(begin_s + EVERY_S * (number + chance.uniform(0, 0.5)), 6) for number in range(count)]


def figures(recording: Recording) -> dict[str, Any]:
    """How punctual and how even one show was."""
    seen = smoothness([recording])
    return {
        "on time": on_time_share(recording),
        "late after s": late_frames(recording),
        "due times off their period, ms": Spread.of(unevenness_ms(recording)),
        "period changed by, ms": Spread.of(period_changes_ms(recording)),
        "picture": asdict(seen),
    }


def by_phase(recording: Recording, every_s: float) -> dict[str, Any]:
    """Prompt to pixel before the speed jumps, while its return is not believed yet, and later; how much longer then."""
    jump_ns, back_ns = (_first_flip_ns(recording, turn, every_s) for turn in (1, 2))
    settled_ns = back_ns + RETURN_S * NS
    spans = {
        "before": (0, jump_ns - NS),
        f"{RETURN_S:.0f} s after": (back_ns, settled_ns),
        "later": (settled_ns, recording.flips[-1]["t_ns"]),
    }
    times = {name: _totals(recording, *span) for name, span in spans.items()}
    told: dict[str, Any] = {name: Spread.of(values) for name, values in times.items() if values}
    if times["before"] and times["later"]:
        told["longer"] = asdict(difference(times["later"], times["before"], np.random.default_rng(0)))
    return told


def _first_flip_ns(recording: Recording, turn: int, every_s: float) -> int:
    """When the first block of the `turn`th stretch of one pace was shown."""
    header = recording.header
    first = turn * every_s * header["fps"] / header["block_frames"]
    return next((line["t_ns"] for line in recording.flips if line["block"] >= first), recording.flips[-1]["t_ns"])


def _totals(recording: Recording, begin_ns: float, end_ns: float) -> list[float]:
    return [event.total_ms for event in switches(recording) if begin_ns <= event.stamps["pump"] < end_ns]


def report(result: dict[str, Any]) -> None:
    """Print the tables."""
    for name in ("slow", "jumping"):
        _report_show(name, result[name])
    print()
    latency = dict(result["prompt to pixel"])
    longer = latency.pop("longer", None)
    print_spreads(latency, "ms from prompt to pixel")
    if longer:
        print(f"once the jump is over it takes {Estimate(**longer):.1f} ms longer than before (95 %)")


def _report_show(name: str, told: dict[str, Any]) -> None:
    seen = told["picture"]
    verdict = "reached" if told["on time"] >= TARGET else "MISSED"
    print(f"\n{name}: {told['on time']:.2%} of the new frames at the first tick due (99 %: {verdict}), ", end="")
    print(f"repeats {seen['repeats']}, skipped {seen['skipped']}, late ticks {seen['late_ticks']}", end="")
    print(f", lowest rate {seen['rate']:.2f}, longest hold {seen['longest_hold_ms']:.0f} ms")
    print("late: " + (_listed(told["late after s"]) or "none"))
    print_spreads({key: value for key, value in told.items() if isinstance(value, Spread)}, "ms")


def _listed(seconds: Sequence[float], most: int = 12) -> str:
    shown = ", ".join(f"{at:.1f}" for at in seconds[:most])
    return f"after {shown} s" + (f" and {len(seconds) - most} more" if len(seconds) > most else "") if shown else ""
