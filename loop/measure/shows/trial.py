"""Runs the real program as a process of its own, with a script of events, and reads the trace that it wrote."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loop.cli.method_options import WORLD_METHODS
from loop.cli.world_options import world_options
from loop.measure.trace.recording import Recording, TraceError, read_recording
from world.info import SESSION_DIALS

log = logging.getLogger(__name__)
WARM_S = 1.5  # not judged: the processes are cold, and no cost has been measured yet to plan with
PATIENCE_S = 180  # beyond the show's own length, since a large world takes long to open
END_S = 5.0  # for a show to close its files and its model once it was asked to end
PROMPTS = (
    "slow blue plasma",
    "red stripes moving left",
    "fast green rain",
    "yellow ripples expanding",
    "purple grid moving up",
    "slow orange orbs",
)
# options of the world that are handed on as they were given
_CHOICES = (
    *("threads", "prompt", "speed", *WORLD_METHODS),
    *("positions", "decoder", "text_device", "ranks", "dtype"),
)

ScriptEntry = dict[str, Any]  # one line of a --script file
Watch = Callable[[int], None]  # is given the number of the show's process


class ShowFailed(ChildProcessError):
    """A show ended with an error or did not end in time; the message holds the last line that it wrote on stderr.

    recording: what its trace holds until then; None if the trace cannot be read.
    """

    recording: Recording | None = None


@dataclass(frozen=True)
class Show:
    """What to run.

    arguments: options of `play`, without --script, --trace and --seconds. module: what `python -m` runs.
    trace: a file that gets a copy of the trace; None for none. session: a folder to save the show in. saves: whether it
    is saved where no folder is named, to be thrown away.
    """

    arguments: tuple[str, ...]
    script: tuple[ScriptEntry, ...]
    seconds: float
    module: str = "loop"
    trace: Path | None = None
    session: Path | None = None
    saves: bool = False


def run_show(show: Show, watch: Watch | None = None) -> Recording:
    """Run `show` to its end and read its trace; `watch` is called about once a second meanwhile. Raises ShowFailed."""
    with tempfile.TemporaryDirectory(prefix="neverblink-") as folder:
        script, trace = Path(folder, "script.jsonl"), Path(folder, "trace.jsonl")
        script.write_text("".join(json.dumps(entry) + "\n" for entry in show.script))
        session = show.session or (Path(folder, "session") if show.saves else None)
        saving = ("--session", str(session)) if session else ("--no-save",)
        files = ("--script", str(script), "--trace", str(trace), *saving, "--end-with-stdin")
        length = ("--seconds", f"{show.seconds:.3f}")
        try:
            _run_process(
                [sys.executable, "-m", show.module, *show.arguments, *files, *length], show.seconds + PATIENCE_S, watch
            )
        except ShowFailed as failure:
            failure.recording = _partial_recording(trace)
            raise
        finally:
            if show.trace and trace.exists():
                shutil.copyfile(trace, show.trace)
        return read_recording(trace)


def run_show_with_retry(show: Show) -> Recording:
    """`run_show`, tried a second time if it fails: one bad segment must not end a measurement of an hour.

    Raises ShowFailed if the second try fails too.
    """
    try:
        return run_show(show)
    except ShowFailed as failure:
        log.warning("%s; once more", failure)
        return run_show(show)


def try_show(show: Show) -> Recording | None:
    """`run_show_with_retry`, but None and a warning if both tries fail."""
    try:
        return run_show_with_retry(show)
    except ShowFailed as failure:
        log.warning("%s; going on without it", failure)
        return None


def run_show_keeping_part(show: Show, watch: Watch | None = None) -> Recording:
    """`run_show`; if it fails after the first flip, the recording until then, with the failure as its last fault.

    Raises ShowFailed if there was no flip.
    """
    try:
        return run_show(show, watch)
    except ShowFailed as failure:
        if not (failure.recording and failure.recording.flips):
            raise
        log.warning("%s; what it showed until then is counted", failure)
        last = {"kind": "fault", "what": str(failure), "t_ns": failure.recording.flips[-1]["t_ns"]}
        return replace(failure.recording, faults=[*failure.recording.faults, last])


def _partial_recording(trace: Path) -> Recording | None:
    try:
        return read_recording(trace)
    except (OSError, TraceError):
        return None


def _run_process(command: list[str], limit_s: float, watch: Watch | None) -> None:
    """Run `command`, a show that ends with its standard input, so that it never outlives this process.

    Raises ShowFailed for a status other than 0 and after `limit_s`, when the show is ended.
    """
    theirs, ours = os.pipe()
    try:
        process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(theirs)
    try:
        stderr = _wait_for_end(process, limit_s, watch)
    finally:  # also at a signal
        os.close(ours)
        _make_sure_of_end(process)
    if process.returncode:
        last = stderr.strip().splitlines()[-1:] or ["no word of why"]
        raise ShowFailed(f"the show ended with status {process.returncode}: {last[0]}")


def _make_sure_of_end(process: subprocess.Popen[str]) -> None:
    """Wait for a process that was asked to end, and kill it if it does not."""
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for_end(process: subprocess.Popen[str], limit_s: float, watch: Watch | None) -> str:
    """What the process wrote on stderr until it ended; raises ShowFailed after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return process.communicate(timeout=1.0)[1]
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise ShowFailed(f"the show did not end within {limit_s:.0f} s") from None
            if watch:
                watch(process.pid)


