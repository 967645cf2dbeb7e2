"""`neverblink bench soak`: a long show with a switch every few seconds and a dial that never rests."""

from __future__ import annotations

import logging
import math
import random
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from loop.measure import trial
from loop.measure.analysis import TOTAL, queue_age_slope, smoothness, times_by_stage
from loop.measure.bench import Spread, print_environment, print_spreads, write_json
from loop.measure.recording import Recording

log = logging.getLogger(__name__)
DIALS = ("dial", "display dial")
DIAL_HZ = 60
SWEEP_S = 4.0  # from end to end of the dial and back
REST_S = 3.0  # after the last event, so that it can arrive
SETTLED_S = 60.0  # growth counts from here on


@dataclass
class Memory:
    """Resident bytes of a show's processes, about once a second. Empty where the system does not tell."""

    samples: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def watch(self, pid: int) -> None:
        """Note what the window's process `pid` and the model's hold now."""
        for name, number in (("window's process", pid), ("model's process", _model_of(pid))):
            if number and (size := _resident_bytes(number)):
                self.samples[name].append(size)


def growth(samples: Sequence[int], settled: int) -> float | None:
    """Share by which the last fifth of `samples` lies above the first, after `settled` of them; None if too few."""
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


def _model_of(pid: int) -> int | None:
    """The child of `pid` that was spawned to run the model (the other one only tracks shared memory)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        named = [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    except OSError:
        return None
    return int(named[0]) if named else None


def run(options: Namespace) -> int:
    """Run the show, print, and write the JSON if one is asked for."""
    asked = {"minutes": options.minutes, "switch every s": options.every, "dial Hz": DIAL_HZ}
    asked["reserve"] = options.reserve
    head = print_environment(trial.setting(options) | asked, trial.device_name(options))
    memory = Memory()
    recording = trial.salvage(_show(options, _dial(options)), _watch(memory, options.minutes))
    result = figures(recording, memory, options.every)
    report(result)
    write_json(options.json, head, result)
    return 0


def _watch(memory: Memory, minutes: float) -> Callable[[int], None]:
    """Look at the memory about once a second, and say every minute that the show goes on."""
    looks = 0

    def watch(pid: int) -> None:
        nonlocal looks
        memory.watch(pid)
        looks += 1
        if looks % 60 == 0:
            log.info("about minute %d of %.1f", looks // 60, minutes)

    return watch


def figures(recording: Recording, memory: Memory, every_s: float) -> dict[str, Any]:
    """Everything that must not grow, and what became of the last turn of the dial."""
    length_s = (recording.flips[-1]["t_ns"] - recording.flips[0]["t_ns"]) / 1e9
    settled_s = min(SETTLED_S, length_s / 4)
    settled = recording.since(settled_s)
    counted = recording.since(trial.WARM_S)
    return {
        "minutes": length_s / 60,
        "counted from s": settled_s,
        "queue age slope, ms a minute": asdict(queue_age_slope(settled, every_s)),
        "memory": {name: _memory_figures(samples, settled_s) for name, samples in memory.samples.items()},
        "ms": {name: Spread.of(values) for name, values in _latencies(counted).items()},
        "picture": asdict(smoothness([counted])) | {"smooth": smoothness([counted]).has_no_repeats},
        "faults": [line["what"] for line in recording.faults],
        "last dial": last_dial(recording),
    }


def last_dial(recording: Recording) -> dict[str, Any]:
    """The value that was set last, and whether the picture ended under it.

    A dial of the world goes there in steps, and its event's own flip shows the first of them: what counts is what the
    newest block on the screen was made under.
    """
    dials = [event for event in recording.events if event.kind in DIALS]
    last, applied = dials[-1], sum("flip" in event.stamps for event in dials)
    if last.kind == "display dial":
        reached, shown = last.value, "flip" in last.stamps
    else:
        reached = _made_under(recording).get(last.dial)
        shown = reached is not None and math.isclose(reached, last.value, rel_tol=1e-6, abs_tol=1e-6)
    return {"value": last.value, "reached": reached, "shown": shown, "set": len(dials), "applied": applied}


def _made_under(recording: Recording) -> dict[str, float]:
    """The dials of the newest block on the screen."""
    newest = max((line["block"] for line in recording.flips), default=-1)
    made = [line for line in recording.blocks if line["block"] <= newest]
    return made[-1].get("dials", {}) if made else {}


def _latencies(recording: Recording) -> dict[str, list[float]]:
    """Pump to flip of what was shown, and the queue's age."""
    found = {}
    for kind in ("prompt", *DIALS):
        times = times_by_stage(event for event in recording.events if event.kind == kind)
        found |= {f"{kind}, {TOTAL}": times[TOTAL]} if TOTAL in times else {}
    return found | {"age of what is shown": [line["age_ms"] for line in recording.flips]}


