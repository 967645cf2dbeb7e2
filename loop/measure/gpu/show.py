"""A whole show on the device: the program itself, with its model process, ring, upload and pacing, and ten switches."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from loop.measure.report import Spread
from loop.measure.shows.trial import WARM_S, Show, prompt_script, run_show
from loop.measure.trace.analysis import new_frames, smoothness, switch_times_ms, times_by_stage
from loop.measure.trace.recording import Recording
from world.options import WorldOptions

SWITCHES = 10


def measure_show(world: WorldOptions, speed: str, seconds: float, trace: Path | None) -> dict[str, Any]:
    """Play a headless show with SWITCHES prompts at random moments; what its trace says after the first moments.

    trace: where the trace stays; None for nowhere. Raises ShowFailed.
    """
    show = Show(_arguments(world, speed), prompt_script(_times(seconds)), seconds, trace=trace)
    recording = run_show(show).since(WARM_S)
    if not recording.flips:
        raise ValueError(f"no frame was shown after {WARM_S:g} s")
    return {"speed": speed, "seconds": seconds, "switches": SWITCHES} | show_figures(recording)


def show_figures(recording: Recording) -> dict[str, Any]:
    """How smoothly it moved, how long prompts took to the screen, and what went wrong."""
    moved, times = smoothness([recording]), switch_times_ms(recording)
    latency = {"prompt to pixel ms": Spread.of(times)} if times else {}
    return latency | {
        "switches shown": len(times),
        "flips": len(recording.flips),
        "new frames": len(new_frames(recording.flips)),
        "repeats": moved.repeats,
        "skipped": moved.skipped,
        "late ticks": moved.late_ticks,
        "rate": moved.rate,
        "longest hold ms": moved.longest_hold_ms,
        "smooth hold ms": moved.limit_ms,
        "no repeats": moved.has_no_repeats,
        "stages ms": {stage: Spread.of(values) for stage, values in times_by_stage(recording.events).items()},
        "faults": [line["what"] for line in recording.faults],
    }


def _arguments(world: WorldOptions, speed: str) -> tuple[str, ...]:
    """The options of `play`; without a spare process, which would load the device while the show begins."""
    given = ("--world", world.name, "--device", world.device, "--threads", str(world.threads), "--decoder", "taehv")
    picture = ("--picture", "x".join(map(str, world.picture))) if world.picture else ()
    return (*given, *picture, "--speed", speed, "--headless", "--seed", "0", "--spare", "off")


def _times(seconds: float) -> list[float]:
    """One moment in each of SWITCHES equal parts of the show, the last of them early enough to be seen."""
    chance, part = random.Random(0), (seconds - WARM_S) / (SWITCHES + 1)
    return [round(WARM_S + (place + chance.random()) * part, 6) for place in range(SWITCHES)]
