"""`neverblink render`: a world without a clock, as fast or slow as it goes, the same bytes every time."""

from __future__ import annotations

import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Protocol

import numpy as np

from input.script import read_script
from loop.admission import Admission
from loop.cli.common_options import SCORES
from loop.cli.signals import tell
from loop.cli.world_options import drawn_seed, world_options
from loop.output.mp4 import Mp4
from loop.output.new_file import whole_file
from loop.screen.operator.hint import hint
from loop.takes import Choice, Takes
from loop.worker.sequencer import take
from world.block import Block, Made, Remade, Session, World
from world.boundary import cut_if_loose
from world.event import Dial, Event, Prompt, Scene
from world.info import WorldInfo, grip_of
from world.zoo import memory_told, open_in_own_process

log = logging.getLogger(__name__)
At = tuple[float, Event]


@dataclass(frozen=True)
class RenderJob:
    """What to render: the events of a script with their video times, and how long.

    takes: how often each stretch between changes of words is made; best: by which of loop.takes.SCORES one is kept.
    """

    seed: int
    prompt: str | None
    script: Sequence[At]
    seconds: float
    out: Path
    overwrite: bool = False
    takes: int = 1
    best: str = SCORES[0]


class VideoSink(Protocol):
    """A file that pictures are added to, uint8 [Y, X, 3]."""

    def add(self, pixels: np.ndarray) -> None: ...

    def close(self) -> None: ...


class _NpySink:
    """uint8 [T, Y, X, 3] in a .npy, whose room on the disk is reserved at once where the file system can do that.

    It is written frame by frame: a memory map would end the process with SIGBUS where a block cannot be had.
    frames: how many come at most; if fewer do, the file is shortened at its end.
    """

    def __init__(self, path: Path, frames: int, picture: tuple[int, int]) -> None:
        width, height = picture
        self._file = path.open("wb")
        self._most, self._frames, self._size = frames, 0, (height, width, 3)
        try:
            self._write_header(frames)
            self._file.flush()
            _reserve_room(self._file.fileno(), self._file.tell() + frames * height * width * 3)
        except OSError:
            self._file.close()
            raise

    def add(self, pixels: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(pixels).data)
        self._frames += 1

    def close(self) -> None:
        with self._file:
            if self._frames < self._most:
                self._file.truncate(self._file.tell())
                self._file.seek(0)
                self._write_header(self._frames)  # numpy leaves room for a first side of any length

    def _write_header(self, frames: int) -> None:
        form = {"descr": "|u1", "fortran_order": False, "shape": (frames, *self._size)}
        np.lib.format.write_array_header_1_0(self._file, form)


