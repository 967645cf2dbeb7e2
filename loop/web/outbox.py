"""What is to go to the page's process: messages, states when they change, and the newest picture."""

from __future__ import annotations

import json
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

MOST_WAITING = 1_000  # messages, for a process that hangs; what is more is lost
_PICTURE, _END = "picture", "end"


class Outbox:
    """Filled by the window's thread, and emptied by the one that writes the pipe. No lock: no tick waits for a writer.

    Pictures go only while somebody watches. A picture that the pipe had no room for before the next came is left out.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[dict[str, Any] | str] = SimpleQueue()
        self._states: dict[str, dict[str, Any]] = {}
        self._picture: np.ndarray | None = None
        self._is_black = self._is_watched = self._is_pending = self._is_ended = False

    def put(self, message: dict[str, Any]) -> bool:
        """Send this once; whether there was room for it."""
        has_room = self._queue.qsize() < MOST_WAITING
        if has_room:
            self._queue.put(message)
        return has_room

    def put_state(self, state: dict[str, Any]) -> None:
        """Send this, and again to a process that is started later, unless it is as before."""
        if self._states.get(state["kind"]) != state and self.put(state):
            self._states[state["kind"]] = state

    def put_picture(self, pixels: np.ndarray | None, is_black: bool) -> None:
        """This is on the screen: uint8 [Y, X, 3], which must not change afterwards; None is the same as before."""
        if pixels is None and is_black == self._is_black:
            return
        self._picture = self._picture if pixels is None else pixels
        self._is_black = is_black
        self._ask_for_picture()

    def watch(self, on: bool) -> None:
        """Whether anybody wants pictures; who begins to watch gets the one that stands."""
        self._is_watched = on
        self._ask_for_picture()

    def begin(self) -> None:
        """A new process is to be written to: it knows nothing, and nobody watches."""
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        self._is_watched = self._is_pending = False
        for state in list(self._states.values()):
            self.put(state)
        if self._is_ended:
            self.end()

    def end(self) -> None:
        """Let the process end, and the one that is just being started too."""
        self._is_ended = True
        self.leave()

    def leave(self) -> None:
        """Let the writing end, since the process does or has."""
        self._queue.put(_END)

    def write(self, pipe: Connection) -> None:
        """Write what there is to be written, from `begin` until `end`, or until the pipe breaks."""
        with suppress(OSError):
            while (message := self._queue.get()) != _END:
                if message == _PICTURE:
                    self._is_pending = False  # first, so that a picture that comes from now on is asked for again
                    self._write_picture(pipe)
                else:
                    pipe.send_bytes(json.dumps(message).encode())
            pipe.send_bytes(json.dumps({"end": True}).encode())

    def _ask_for_picture(self) -> None:
        if self._is_watched and not self._is_pending:
            self._is_pending = True
            self._queue.put(_PICTURE)

    def _write_picture(self, pipe: Connection) -> None:
        picture = self._picture
        if picture is not None and self._is_watched:
            height, width = picture.shape[:2]
            shown = np.zeros_like(picture) if self._is_black else np.ascontiguousarray(picture)
            pipe.send_bytes(json.dumps({"pixels": [width, height]}).encode())
            pipe.send_bytes(shown.data.cast("B"))
