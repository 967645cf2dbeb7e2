"""A running session in the model's process: takes events, makes blocks just in time, decodes them into the ring."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from loop.message import BlockDone, BlockMade, Close, Facts, Mode, Stage, Start, Submit, Taken
from loop.ring import FrameRing
from loop.sequencer import Numbered, has_words, take
from loop.switch import PLAIN, Costs, fits, lead_ns
from loop.upload import uploader
from world.block import Block, Made, Recached, Session, World
from world.event import Scene

POLL_S = 0.05  # the longest wait between looks at the schedule; a message ends it at once
now_ns = time.perf_counter_ns


@dataclass
class Inbox:
    """What has come through the pipe and waits for a block boundary. Owned by the model's process.

    take_back: the newest block to keep, where the window's process has dropped later ones; epoch counts those drops.
    passed_over: blocks that began although words were waiting.
    """

    pipe: Connection
    mode: str
    waiting: list[Numbered] = field(default_factory=list)
    take_back: int | None = None
    epoch: int = 0
    passed_over: int = 0
    closed: bool = False

    def receive(self, session: Session, wait_s: float = 0.0) -> None:
        """Take in every message there is, waiting at most `wait_s` for the first; encode new words at once."""
        while not self.closed and self.pipe.poll(wait_s):
            message, wait_s = self.pipe.recv(), 0.0
            if isinstance(message, Close):
                self.closed = True
            elif isinstance(message, Mode):
                self.mode = message.mode
            elif isinstance(message, Submit):
                self._keep(message, session)

    @property
    def has_scene(self) -> bool:
        """Whether a hard cut waits."""
        return any(isinstance(event, Scene) for _, event in self.waiting)

    def has_words(self, session: Session) -> bool:
        """Whether a recache waits: words that differ from those in force, without a hard cut."""
        return has_words(self.waiting, session.stand.words)

    def taken(self) -> tuple[list[Numbered], tuple[int, ...]]:
        """What a boundary applies, and the numbers of what that replaces; nothing waits any more."""
        waiting, self.waiting, self.passed_over = self.waiting, [], 0
        applied = take(waiting)
        kept = {number for number, _ in applied}
        return applied, tuple(number for number, _ in waiting if number not in kept)

    def _keep(self, message: Submit, session: Session) -> None:
        session.prepare(message.event)
        self.pipe.send(Stage(message.id, "encoded", now_ns()))
        self.waiting.append((message.id, message.event))
        if message.keep is not None:
            self.take_back = message.keep if self.take_back is None else min(self.take_back, message.keep)
            self.epoch = message.epoch


class Stream:
    """A session, its decoder and its ring. Owned by the model's process."""

    def __init__(self, world: World, start: Start, pipe: Connection) -> None:
        info = world.info
        self.inbox = Inbox(pipe, start.mode, epoch=start.epoch)
        self.ring = FrameRing.attach(start.ring, start.slots, info.picture)
        self.session = world.session(start.seed, start.prompt)
        self.costs = Costs()
        self.block_frames = info.block_frames
        self.ahead: list[Numbered] = []  # taken for the next block before its boundary
        self._reserve_ns = start.reserve * round(info.block_s * 1e9)
        self._decoder = world.decoder
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
        taken, replaced = self.inbox.taken()
        self.send(Taken(seen, tuple(number for number, _ in taken), replaced, begun_ns))
        self.session.ahead([event for _, event in taken])
        done_ns = now_ns()
        self.ahead += taken
        self.costs.note_recache(done_ns - begun_ns)
        for number, _ in taken:
            self.send(Stage(number, "recached", done_ns))

    def decode(self, state: Any, latents: np.ndarray) -> tuple[Any, Any]:
        """latents [1, 1, C, h, w] -> frames uint8 [n, Y, X, 3] on the host or the device, and the next state."""
        return self._decoder.decode(state, latents)

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


