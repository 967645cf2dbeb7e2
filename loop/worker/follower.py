"""A session in the model's process that makes no blocks: another machine does, and here they become pixels."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from loop.link.cost import Cost
from loop.link.message import (
    BlockDone,
    BlockMade,
    Close,
    DropAfter,
    Facts,
    Follow,
    FollowVideo,
    Ping,
    Pong,
    Start,
    Stray,
    Submit,
)
from loop.link.ring import FrameRing
from loop.timing.clock import Clock
from loop.worker.frame_output import FrameOutput
from loop.worker.video_output import VideoOutput
from loop.worker.window_link import WindowLink
from world.block import World

log = logging.getLogger(__name__)
IDLE_S = 0.05  # the longest wait for a message
FULL_S = 0.002  # the same while a block waits for room in the ring
MOST_WAITING = 64  # blocks; a show that stands still longer than they play begins again where the other machine is
MOST_FRAMES = 256  # the same of frames that come as video


class Follower:
    """Decodes blocks and frames into the ring in the order in which they come. Owned by the model's process."""

    def __init__(self, world: World, start: Start, ring: FrameRing, link: WindowLink, clock: Clock) -> None:
        self._link, self._clock = link, clock
        self._output = FrameOutput(world, ring, link, clock, states=start.reserve + 3)
        self._video = VideoOutput(ring, link, clock, start.picture)
        self._waiting: deque[Follow | FollowVideo] = deque()
        self._next: Start | Close | None = None
        if start.snapshot:
            self._output.resume([block for block, _ in start.snapshot.line()])

    def run(self) -> Start | None:
        """Decode blocks until told to close; or the session that is to begin instead, on this machine."""
        while self._next is None:
            is_ready = self._has_room
            self._receive(0.0 if is_ready else FULL_S if self._waiting else IDLE_S)
            if self._next is None and self._has_room:
                self._draw(self._waiting.popleft())
        self._output.close()
        return self._next if isinstance(self._next, Start) else None

    @property
    def _has_room(self) -> bool:
        """Whether something waits that the ring has room for."""
        if not self._waiting:
            return False
        return self._video.has_room if isinstance(self._waiting[0], FollowVideo) else self._output.has_room

    def _draw(self, follow: Follow | FollowVideo) -> None:
        if isinstance(follow, Follow):
            self._show(follow)
        elif not self._video.draw(follow):
            self._link.send(Stray(follow.block))

    def _receive(self, wait_s: float) -> None:
        """Read every message there is, waiting up to `wait_s` for the first."""
        while self._next is None and self._link.pipe.poll(wait_s):
            self._act(self._link.pipe.recv())
            wait_s = 0.0

    def _act(self, message: Any) -> None:
        if isinstance(message, Follow | FollowVideo):
            self._waiting.append(message)
            if len(self._waiting) > (MOST_WAITING if isinstance(message, Follow) else MOST_FRAMES):
                self._waiting.clear()
                self._video.lose()
                self._link.send(Stray(_block(message)))
        elif isinstance(message, DropAfter):
            self._drop_after(message.kept)
        elif isinstance(message, Ping):
            self._link.send(Pong())
        elif isinstance(message, Start | Close):
            self._next = message
        else:
            assert not isinstance(message, Submit), "who follows has nothing to submit to"

    def _drop_after(self, kept: int) -> None:
        # video is decoded to its end all the same: later frames build on it
        self._waiting = deque(it for it in self._waiting if isinstance(it, FollowVideo) or _block(it) <= kept)
        self._output.drop_frames()
        self._output.forget_after(kept)

    def _show(self, follow: Follow) -> None:
        """Decode a block and report it, as the machine that made it did."""
        made, begun_ns = follow.made, self._clock.now_ns()
        block = made.block
        if follow.resume:
            self._output.resume(follow.resume)
        if not self._output.can_decode(block):
            self._link.send(Stray(block.index))
            return
        number, first_ns = block.index * self._output.block_frames, 0
        for upload in self._output.uploads(block):
            if number >= self._video.end_of(block.index):  # else the video has shown it
                self._output.publish(upload, number, block.index, made.epoch)
            number += upload.count
            first_ns = first_ns or self._clock.now_ns() - begun_ns
        ended_ns = self._clock.now_ns()
        self._link.send(BlockMade(block, made.conditions, made.epoch, ended_ns - begun_ns))
        facts = Facts(block.index, block.start, block.cut, block.seen, block.dials)
        self._link.send(BlockDone(facts, begun_ns, ended_ns, 0, Cost(0, first_ns, 0)))


def _block(follow: Follow | FollowVideo) -> int:
    return follow.made.block.index if isinstance(follow, Follow) else follow.block
