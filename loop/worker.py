"""The model's process: opens the world, takes events at block boundaries, fills the ring. Spawned by the supervisor."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from loop.message import BlockDone, BlockMade, Close, Fault, Opened, Stage, Start, Started, Submit, Taken
from loop.ring import FrameRing
from loop.sequencer import take
from loop.switch import Costs, block_begins_at, lead_ns
from loop.upload import uploader
from world.block import Block, Made, Recached, World
from world.event import Dial, Event, Prompt, Scene
from world.info import WorldError
from world.zoo import WorldOptions, open_world

POLL_S = 0.05  # the longest wait between looks at the schedule; a message ends it at once
now_ns = time.perf_counter_ns


class SerialDevice:
    """The test card's made-up device: work queues up on it, one piece after the other, to absolute deadlines."""

    def __init__(self, busy: bool) -> None:
        self._busy = busy
        self._free_ns = 0

    def spend(self, seconds: float) -> None:
        """Return when `seconds` more of work are done."""
        if seconds <= 0:
            return
        now = now_ns()
        back_to_back = now - self._free_ns < 2_000_000
        self._free_ns = (self._free_ns if back_to_back else now) + round(seconds * 1e9)
        while now_ns() < self._free_ns:
            if not self._busy:
                time.sleep(max(0.0, (self._free_ns - now_ns()) / 1e9))


@dataclass
class Inbox:
    """What has come through the pipe and waits for a block boundary. Owned by the model's process."""

    pipe: Connection
    waiting: list[tuple[int, Event]] = field(default_factory=list)
    closed: bool = False

    def receive(self, session: Any, wait_s: float = 0.0) -> None:
        """Take in every message there is, waiting at most `wait_s` for the first; encode new words at once."""
        while not self.closed and self.pipe.poll(wait_s):
            message, wait_s = self.pipe.recv(), 0.0
            if isinstance(message, Close):
                self.closed = True
            elif isinstance(message, Submit):
                session.prepare(message.event)
                self.pipe.send(Stage(message.id, "encoded", now_ns()))
                self.waiting.append((message.id, message.event))


