"""What is to go to the page's process: messages, the newest state of each kind, and the newest picture."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


class Outbox:
    """Filled by the window's thread, which it never holds up, and emptied by the one that writes the pipe.

    Pictures go only while somebody watches. A picture that the pipe had no room for before the next came is left out.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: list[dict[str, Any]] = []
        self._states: dict[str, dict[str, Any]] = {}
        self._unsent: set[str] = set()  # kinds of states
        self._picture: np.ndarray | None = None
        self._is_black = self._is_new = self._is_watched = self._is_ending = self._is_broken = False

    def put(self, message: dict[str, Any]) -> None:
        """Send this once."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify()

    def put_state(self, state: dict[str, Any]) -> None:
        """Send this, and again to a process that is started later, unless it is as before."""
        with self._changed:
            if self._states.get(state["kind"]) != state:
                self._states[state["kind"]] = state
                self._unsent.add(state["kind"])
                self._changed.notify()

    def put_picture(self, pixels: np.ndarray | None, is_black: bool) -> None:
        """This is on the screen: uint8 [Y, X, 3], which must not change afterwards; None is the same as before."""
        if pixels is None and is_black == self._is_black:
            return
        with self._changed:
            self._picture = self._picture if pixels is None else pixels
            self._is_black, self._is_new = is_black, self._picture is not None
            if self._is_watched:
                self._changed.notify()

    def watch(self, on: bool) -> None:
        """Whether anybody wants pictures; who begins to watch gets the one that stands."""
        with self._changed:
            self._is_watched, self._is_new = on, self._picture is not None
            self._changed.notify()

    def end(self) -> None:
        """Let the process that runs end, and the writing with it."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()

    def begin(self) -> None:
        """A new process is to be written to: it knows nothing, and nobody watches."""
        with self._changed:
            self._unsent, self._is_watched, self._is_broken = set(self._states), False, False

    def break_off(self) -> None:
        """The process has gone: let the writing to it end."""
        with self._changed:
            self._is_broken = True
            self._changed.notify()

    def write(self, pipe: Connection) -> None:
        """Write what there is to be written, from `begin` until `end` or `break_off`, or until the pipe breaks."""
        with suppress(OSError):
            while not (self._is_ending or self._is_broken):
                messages, picture = self._take()
                for message in messages:
                    pipe.send_bytes(json.dumps(message).encode())
                if picture is not None:
                    height, width = picture.shape[:2]
                    pipe.send_bytes(json.dumps({"pixels": [width, height]}).encode())
                    pipe.send_bytes(np.ascontiguousarray(picture).data.cast("B"))
            pipe.send_bytes(json.dumps({"end": True}).encode())

    def _take(self) -> tuple[list[dict[str, Any]], np.ndarray | None]:
        """Wait for something to send; the messages, and the picture if there is a new one that is watched."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_ending or self._is_broken or self._messages or self._unsent or self._has_picture
            )
            messages = [*(self._states[kind] for kind in sorted(self._unsent)), *self._messages]
            self._unsent.clear()
            self._messages.clear()
            if not self._has_picture or self._picture is None:
                return messages, None
            self._is_new = False
            return messages, np.zeros_like(self._picture) if self._is_black else self._picture

    @property
    def _has_picture(self) -> bool:
        """Whether there is a new picture that somebody watches."""
        return self._is_new and self._is_watched
