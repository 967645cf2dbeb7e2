"""`neverblink bench soak`: a long show with a switch every few seconds and a dial that moves all the time."""

from __future__ import annotations

import logging
import math
import random
from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.trace.analysis import TOTAL, mean_rate, queue_age_slope, smoothness, times_by_stage
from loop.measure.trace.recording import Recording

log = logging.getLogger(__name__)
DIAL_KINDS = ("dial", "display dial")
DIAL_HZ = 60
SWEEP_S = 4.0  # from one end of the dial to the other and back
REST_S = 3.0  # after the last event, so that it can reach the screen
SETTLED_S = 60.0  # growth is measured from here on


@dataclass
class ResidentMemory:
    """Resident bytes of a show's two processes, sampled about once a second. Stays empty on a system without /proc."""

    samples: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def sample(self, pid: int) -> None:
        """Add a sample of the window's process, `pid`, and one of its model process."""
        for name, number in (("window's process", pid), ("model's process", _model_pid(pid))):
            if number and (size_bytes := _resident_bytes(number)):
                self.samples[name].append(size_bytes)


@dataclass
class _SoakWatch:
    """Called about once a second during the show: samples its memory, and logs every minute that it goes on."""

    minutes: float
    memory: ResidentMemory = field(default_factory=ResidentMemory)
    calls: int = 0

    def __call__(self, pid: int) -> None:
        self.memory.sample(pid)
        self.calls += 1
        if self.calls % 60 == 0:
            log.info("about minute %d of %.1f", self.calls // 60, self.minutes)


def memory_growth(samples: Sequence[int], settled: int) -> float | None:
    """By what share the last fifth of `samples` lies above the first fifth, the first `settled` samples left out.

    Medians of the fifths are compared; None with fewer than five samples.
    """
    counted = samples[settled:]
    fifth = len(counted) // 5
    if not fifth:
        return None
    return median(counted[-fifth:]) / median(counted[:fifth]) - 1


def _resident_bytes(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), None)


