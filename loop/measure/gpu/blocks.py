"""Blocks of a world timed stage by stage, through the decoder and the upload that a show uses."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from loop.link.ring import FrameRing
from loop.timing.clock import MonotonicClock
from loop.worker.frame_output import FrameOutput
from loop.worker.window_link import WindowLink
from world.block import Clean, Denoised, Made, Recached
from world.diffusion.world import DiffusionWorld
from world.dit.device import wait
from world.event import Event

BlockTimes = dict[str, list[float]]  # milliseconds by stage, a value for each block that had it
_STATES = 4  # of the decoder, as a show keeps them without a reserve and a few to spare


class _NoPipe:
    """A pipe to nobody."""

    def send(self, message: Any, /) -> None:
        """Nobody hears it."""

    def recv(self) -> Any:
        raise EOFError

    def poll(self, timeout: float = 0.0, /) -> bool:
        return False


class TimedStream:
    """A session with its decoder and a ring that is emptied at once. Close it in the end."""

    def __init__(self, world: DiffusionWorld, seed: int = 0) -> None:
        self.world = world
        self.session = world.session(seed, world.info.showpiece)
        self._ring = FrameRing.create(2 * world.info.block_frames, world.info.picture)
        self._ring.unlink()
        self._output = FrameOutput(world, self._ring, WindowLink(_NoPipe()), MonotonicClock(), _STATES)
        self._begun = 0.0

    def fill(self) -> None:
        """Make blocks until the window is full, and some more, so that every kind of pass has run over it."""
        for _ in range(self.world.config.cache.blocks + 3):
            self.block()

    def block(self, events: Sequence[Event] = (), after_step: Callable[[], None] | None = None) -> dict[str, float]:
        """Make and show one block: milliseconds of each of its stages.

        "first frame" is counted from the boundary to the first published frame. "block" is all of it but the recache.
        after_step: called after the first denoising step.
        """
        stages: dict[str, float] = {}
        for event in events:
            self.session.prepare(event)
        wait(self.world.device)
        boundary = self._begun = time.perf_counter()
        for done in self.session.begin(events):
            if isinstance(done, Recached):
                stages["recache"] = self._lap()
            elif isinstance(done, Denoised):
                stages[f"step {done.step + 1}"] = self._lap()
                if done.step == 0 and after_step:
                    after_step()
            elif isinstance(done, Made):
                stages["latents to the host"] = self._lap()
                stages |= self._show(done, boundary)
            elif isinstance(done, Clean):
                stages["clean pass"] = self._lap()
        whole_ms = (time.perf_counter() - boundary) * 1e3
        return stages | {"block": whole_ms - stages.get("recache", 0.0)}

    def _show(self, made: Made, boundary: float) -> dict[str, float]:
        """Decode and publish a block. What is copied while the next frames are decoded counts as decoding."""
        stages = {"decode": 0.0, "upload": 0.0}
        number = made.block.index * self.world.info.block_frames
        for upload in self._output.uploads(made.block, made.latents):
            upload.wait_decoded()
            stages["decode"] += self._lap()
            self._output.publish(upload, number, made.block.index, 0)
            stages["upload"] += self._lap()
            number += upload.count
            stages.setdefault("first frame", (time.perf_counter() - boundary) * 1e3)
        self._ring.release(self._ring.written, epoch=0)
        return stages

    def _lap(self) -> float:
        """Milliseconds since the last lap."""
        now = time.perf_counter()
        begun, self._begun = self._begun, now
        return (now - begun) * 1e3

    def close(self) -> None:
        """Give the ring back."""
        self._output.close()


def gather_times(blocks: Sequence[dict[str, float]]) -> BlockTimes:
    """The times of several blocks by stage."""
    times: BlockTimes = defaultdict(list)
    for stages in blocks:
        for name, ms in stages.items():
            times[name].append(ms)
    return dict(times)
