"""The model's process as the window's process holds it: it is started, sent messages, listened to, and ended.

A reader and a writer thread serve the pipe, so that neither a full pipe nor half a message can hold up a tick.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from loop.link.message import Close, Died
from loop.worker import process as worker
from world.options import WorldOptions

log = logging.getLogger(__name__)


class Process(Protocol):
    """One life of the model's process."""

    def send(self, message: Any) -> None:
        """Queue a message; returns at once."""

    def receive(self) -> list[Any]:
        """Every message that has arrived since the last call; after `Died` there is none."""

    def close(self) -> None:
        """End the process and give back what it holds; it may have ended already."""

    def kill(self) -> None:
        """The same at once, without waiting for it, even if it hangs."""


class ModelProcess:
    """A Process of the system. It is spawned, never forked: CUDA and threads do not survive a fork."""

    def __init__(self, options: WorldOptions) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.run_process, args=(theirs, options), name="neverblink model", daemon=True
        )
        self._process.start()
        theirs.close()  # so that the pipe breaks here when the process dies
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._outbox: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_read, args=(self._pipe, self._inbox), name="model reader", daemon=True).start()
        threading.Thread(target=_write, args=(self._pipe, self._outbox), name="model writer", daemon=True).start()

    def send(self, message: Any) -> None:
        """Queue a message; returns at once."""
        self._outbox.put(message)

    def receive(self) -> list[Any]:
        """Every message that has arrived since the last call; after `Died` there is none."""
        messages = []
        while True:
            try:
                messages.append(self._inbox.get_nowait())
            except Empty:
                return messages

    def close(self, patience_s: float = 1.0) -> None:
        """Ask the process to end, and kill it if it has not ended within `patience_s`."""
        self.send(Close())
        self._process.join(patience_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._give_back()

    def kill(self) -> None:
        """The same at once, without waiting for it, even if it hangs."""
        self._process.kill()
        threading.Thread(target=self._reap, name="model reaper", daemon=True).start()

    def _reap(self) -> None:
        self._process.join()
        self._give_back()

    def _give_back(self) -> None:
        self._outbox.put(None)
        self._pipe.close()
        self._process.close()


def _read(pipe: Connection, inbox: SimpleQueue[Any]) -> None:
    try:
        while True:
            inbox.put(pipe.recv())
    except (EOFError, OSError):
        inbox.put(Died())


def _write(pipe: Connection, outbox: SimpleQueue[Any]) -> None:
    try:
        while (message := outbox.get()) is not None:
            pipe.send(message)
    except OSError:
        log.debug("the model's pipe is closed")