def _model_pid(pid: int) -> int | None:
    """The child of `pid` that runs the model; the other child is multiprocessing's resource tracker."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        spawned = [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    except OSError:
        return None
    return int(spawned[0]) if spawned else None


def run_soak_bench(options: Namespace) -> int:
    """Run the show, print, and write the JSON file if one was asked for."""
    asked = {"minutes": options.minutes, "switch every s": options.every, "dial Hz": DIAL_HZ}
    asked["reserve"] = options.reserve
    head = print_environment(trial.configuration(options) | asked, trial.device_name(options))
    watch = _SoakWatch(options.minutes)
    recording = trial.run_show_keeping_part(_soak_show(options, _choose_dial(options)), watch)
    figures = soak_figures(recording, watch.memory, options.every)
    print_soak_figures(figures)
    write_json(options, head, figures)
    return 0


def soak_figures(recording: Recording, memory: ResidentMemory, every_s: float) -> dict[str, Any]:
    """Everything that must not grow, what became of the last value of the dial, and all faults."""
    length_s = (recording.flips[-1]["t_ns"] - recording.flips[0]["t_ns"]) / 1e9
    settled_s = min(SETTLED_S, length_s / 4)
    warm = recording.since(trial.WARM_S)
    picture = smoothness([warm])
    return {
        "minutes": length_s / 60,
        "counted from s": settled_s,
        "queue age slope, ms a minute": asdict(queue_age_slope(recording.since(settled_s), every_s or SWEEP_S)),
        "mean rate": mean_rate(warm),
        "memory": {name: _memory_figures(samples, settled_s) for name, samples in memory.samples.items()},
        "ms": {name: Spread.of(values) for name, values in _latencies_and_ages(warm).items()},
        "picture": asdict(picture) | {"smooth": picture.has_no_repeats},
        "faults": [line["what"] for line in recording.faults],
        "last dial": last_dial(recording),
    }


def last_dial(recording: Recording) -> dict[str, Any]:
    """The value that the dial was set to last, and whether the picture ended under it.

    A world dial moves to its value in steps, and the flip of its event shows only the first step. So for a world dial
    the newest block on the screen decides.
    """
    dials = [event for event in recording.events if event.kind in DIAL_KINDS]
    last, applied = dials[-1], sum("flip" in event.stamps for event in dials)
    if last.kind == "display dial":
        reached, shown = last.value, "flip" in last.stamps
    else:
        reached = _dials_on_screen(recording).get(last.dial or "")
        shown = reached is not None and math.isclose(reached, last.value, rel_tol=1e-6, abs_tol=1e-6)
    return {"value": last.value, "reached": reached, "shown": shown, "set": len(dials), "applied": applied}


def _dials_on_screen(recording: Recording) -> dict[str, float]:
    """The world dials that the newest block on the screen was made under."""
    newest = max((line["block"] for line in recording.flips), default=-1)
    made = [line for line in recording.blocks if line["block"] <= newest]
    return made[-1].get("dials", {}) if made else {}


def _latencies_and_ages(recording: Recording) -> dict[str, list[float]]:
    """Pump to flip of each kind of event that was shown, and the age of each shown frame; ms."""
    found: dict[str, list[float]] = {}
    for kind in ("prompt", *DIAL_KINDS):
        times = times_by_stage(event for event in recording.events if event.kind == kind)
        if TOTAL in times:
            found[f"{kind}, {TOTAL}"] = times[TOTAL]
    return found | {"age of what is shown": [line["age_ms"] for line in recording.flips]}


def _memory_figures(samples: Sequence[int], settled_s: float) -> dict[str, Any]:
    # there is about one sample a second
    return {"MiB at the end": samples[-1] / 2**20, "growth": memory_growth(samples, math.ceil(settled_s))}


def print_soak_figures(figures: dict[str, Any]) -> None:
    """Print what `soak_figures` gave."""
    print()
    print_spreads(figures["ms"], "ms")
    print(f"after the first {figures['counted from s']:.0f} s of {figures['minutes']:.1f} minutes:")
    slope = figures["queue age slope, ms a minute"]
    print("queue age {value:+.3f} ms a minute, 95 % limits {low:+.3f} to {high:+.3f}".format(**slope))
    for name, grown in figures["memory"].items():
        shown = "too short to say" if grown["growth"] is None else f"{grown['growth']:+.2%}"
        print(f"memory of the {name}: {grown['MiB at the end']:.1f} MiB, growth {shown}")
    if not figures["memory"]:
        print("memory: unavailable, this system has no /proc")
    picture, dial = figures["picture"], figures["last dial"]
    print(f"late ticks {picture['late_ticks']}, repeats {picture['repeats']}, skipped {picture['skipped']}", end=", ")
    print(f"longest hold {picture['longest_hold_ms']:.1f} ms (limit {picture['limit_ms']:.1f})")
    print(f"mean rate {figures['mean rate']:.4f} of the world's own")
    print(f"faults: {'; '.join(figures['faults']) or 'none'}")
    shown = "applied and shown" if dial["shown"] else f"NOT shown: it stands at {dial['reached']}"
    print(
        f"the dial was set {dial['set']} times, applied {dial['applied']}; its last value {dial['value']:+.3f} {shown}"
    )


def _choose_dial(options: Namespace) -> tuple[str, float, float]:
    """Name, low and high end of the world's first dial, or of the first display dial if the world has none."""
    header = trial.run_show_with_retry(trial.Show(trial.play_arguments(options), (), 0.5)).header
    name, (low, high) = next(iter((header["dials"] or header["display_dials"]).items()))
    return name, low, high


def _soak_show(options: Namespace, dial: tuple[str, float, float]) -> trial.Show:
    length_s = options.minutes * 60
    chance = random.Random(trial.seed_of(options))
    early_s = min(1.0, options.every / 2)  # so that prompts come at random phases of the blocks
    count = int(length_s / options.every) if options.every else 0
    times = [at * options.every + chance.uniform(-early_s, 0) for at in range(1, count + 1)]
    script = (*trial.prompt_script(times), *_sweep(dial, length_s))
    log.info("%d switches in %.1f minutes", len(times), options.minutes)
    return trial.Show(trial.play_arguments(options, "--reserve", options.reserve), script, length_s + REST_S)


def _sweep(dial: tuple[str, float, float], length_s: float) -> list[trial.ScriptEntry]:
    """Script entries that move the dial from end to end and back, DIAL_HZ times a second."""
    name, low, high = dial
    middle, reach = (low + high) / 2, (high - low) / 2
    times = [tick / DIAL_HZ for tick in range(1, int(length_s * DIAL_HZ) + 1)]
    values = [middle + reach * math.sin(2 * math.pi * at / SWEEP_S + 1) for at in times]
    return [{"at_s": at, "dial": name, "value": value} for at, value in zip(times, values, strict=True)]