def _reserve_room(file: int, size_bytes: int) -> None:
    """Let a disk that is too small be noticed before hours of rendering; raises OSError."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size_bytes)
        except OSError as error:
            if error.errno in (ENOSPC, EFBIG, EDQUOT):  # else the file system cannot reserve
                raise


def render(world: World, job: RenderJob, progress: Callable[[float], None]) -> tuple[int, Path]:
    """Render `job` into its file, which appears as a whole; returns the number of frames and the file's path.

    progress: called after each block with the seconds of video made so far. Raises OSError if the file cannot be
    written; then nothing is left of it, and an older file of that name is as it was.
    """
    job = _admitted(job, world.info)
    frames = max(1, round(job.seconds * world.info.fps))
    with whole_file(job.out, job.overwrite) as file:
        sink = open_video(file.part, job.out.suffix.lower(), frames, world)
        try:
            for number, pixels in enumerate(_film(world, job, frames)):
                sink.add(pixels)
                if (number + 1) % world.info.block_frames == 0 or number + 1 == frames:
                    progress((number + 1) / world.info.fps)
        finally:
            sink.close()
    return frames, file.path


def _admitted(job: RenderJob, info: WorldInfo) -> RenderJob:
    """The job with the events that this world has a use for; says which dials and words it does not know."""
    admission = Admission()
    admitted = [(at_s, admission.admit(event, info)) for at_s, event in job.script]
    script = [(at_s, event) for at_s, event in admitted if event is not None]
    texts = [job.prompt or "", *(event.text for _, event in script if isinstance(event, Prompt | Scene))]
    for text in dict.fromkeys(texts):
        if remark := hint(text, info):
            log.warning("%r: %s", text, remark)
    return replace(job, script=script)


def open_video(path: Path, suffix: str, frames: int, world: World) -> VideoSink:
    """The file for a film of at most so many frames: .npy, or else an mp4."""
    if suffix == ".npy":
        return _NpySink(path, frames, world.info.picture)
    return Mp4(path, world.info.picture, world.info.fps)


def _film(world: World, job: RenderJob, frames: int) -> Iterator[np.ndarray]:
    """Pixel frames uint8 [Y, X, 3], one by one, of one take or of the best takes."""
    if job.takes == 1:
        return _stream(world, job, frames)

    def next_block(session: Session, due: Sequence[Event]) -> Block:
        return _next_block(session, _taken(session, due, world.info))

    script = sorted(job.script, key=lambda at: at[0])
    takes = Takes(world, script, job.takes, job.best, next_block)
    return takes.film(job.seed, job.prompt or world.info.showpiece, frames, lambda choice: _tell_choice(job, choice))


def _tell_choice(job: RenderJob, choice: Choice) -> None:
    scores = ", ".join(f"{score:.2f}" for score in choice.scores)
    which = f"take {choice.take + 1} of {len(choice.scores)}, from block {choice.block}"
    tell(f"{choice.at_s:.1f} s: {which}, by {job.best}: {scores}", sys.stderr)


def _stream(world: World, job: RenderJob, frames: int) -> Iterator[np.ndarray]:
    """Pixel frames uint8 [Y, X, 3], one by one. An event enters the first block that starts at or after its time."""
    session = world.session(job.seed, job.prompt or world.info.showpiece)
    made, waiting = 0, sorted(job.script, key=lambda at: at[0])
    while made < frames:
        now_s = made / world.info.fps
        due = [event for at_s, event in waiting if at_s <= now_s + 1e-9]
        waiting = waiting[len(due) :]
        block = _next_block(session, _taken(session, due, world.info))
        if block.start == 0:  # a hard cut shows nothing of what was before
            state = world.decoder.start()
        pixels, state = world.decoder.decode(state, block.latents)
        yield from pixels[: frames - made]
        made += len(pixels)


def _taken(session: Session, due: Sequence[Event], info: WorldInfo) -> list[Event]:
    """Those of the events that win, new words as a hard cut where nothing of the window is to survive them."""
    events, now = [event for _, event in take(list(enumerate(due)))], session.conditions
    dials = {**now.dials, **{event.name: event.value for event in events if isinstance(event, Dial)}}
    return [cut_if_loose(event, now.words, grip_of(dials, info.dials)) for event in events]


def _next_block(session: Session, events: Sequence[Event]) -> Block:
    """`session.step`, which says so where a block had to be made again."""
    made: Block | None = None
    for done in session.begin(events):
        if isinstance(done, Remade):
            log.warning("%s", done)
        elif isinstance(done, Made):
            made = done.block
    assert made is not None, "a session makes a block or raises"
    return made


def render_command(options: Namespace) -> int:
    """`neverblink render`: open the world here (there is no window to keep smooth), render, say how fast it went."""
    script = read_script(options.script) if options.script else ()
    world_choice = world_options(options)
    os.environ.setdefault("OMP_NUM_THREADS", str(world_choice.threads))
    job = RenderJob(drawn_seed(options), options.prompt, script, options.seconds, options.out, options.overwrite)
    job = replace(job, takes=options.takes, best=options.best)
    begun = time.perf_counter()
    with memory_told(world_choice):
        frames, path = render(open_in_own_process(world_choice), job, _print_progress(job.seconds))
    took = time.perf_counter() - begun
    speed = f"{frames} frames in {took:.1f} s ({job.seconds / took:.2f}x real time, opening included)"
    tell(f"\r{path}: {speed}", sys.stderr)
    return 0


def _print_progress(total_s: float) -> Callable[[float], None]:
    """Progress on a terminal only: a file of carriage returns helps nobody."""

    def show(made_s: float) -> None:
        if sys.stderr.isatty():
            tell(f"\r{made_s:.1f} of {total_s:.1f} s", sys.stderr, end="")

    return show