def model_dials(recording: Recording) -> dict[str, list[float]]:
    """The limits of the dials that are inputs of the model.

    Those that say how it is used, such as its denoising steps, would change what all that is measured after them costs.
    """
    return {name: limits for name, limits in recording.header["dials"].items() if name not in SESSION_DIALS}


def play_arguments(options: Namespace, *more: object) -> tuple[str, ...]:
    """The arguments that make `play` open the world and the screen of a measurement's `options`; `more` come last."""
    folder = Path(options.world)
    world = str(folder.resolve()) if folder.is_dir() else options.world
    given: list[object] = ["--world", world, "--device", options.device, "--seed", seed_of(options)]
    given += [
        word
        for name in _CHOICES
        if (value := getattr(options, name)) is not None
        for word in (_option(name), _as_given(value))
    ]
    given += ["--picture", "x".join(map(str, options.picture))] if options.picture else []
    given += ["--probe-fps", options.probe_fps, "--probe-frames", options.probe_frames]
    given += ["--probe-latents", options.probe_latents]
    given += ["--probe-block-ms", options.probe_block_ms, "--probe-recache-ms", options.probe_recache_ms]
    paces = ",".join(f"{pace:g}" for pace in options.probe_pace)
    given += ["--probe-pace", paces, "--probe-pace-every", options.probe_pace_every] if paces else []
    given += ["--probe-busy"] if options.probe_busy else []
    given += [] if options.window else ["--headless"]
    return tuple(map(str, (*given, *more)))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _as_given(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def bare_show(
    options: Namespace, fps: float, picture: Sequence[int], script: tuple[ScriptEntry, ...], seconds: float
) -> Show:
    """A show without a model (loop.measure.shows.bare), on the screen of `options`. picture: (width, height)."""
    screen = () if options.window else ("--headless",)
    size = "x".join(map(str, picture))
    arguments = ("--world", "probe", "--probe-fps", str(fps), "--picture", size, *screen)
    return Show(arguments, script, seconds, "loop.measure.shows.bare")


def seed_of(options: Namespace) -> int:
    """The seed of the world and of the script's random times: 0 unless one was given."""
    return options.seed or 0


def configuration(options: Namespace) -> dict[str, Any]:
    """The configuration that a measurement prints before its numbers."""
    shown: dict[str, Any] = {"world": options.world, "screen": "window" if options.window else "headless"}
    if options.world == "probe":
        shown |= {"fps": options.probe_fps, "frames a block": options.probe_frames}
        shown |= {"block ms": options.probe_block_ms, "recache ms": options.probe_recache_ms}
    shown |= {name: value for name in _CHOICES if name != "prompt" and (value := getattr(options, name)) is not None}
    if options.world == "probe" and options.probe_pace:
        shown |= {"pace": options.probe_pace, "seconds at each": options.probe_pace_every}
    return shown | {"seed": seed_of(options)}


def device_name(options: Namespace) -> str:
    """The device that the model runs on, for print; raises WorldError or UsageError if there is no such world."""
    world = world_options(options)
    if options.world == "probe":
        return "none: the test card's costs are made up"
    from world.dit.device import describe, resolve, use_threads

    use_threads(world.threads)
    return describe(resolve(world.device))


def random_times(chance: random.Random, count: int, at_least_s: float, spread_s: float) -> list[float]:
    """`count` random times in seconds after the warm-up; gaps are from `at_least_s` to `at_least_s + spread_s`."""
    times, at = [], WARM_S
    for _ in range(count):
        at += at_least_s + chance.uniform(0, spread_s)
        times.append(round(at, 6))
    return times


def prompt_script(times: Sequence[float]) -> tuple[ScriptEntry, ...]:
    """A script with a prompt at each of `times`, never the same one twice in a row."""
    return tuple({"at_s": at, "prompt": PROMPTS[place % len(PROMPTS)]} for place, at in enumerate(times))
