"""A running session in the model's process: blocks begun just in time, decoded into the ring."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from loop.link.message import Stage, Start, Taken
from loop.link.ring import FrameRing
from loop.timing.costs import Costs
from loop.timing.switch import fits, lead_ns
from loop.worker.block_run import BlockRun
from loop.worker.inbox import Inbox, submitted
from loop.worker.sequencer import Numbered
from loop.worker.upload import uploader
from world.block import Block, World

POLL_S = 0.05  # the longest wait between looks at the schedule; a message ends it at once
now_ns = time.perf_counter_ns


class Stream:
    """A session, its decoder and its ring. Owned by the model's process."""

    def __init__(self, world: World, start: Start, pipe: Connection) -> None:
        info = world.info
        self.costs = Costs()
        self.inbox = Inbox(pipe, start.mode, start.transition, costs=self.costs, epoch=start.epoch)
        self.inbox.know(info.dials, start.snapshot.dials if start.snapshot else {})
        self.ring = FrameRing.attach(start.ring, start.slots, info.picture)
        self.session = world.session(start.seed, start.prompt)
        self.block_frames = info.block_frames
        self.ahead: list[Numbered] = []  # taken for the next block before its boundary
        self._recaching: list[tuple[int, tuple[int, ...]]] = []  # begun ahead: when, and for which events
        self.left = 0  # how often the next block was begun and left
        self._reserve_ns = start.reserve * round(info.block_s * 1e9)
        self._decoder, self._decode = world.decoder, _decode_of(world)
        self._states: OrderedDict[int, Any] = OrderedDict()
        self._states_kept = start.reserve + 3
        self._upload: Any = None
        self._void = 0  # frames before this ordinal were dropped or have been scheduled
        if start.snapshot:
            self._resume(start)

    def run(self) -> None:
        """Blocks until told to close."""
        while self._wait_for_boundary():
            BlockRun(self).run()
        if self._upload:
            self._upload.close()
        self.ring.close()

    @property
    def due_ns(self) -> int | None:
        """When the first frame of the next block is due; None while that is open (nothing shown yet, or frozen)."""
        schedule = self.ring.schedule
        if schedule is None or schedule.held:
            return None
        return schedule.due_ns + (self.ring.written - max(self._void, schedule.ordinal)) * schedule.period_ns

    def has_room(self) -> bool:
        """Whether a recache begun now leaves the next block in time; what did not fit once is done all the same."""
        return self.inbox.passed_over > 0 or fits(self.costs.worst, now_ns(), self.due_ns)

    def recache_ahead(self, seen: int) -> None:
        """Bring the back bank under the words that wait, for block `seen`, while the present words go on."""
        begun_ns = now_ns()
        taken, replaced = self.inbox.taken(seen)
        self.send(Taken(seen, submitted(taken), replaced, begun_ns))
        self.session.ahead([event for _, event in taken])
        self.ahead += taken
        self._recaching.append((begun_ns, submitted(taken)))
        self.note_recached()

    def note_recached(self) -> None:
        """Write down what recaches beside the blocks have ended: on a GPU they go on after they were asked for."""
        if self._recaching and not self.session.is_recaching:
            done_ns = now_ns()
            for begun_ns, numbers in self._recaching:
                self.costs.note_recache(done_ns - begun_ns)
                self.stamp("recached", done_ns, numbers)
            self._recaching.clear()

    def decode(self, state: Any, latents: np.ndarray) -> tuple[Any, Any]:
        """latents [1, 1, C, h, w] -> frames uint8 [n, Y, X, 3] on the host or the device, and the next state."""
        return self._decode(state, latents)

    def state_before(self, block: Block) -> Any:
        """The decoder's state at the end of the block that `block` continues; a hard cut continues none."""
        return self._states[block.parent] if block.start else self._decoder.start()

    def remember(self, block: int, state: Any) -> None:
        """Keep a boundary's decoder state for as long as what follows it may be taken back."""
        self._states[block] = state
        while len(self._states) > self._states_kept:
            self._states.popitem(last=False)

    def publish(self, frames: Any, first_number: int, block: int) -> None:
        """Put decoded frames into the ring, in order, numbered from `first_number` on."""
        self._upload = self._upload or uploader(self.ring, frames)
        self._upload.write(self.ring.written, frames)
        for offset in range(len(frames)):
            self.ring.publish(first_number + offset, block, self.inbox.epoch, now_ns())

    def send(self, message: Any) -> None:
        """Tell the window's process."""
        self.inbox.pipe.send(message)

    def stamp(self, stage: str, t_ns: int, numbers: Iterable[int]) -> None:
        """Tell that these events reached `stage`."""
        for number in numbers:
            self.send(Stage(number, stage, t_ns))

    def take_back(self) -> None:
        """Forget the blocks that the window's process has dropped, in the session, the decoder and the ring."""
        kept, self.inbox.take_back = self.inbox.take_back, None
        self.session.take_back(kept)
        self._void = self.ring.written
        self.ahead.clear()

    def _wait_for_boundary(self) -> bool:
        """Wait, reading the pipe, until the next block must begin; False once the session is to close."""
        while not self.inbox.closed:
            if self.inbox.take_back is not None:
                self.take_back()
            if self.inbox.mode in ("overlap", "auto") and self.inbox.has_words(self.session) and self.has_room():
                self.recache_ahead(self.session.index)
            self.note_recached()
            wait_s = self._wait_s()
            self.inbox.receive(self.session, min(max(wait_s, 0.0), POLL_S))
            if wait_s <= 0 and self.inbox.take_back is None:
                return not self.inbox.closed
        return False

    def _wait_s(self) -> float:
        """Seconds until the next block begins, just in time."""
        if self.ring.free < self.block_frames:
            return 0.002
        schedule = self.ring.schedule
        if schedule is None:
            return 0.0
        if schedule.held:
            return POLL_S
        lead = lead_ns(self.costs.worst, self.inbox.mode, self.block_frames * schedule.period_ns)
        return (self.due_ns - lead - self._reserve_ns - now_ns()) / 1e9

    def _resume(self, start: Start) -> None:
        """Go on from a snapshot: rebuild the cache, and bring the decoder up to where it was."""
        self.session.resume(start.snapshot)
        state = self._decoder.start()
        for block in start.snapshot.blocks:
            _, state = self.decode(state, block.latents)
            self.remember(block.index, state)


def _decode_of(world: World) -> Callable[[Any, np.ndarray], tuple[Any, Any]]:
    """The decoder's call whose frames stay where they were made: on a GPU the upload fetches them on its own stream."""
    device = getattr(world, "device", None)
    on_gpu = device is not None and device.type == "cuda"
    return getattr(world.decoder, "decode_tensor", world.decoder.decode) if on_gpu else world.decoder.decode
