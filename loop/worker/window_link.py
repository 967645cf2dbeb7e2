"""The model's process talks to the window's process through this."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loop.link.message import Stage
from loop.link.pipe import Pipe


class WindowLink:
    """The pipe to the window's process. Owned by the model's process.

    pipe: to read from; messages are sent with `send` only. sent: how many were sent.
    """

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.sent = 0

    def send(self, message: Any) -> None:
        """Tell the window's process."""
        self.pipe.send(message)
        self.sent += 1

    def stamp(self, stage: str, t_ns: int, numbers: Iterable[int]) -> None:
        """Tell that the events with these numbers reached `stage`."""
        for number in numbers:
            self.send(Stage(number, stage, t_ns))