class BlockRun:
    """One block from its boundary to its clean pass."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.begun_ns = now_ns()
        self.recached_ns = 0
        self.first_frame_ns = 0
        waiting, stream.inbox.waiting = stream.inbox.waiting, []
        applied = take(waiting)
        self.applied = tuple(number for number, _ in applied)
        self.events = tuple(event for _, event in applied)
        if waiting:
            replaced = tuple(number for number, _ in waiting if number not in self.applied)
            stream.send(Taken(stream.session.index, self.applied, replaced, self.begun_ns))

    def run(self) -> None:
        """Make the block, showing it before the clean pass, and look at the pipe between passes."""
        for done in self.stream.session.begin(self.events):
            if isinstance(done, Recached):
                self.recached_ns = now_ns()
                self._stamp("recached", self.recached_ns)
            elif isinstance(done, Made):
                self._stamp("denoised", now_ns())
                self._show(done.block)
                self.stream.made(done.block)
                self.shown_ns = now_ns()
            self.stream.inbox.receive(self.stream.session)
        self.stream.done(self)

    def _show(self, block: Block) -> None:
        """Decode latent frame by latent frame, so that the first pixels do not wait for the last."""
        number = block.index * self.stream.block_frames
        for frame in range(block.latents.shape[1]):
            pixels = self.stream.decode(block.latents[:, frame : frame + 1])
            if not self.first_frame_ns:
                self._stamp("decoded", now_ns())
            self.stream.publish(pixels, number, block.index)
            number += len(pixels)
            if not self.first_frame_ns:
                self.first_frame_ns = now_ns()
                self._stamp("uploaded", self.first_frame_ns)
        self.block = block

    def _stamp(self, stage: str, t_ns: int) -> None:
        for number in self.applied:
            self.stream.send(Stage(number, stage, t_ns))


class Stream:
    """A running session, its decoder and its ring. Owned by the model's process."""

    def __init__(self, world: World, start: Start, pipe: Connection) -> None:
        info = world.info
        self.inbox = Inbox(pipe)
        self.ring = FrameRing.attach(start.ring, start.slots, info.picture)
        self.session = world.session(start.seed, start.prompt)
        self.costs = Costs()
        self._play_ns = round(info.block_s * 1e9)
        self._reserve_ns = start.reserve * self._play_ns
        self._decoder, self._decoder_state = world.decoder, world.decoder.start()
        self._upload: Any = None
        self.block_frames = info.block_frames
        self._words, self._dials = start.prompt, {}
        if start.snapshot:
            self._resume(start)

    def run(self) -> None:
        """Blocks until told to close."""
        while self._wait_for_boundary():
            BlockRun(self).run()
        if self._upload:
            self._upload.close()
        self.ring.close()

    def decode(self, latents: np.ndarray) -> Any:
        """latents [1, 1, C, h, w] -> frames uint8 [n, Y, X, 3] on the host or the device."""
        frames, self._decoder_state = self._decoder.decode(self._decoder_state, latents)
        return frames

    def publish(self, frames: Any, first_number: int, block: int) -> None:
        """Put decoded frames into the ring, in order, numbered from `first_number` on."""
        self._upload = self._upload or uploader(self.ring, frames)
        self._upload.write(self.ring.written, frames)
        for offset in range(len(frames)):
            self.ring.publish(first_number + offset, block, now_ns())

    def send(self, message: Any) -> None:
        """Tell the window's process."""
        self.inbox.pipe.send(message)

    def made(self, block: Block) -> None:
        """A block can be seen: hand over its latents before the clean pass, so that a later crash loses nothing."""
        for event in block.events:
            if isinstance(event, Prompt | Scene):
                self._words = event.text
            elif isinstance(event, Dial):
                self._dials[event.name] = event.value
        self.send(BlockMade(block, self._words, dict(self._dials), block.seen is not None))

    def done(self, run: BlockRun) -> None:
        """Account for a block whose clean pass is done."""
        recache_ns = run.recached_ns - run.begun_ns if run.recached_ns else 0
        if recache_ns:
            self.costs.note_recache(recache_ns)
        self.costs.note_block(run.first_frame_ns - run.begun_ns - recache_ns, now_ns() - run.shown_ns)
        block = run.block
        self.send(BlockDone(block.index, block.start, block.seen is not None, run.begun_ns, now_ns(), recache_ns))

    def _wait_for_boundary(self) -> bool:
        """Wait, reading the pipe, until the next block must begin; False once the session is to close."""
        while not self.inbox.closed:
            lead = lead_ns(self.costs.worst, "inline", self._play_ns)
            begins_ns = block_begins_at(self.ring.schedule, self.ring.written, lead, self._reserve_ns)
            wait_s = POLL_S if begins_ns is None else (begins_ns - now_ns()) / 1e9
            if self.ring.free < self.block_frames:
                wait_s = max(wait_s, 0.002)
            if wait_s <= 0:
                self.inbox.receive(self.session)
                return not self.inbox.closed
            self.inbox.receive(self.session, min(wait_s, POLL_S))
        return False

    def _resume(self, start: Start) -> None:
        """Go on from a snapshot: rebuild the cache, and bring the decoder up to where it was."""
        snapshot = start.snapshot
        self.session.resume(snapshot)
        self._words, self._dials = snapshot.words, dict(snapshot.dials)
        for block in snapshot.blocks:
            self.decode(block.latents)


def main(pipe: Connection, options: WorldOptions) -> None:
    """The process's entry: open the world, then serve one session; a fault is reported before it ends the process."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group: the window's process decides
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning OpenMP threads starve the window's process
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    try:
        _serve(pipe, options)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the window's process has gone
    except WorldError as error:
        pipe.send(Fault(str(error), usage=True))
    except Exception as error:
        pipe.send(Fault(f"{type(error).__name__}: {error}", usage=False))
        raise


def _serve(pipe: Connection, options: WorldOptions) -> None:
    world = open_world(options, SerialDevice(options.probe.busy).spend)
    pipe.send(Opened(world.info, _versions()))
    start = pipe.recv()
    if isinstance(start, Start):
        stream = Stream(world, start, pipe)
        pipe.send(Started())
        stream.run()


def _die_with_parent() -> None:
    """Never outlive the window's process, however it ends."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="die with parent", daemon=True).start()


def _versions() -> dict[str, str]:
    """Versions of what made the latents, for the log."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    return versions
