"""The pipe between the two processes, as far as either end uses it."""

from __future__ import annotations

from typing import Any, Protocol


class Pipe(Protocol):
    """One end of a two-way pipe of messages. multiprocessing's Connection is one."""

    def send(self, message: Any, /) -> None:
        """Give the other end a message; raises OSError when the other end is closed."""

    def recv(self) -> Any:
        """Wait for the next message; raises EOFError when the other end is closed and all was read."""

    def poll(self, timeout: float = 0.0, /) -> bool:
        """Whether there is a message to read, waiting up to `timeout` seconds for one."""
