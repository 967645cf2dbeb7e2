"""The encoder in a thread of its own, so that no tick waits for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np

from loop.video.h264 import VideoEncoder

MOST_WAITING = 32  # pictures; what comes while so many wait is left out, which later ones do not miss


@dataclass(frozen=True)
class Packet:
    """A picture as H.264. tag: what it was put in with. is_key: decoding can begin with it."""

    tag: Any
    payload: bytes
    is_key: bool


class PictureEncoder(Protocol):
    """Takes pictures and gives packets, in the same order. error: why there will be no more; None while there will."""

    error: Exception | None

    def put(self, pixels: np.ndarray, tag: Any, as_key: bool) -> None:
        """Queue a picture, uint8 [Y, X, 3] RGB, which must not change afterwards.

        as_key: decoding must be able to begin with it.
        """

    def take(self) -> list[Packet]:
        """The packets that are ready."""

    def close(self) -> None:
        """End it; what waits is left out."""


class EncoderThread:
    """A PictureEncoder that works beside its owner: x264 and the conversion let other threads run meanwhile."""

    def __init__(self, picture: tuple[int, int], fps: float) -> None:
        self.error: Exception | None = None
        self._waiting: SimpleQueue[tuple[np.ndarray, Any, bool] | None] = SimpleQueue()
        self._ready: SimpleQueue[Packet] = SimpleQueue()
        self._wants_key = self._is_closed = False
        arguments = picture, fps
        threading.Thread(target=self._run, args=arguments, name="video encoder", daemon=True).start()

    def put(self, pixels: np.ndarray, tag: Any, as_key: bool) -> None:
        """Queue a picture; see PictureEncoder."""
        self._wants_key |= as_key
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put((pixels, tag, self._wants_key))
            self._wants_key = False

    def take(self) -> list[Packet]:
        """The packets that are ready."""
        found = []
        while True:
            try:
                found.append(self._ready.get_nowait())
            except Empty:
                return found

    def close(self) -> None:
        """End it; what waits is left out."""
        self._is_closed = True
        self._waiting.put(None)

    def _run(self, picture: tuple[int, int], fps: float) -> None:
        try:
            encoder = VideoEncoder(picture, fps)
            while (job := self._waiting.get()) is not None and not self._is_closed:
                pixels, tag, as_key = job
                self._ready.put(Packet(tag, *encoder.encode(pixels, as_key)))
        except Exception as error:  # its owner reads it
            self.error = error
