"""A show for measuring: the real program as a process of its own, a script of events, and what its trace says of it."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loop.cli.options import world_options
from loop.measure.recording import Recording, TraceError, read

log = logging.getLogger(__name__)
WARM_S = 1.5  # what comes earlier is not judged: the processes are cold, and nothing has been measured to plan with
PATIENCE_S = 180  # beyond its own length: a large world takes its time to open
PROMPTS = (
    "slow blue plasma",
    "red stripes moving left",
    "fast green rain",
    "yellow ripples expanding",
    "purple grid moving up",
    "slow orange orbs",
)

Entry = dict[str, Any]  # one line of a script


class ShowFailed(ChildProcessError):
    """A show ended badly; the message is its own last word. recording: what its trace holds, if anything."""

    recording: Recording | None = None


@dataclass(frozen=True)
class Show:
    """What to run. arguments: those of `play`, beside the script and the trace; module: what `python -m` runs."""

    arguments: tuple[str, ...]
    script: tuple[Entry, ...]
    seconds: float
    module: str = "loop"


def perform(show: Show, watch: Callable[[int], None] | None = None) -> Recording:
    """Run `show` to its end and read its trace; `watch(pid)` is called about once a second while it runs.

    Raises ShowFailed with the show's own last words when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="neverblink-") as folder:
        script, trace = Path(folder, "script.jsonl"), Path(folder, "trace.jsonl")
        script.write_text("".join(json.dumps(entry) + "\n" for entry in show.script))
        files = ("--script", str(script), "--trace", str(trace), "--seconds", f"{show.seconds:.3f}")
        try:
            _run([sys.executable, "-m", show.module, *show.arguments, *files], show.seconds + PATIENCE_S, watch)
        except ShowFailed as failure:
            failure.recording = _whatever_is_there(trace)
            raise
        return read(trace)


def insist(show: Show) -> Recording:
    """`perform`, once more if it fails: one bad segment shall not cost an hour of good ones. Raises ShowFailed."""
    try:
        return perform(show)
    except ShowFailed as failure:
        log.warning("%s; once more", failure)
        return perform(show)


def attempt(show: Show) -> Recording | None:
    """`insist`, or None with a line of why."""
    try:
        return insist(show)
    except ShowFailed as failure:
        log.warning("%s; going on without it", failure)
        return None


def salvage(show: Show, watch: Callable[[int], None] | None = None) -> Recording:
    """`perform`, or what a show that ended badly has left, its end noted as a fault; raises ShowFailed if nothing."""
    try:
        return perform(show, watch)
    except ShowFailed as failure:
        if not (failure.recording and failure.recording.flips):
            raise
        log.warning("%s; what it showed until then is counted", failure)
        last = {"kind": "fault", "what": str(failure), "t_ns": failure.recording.flips[-1]["t_ns"]}
        return replace(failure.recording, faults=[*failure.recording.faults, last])


def _whatever_is_there(trace: Path) -> Recording | None:
    try:
        return read(trace)
    except (OSError, TraceError):
        return None


def _run(command: list[str], limit_s: float, watch: Callable[[int], None] | None) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        told = _follow(process, limit_s, watch)
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = told.strip().splitlines()[-1:] or ["no word of why"]
        raise ShowFailed(f"the show ended with status {process.returncode}: {last[0]}")


def _follow(process: subprocess.Popen[str], limit_s: float, watch: Callable[[int], None] | None) -> str:
    """What the process wrote on stderr until it ended."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return process.communicate(timeout=1.0)[1]
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise ShowFailed(f"the show did not end within {limit_s:.0f} s") from None
            if watch:
                watch(process.pid)


def arguments(options: Namespace, *more: Any) -> tuple[str, ...]:
    """The options of `play` that the command line of a measurement asks for, and `more`."""
    folder = Path(options.world)
    world = str(folder.resolve()) if folder.is_dir() else options.world
    given = ["--world", world, "--device", options.device, "--seed", seed(options)]
    given += ["--threads", options.threads] if options.threads else []
    given += ["--picture", "x".join(map(str, options.picture))] if options.picture else []
    given += ["--prompt", options.prompt] if options.prompt else []
    of_folders = {"--positions": options.positions, "--decoder": options.decoder, "--dtype": options.dtype}
    given += [word for pair in of_folders.items() if pair[1] for word in pair]
    given += ["--probe-fps", options.probe_fps, "--probe-frames", options.probe_frames]
    given += ["--probe-block-ms", options.probe_block_ms, "--probe-recache-ms", options.probe_recache_ms]
    paces = ",".join(f"{pace:g}" for pace in options.probe_pace)
    given += ["--probe-pace", paces, "--probe-pace-every", options.probe_pace_every] if paces else []
    given += ["--probe-busy"] if options.probe_busy else []
    given += [] if options.window else ["--headless"]
    return tuple(map(str, (*given, *more)))


def seed(options: Namespace) -> int:
    """Of the world and of the random moments."""
    return options.seed or 0


def setting(options: Namespace) -> dict[str, Any]:
    """What the head of a measurement says of its configuration."""
    shown: dict[str, Any] = {"world": options.world, "screen": "window" if options.window else "headless"}
    if options.world == "probe":
        shown |= {"fps": options.probe_fps, "frames a block": options.probe_frames}
        shown |= {"block ms": options.probe_block_ms, "recache ms": options.probe_recache_ms}
    if options.world == "probe" and options.probe_pace:
        shown |= {"pace": options.probe_pace, "seconds at each": options.probe_pace_every}
    return shown | {"seed": seed(options)}


def device_name(options: Namespace) -> str:
    """What the model runs on; raises WorldError or UsageError where there is no such world."""
    asked = world_options(options)
    if options.world == "probe":
        return "none: the test card's costs are made up"
    from world.dit.device import describe, resolve, use_threads

    use_threads(asked.threads)
    return describe(resolve(asked.device))


def moments(chance: random.Random, count: int, at_least_s: float, spread_s: float) -> list[float]:
    """`count` random times in seconds, the first after the warm-up, neighbours `at_least_s` to + `spread_s` apart."""
    times, at = [], WARM_S
    for _ in range(count):
        at += at_least_s + chance.uniform(0, spread_s)
        times.append(round(at, 6))
    return times


def prompts(times: Sequence[float]) -> tuple[Entry, ...]:
    """Other words at each of `times`."""
    return tuple({"at_s": at, "prompt": PROMPTS[place % len(PROMPTS)]} for place, at in enumerate(times))
