"""The model's process talks to the window's process through this."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import Any

from loop.link.message import Beat, Opening, Stage
from loop.link.pipe import Pipe


class WindowLink:
    """The pipe to the window's process. Owned by the model's process.

    pipe: to read from; messages are sent with `send` only, by any thread. sent: how many were, Beats
    and what is told of the opening left out: the window's process counts from Opened on.
    """

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.sent = 0
        self._lock = Lock()

    def send(self, message: Any) -> None:
        """Tell the window's process."""
        with self._lock:
            self.pipe.send(message)
            self.sent += 1

    def beat(self) -> None:
        """Say that the process runs. A Beat may come between any other messages, and is not counted in `sent`."""
        with self._lock:
            self.pipe.send(Beat())

    def tell_opening(self, what: str) -> None:
        """Say how far the opening is. It is not counted in `sent`."""
        with self._lock:
            self.pipe.send(Opening(what))

    def stamp(self, stage: str, t_ns: int, numbers: Iterable[int]) -> None:
        """Tell that the events with these numbers reached `stage`."""
        for number in numbers:
            self.send(Stage(number, stage, t_ns))
