"""`neverblink render`: a world without a clock, as fast or slow as it goes, the same bytes every time."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from input.script import read_script
from loop.cli.options import drawn_seed, world_options
from loop.output.recorder import Mp4
from loop.worker.sequencer import take
from world.block import World
from world.event import Event
from world.zoo import open_in_own_process

At = tuple[float, Event]


@dataclass(frozen=True)
class RenderJob:
    """What to render: the events of a script with their video times, and how long."""

    seed: int
    prompt: str | None
    script: Sequence[At]
    seconds: float
    out: Path


class _Sink(Protocol):
    def add(self, pixels: np.ndarray, number: int) -> None: ...

    def close(self) -> None: ...


class _NpySink:
    """uint8 [T, Y, X, 3] in a .npy that is written through a memory map."""

    def __init__(self, path: Path, frames: int, picture: tuple[int, int]) -> None:
        width, height = picture
        self._array = np.lib.format.open_memmap(path, "w+", np.uint8, (frames, height, width, 3))

    def add(self, pixels: np.ndarray, number: int) -> None:
        self._array[number] = pixels

    def close(self) -> None:
        self._array.flush()


class _Mp4Sink:
    """Frames at the world's own rate."""

    def __init__(self, path: Path, fps: float, picture: tuple[int, int]) -> None:
        self._file = Mp4(path, picture, fps)

    def add(self, pixels: np.ndarray, number: int) -> None:
        self._file.add(pixels)

    def close(self) -> None:
        self._file.close()


def render(world: World, job: RenderJob, progress: Callable[[float], None]) -> int:
    """Render `job` into its file, by way of a temporary one beside it; returns the number of frames.

    progress: called after each block with the seconds of video made so far.
    """
    frames = max(1, round(job.seconds * world.info.fps))
    part = job.out.with_name(job.out.name + ".part")
    sink = _open_sink(part, job.out.suffix, frames, world)
    try:
        for number, pixels in enumerate(_stream(world, job, frames)):
            sink.add(pixels, number)
            if (number + 1) % world.info.block_frames == 0 or number + 1 == frames:
                progress((number + 1) / world.info.fps)
        sink.close()
        os.replace(part, job.out)
    finally:
        part.unlink(missing_ok=True)
    return frames


def _open_sink(path: Path, suffix: str, frames: int, world: World) -> _Sink:
    if suffix == ".npy":
        return _NpySink(path, frames, world.info.picture)
    return _Mp4Sink(path, world.info.fps, world.info.picture)


def _stream(world: World, job: RenderJob, frames: int) -> Iterator[np.ndarray]:
    """Pixel frames uint8 [Y, X, 3], one by one. An event enters the first block that starts at or after its time."""
    session = world.session(job.seed, job.prompt or world.info.showpiece)
    state, made, waiting = world.decoder.start(), 0, sorted(job.script, key=lambda at: at[0])
    while made < frames:
        now_s = made / world.info.fps
        due = [event for at_s, event in waiting if at_s <= now_s + 1e-9]
        waiting = waiting[len(due) :]
        block = session.step([event for _, event in take(list(enumerate(due)))])
        pixels, state = world.decoder.decode(state, block.latents)
        yield from pixels[: frames - made]
        made += len(pixels)


def render_command(options: Namespace) -> int:
    """`neverblink render`: open the world here (there is no window to keep smooth), render, say how fast it went."""
    script = read_script(options.script) if options.script else ()
    world_choice = world_options(options)
    os.environ.setdefault("OMP_NUM_THREADS", str(world_choice.threads))
    job = RenderJob(drawn_seed(options), options.prompt, script, options.seconds, options.out)
    begun = time.perf_counter()
    frames = render(open_in_own_process(world_choice), job, _print_progress(job.seconds))
    took = time.perf_counter() - begun
    print(
        f"\r{job.out}: {frames} frames in {took:.1f} s ({job.seconds / took:.2f}x real time, opening included)",
        file=sys.stderr,
    )
    return 0


def _print_progress(total_s: float) -> Callable[[float], None]:
    """Progress on a terminal only: a file of carriage returns helps nobody."""

    def show(made_s: float) -> None:
        if sys.stderr.isatty():
            print(f"\r{made_s:.1f} of {total_s:.1f} s", end="", file=sys.stderr, flush=True)

    return show
