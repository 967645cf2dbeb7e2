"""Frames that come as video, into the ring."""

from __future__ import annotations

from loop.link.message import Drawn, FollowVideo
from loop.link.ring import FrameMark, FrameRing
from loop.timing.clock import Clock
from loop.video.h264 import VideoDecoder
from loop.worker.window_link import WindowLink


class VideoOutput:
    """The decoder of the video, and the ring. Owned by the follower."""

    def __init__(self, ring: FrameRing, link: WindowLink, clock: Clock, picture: tuple[int, int]) -> None:
        self._ring, self._link, self._clock, self._picture = ring, link, clock, picture
        self._decoder: VideoDecoder | None = None  # None: until the next key frame nothing can be decoded
        self._newest = (-1, -1)  # block and number of the newest frame

    @property
    def has_room(self) -> bool:
        """Whether the ring has room for another frame."""
        return self._ring.free > 0

    def end_of(self, block: int) -> int:
        """The number after the newest frame if that is of this block, else 0."""
        return self._newest[1] + 1 if self._newest[0] == block else 0

    def lose(self) -> None:
        """What comes next does not continue what was decoded."""
        self._decoder = None

    def draw(self, follow: FollowVideo) -> bool:
        """Decode a frame into the ring; whether that was possible."""
        if follow.is_key:
            self._decoder = VideoDecoder(self._picture)
        if self._decoder is None:
            return True  # a key frame was asked for, and is on its way
        begun_ns = self._clock.now_ns()
        pixels = self._decoder.decode(follow.packet)
        if pixels is None:
            self.lose()
            return False
        if follow.is_hidden:
            return True
        ordinal = self._ring.written
        self._ring.slot(ordinal)[:] = pixels
        if follow.block != self._newest[0]:
            self._link.send(Drawn(follow.block, self._clock.now_ns() - begun_ns))
        self._newest = follow.block, follow.frame
        place = ordinal, follow.frame, follow.block, follow.epoch
        self._ring.publish(FrameMark(*place, self._clock.now_ns(), self._link.sent))
        return True