class BlockRun:
    """One block from its boundary to its clean pass."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.session = stream, stream.session
        self.begun_ns = now_ns()
        self.recached_ns = self.first_frame_ns = self.shown_ns = 0
        self.beside_ns = self.beside_shown_ns = 0  # spent on a recache for the next block: in all, and until `shown_ns`
        self.block: Block | None = None
        self.due_ns = stream.due_ns
        self.index = self.session.index
        self.events = self._take()

    def run(self) -> None:
        """Make the block, showing it before the clean pass, and look at the pipe between passes."""
        passes = self.session.begin(self.events)
        for done in passes:
            if isinstance(done, Recached):
                self.recached_ns = now_ns()
                self._stamp("recached", self.recached_ns)
            elif isinstance(done, Made):
                self._stamp("denoised", now_ns())
                self._show(done.block)
            self.stream.inbox.receive(self.session)
            if self._is_left():
                passes.close()
                break
            self._switch_beside()
        if self.block:
            self._account()
        else:
            self.stream.ahead = [*self.taken, *self.stream.ahead]  # still in force for the block that is made instead

    def _take(self) -> list[Any]:
        """The events of this boundary. Words stay waiting where their recache would leave a due frame missing."""
        inbox, ahead, self.stream.ahead = self.stream.inbox, self.stream.ahead, []
        must_wait = inbox.mode in ("overlap", "auto") and inbox.has_words(self.session) and not self.stream.has_room()
        if must_wait:
            inbox.passed_over += 1
        applied, replaced = ([], ()) if must_wait else inbox.taken()
        self.taken = [*ahead, *applied]
        self.applied = tuple(number for number, _ in self.taken)
        if applied or replaced:
            numbers = tuple(number for number, _ in applied)
            self.stream.send(Taken(self.index, numbers, replaced, self.begun_ns))
        return [event for _, event in applied]

    def _is_left(self) -> bool:
        """Whether to leave the block: dropped; or new words come sooner without it; or they spare its clean pass."""
        inbox = self.stream.inbox
        if inbox.take_back is not None:
            return True
        if inbox.mode in ("overlap", PLAIN) or not (inbox.has_words(self.session) or inbox.has_scene):
            return False
        if self.block:
            return inbox.mode in ("inline", "snap")
        if inbox.mode == "inline":
            return False
        return fits(self.stream.costs.worst, now_ns(), self.due_ns, inbox.has_scene)

    def _switch_beside(self) -> None:
        """Recache for the next block now, if this one and the next stay in time."""
        stream = self.stream
        if stream.inbox.mode not in ("overlap", "auto") or not stream.inbox.has_words(self.session):
            return
        begun_ns = now_ns()
        if self.block:
            if stream.has_room():
                stream.recache_ahead(self.index + 1)
        elif self._has_slack(begun_ns):
            stream.recache_ahead(self.index + 1)
        self.beside_ns += now_ns() - begun_ns

    def _has_slack(self, at_ns: int) -> bool:
        """Whether this block still comes in time with a recache squeezed in before its last pass."""
        cost = self.stream.costs.worst
        if cost is None or self.due_ns is None:
            return True
        spent_ns = at_ns - self.begun_ns - self.beside_ns
        return at_ns + max(0, cost.first_frame_ns - spent_ns) + cost.recache_ns <= self.due_ns

    def _show(self, block: Block) -> None:
        """Decode latent frame by latent frame, so that the first pixels do not wait for the last; report the block."""
        number, state = block.index * self.stream.block_frames, self.stream.state_before(block)
        for frame in range(block.latents.shape[1]):
            pixels, state = self.stream.decode(state, block.latents[:, frame : frame + 1])
            if not self.first_frame_ns:
                self._stamp("decoded", now_ns())
            self.stream.publish(pixels, number, block.index)
            number += len(pixels)
            if not self.first_frame_ns:
                self.first_frame_ns = now_ns()
                self._stamp("uploaded", self.first_frame_ns)
        self.stream.remember(block.index, state)
        self.block, self.shown_ns, self.beside_shown_ns = block, now_ns(), self.beside_ns
        self.stream.send(BlockMade(block, self.session.stand, self.stream.inbox.epoch))

    def _account(self) -> None:
        """What the block cost, for the lead and for the window's process."""
        recache_ns = self.recached_ns - self.begun_ns if self.recached_ns else 0
        if recache_ns:
            self.stream.costs.note_recache(recache_ns)
        ended_ns, after_ns = now_ns(), self.beside_ns - self.beside_shown_ns
        first_ns = self.first_frame_ns - self.begun_ns - recache_ns - self.beside_shown_ns
        self.stream.costs.note_block(first_ns, ended_ns - self.shown_ns - after_ns)
        facts = Facts(self.block.index, self.block.start, self.block.cut, self.block.seen)
        times = (self.begun_ns, ended_ns, recache_ns + self.beside_ns)
        self.stream.send(BlockDone(facts, *times, self.stream.costs.worst))

    def _stamp(self, stage: str, t_ns: int) -> None:
        for number in self.applied:
            self.stream.send(Stage(number, stage, t_ns))