def _memory_figures(samples: Sequence[int], settled_s: float) -> dict[str, Any]:
    return {"MiB at the end": samples[-1] / 2**20, "growth": growth(samples, math.ceil(settled_s))}


def report(result: dict[str, Any]) -> None:
    """Print the table."""
    print()
    print_spreads(result["ms"], "ms")
    print(f"after the first {result['counted from s']:.0f} s of {result['minutes']:.1f} minutes:")
    print("queue age {value:+.3f} ms a minute, 95 % limits {low:+.3f} to {high:+.3f}".format(**_slope(result)))
    for name, grown in result["memory"].items():
        shown = "too short to say" if grown["growth"] is None else f"{grown['growth']:+.2%}"
        print(f"memory of the {name}: {grown['MiB at the end']:.1f} MiB, growth {shown}")
    if not result["memory"]:
        print("memory: unavailable, this system has no /proc")
    picture, dial = result["picture"], result["last dial"]
    print(f"late ticks {picture['late_ticks']}, repeats {picture['repeats']}, skipped {picture['skipped']}", end=", ")
    print(f"longest hold {picture['longest_hold_ms']:.1f} ms (limit {picture['limit_ms']:.1f})")
    print(f"faults: {'; '.join(result['faults']) or 'none'}")
    shown = "applied and shown" if dial["shown"] else f"NOT shown: it stands at {dial['reached']}"
    print(
        f"the dial was set {dial['set']} times, applied {dial['applied']}; its last value {dial['value']:+.3f} {shown}"
    )


def _slope(result: dict[str, Any]) -> dict[str, float]:
    return result["queue age slope, ms a minute"]


def _dial(options: Namespace) -> tuple[str, float, float]:
    """The first dial of the world and its ends, of the display where the world has none."""
    header = trial.insist(trial.Show(trial.arguments(options), (), 0.5)).header
    name, ends = next(iter((header["dials"] or header["display_dials"]).items()))
    return name, *ends


def _show(options: Namespace, dial: tuple[str, float, float]) -> trial.Show:
    length_s = options.minutes * 60
    chance = random.Random(trial.seed(options))
    late_s = min(1.0, options.every / 2)  # at random phases of the blocks
    times = [at * options.every + chance.uniform(-late_s, 0) for at in range(1, int(length_s / options.every) + 1)]
    script = (*trial.prompts(times), *_sweep(dial, length_s))
    log.info("%d switches in %.1f minutes", len(times), options.minutes)
    return trial.Show(trial.arguments(options, "--reserve", options.reserve), script, length_s + REST_S)


def _sweep(dial: tuple[str, float, float], length_s: float) -> list[trial.Entry]:
    """The dial from end to end and back, 60 times a second."""
    name, low, high = dial
    middle, reach = (low + high) / 2, (high - low) / 2
    times = [tick / DIAL_HZ for tick in range(1, int(length_s * DIAL_HZ) + 1)]
    swings = [middle + reach * math.sin(2 * math.pi * at / SWEEP_S + 1) for at in times]
    return [{"at_s": at, "dial": name, "value": value} for at, value in zip(times, swings, strict=True)]
