"""Prompts encoded in a thread of their own while blocks go on: a large text encoder on a CPU takes seconds a prompt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any

from loop.link.message import Submit
from loop.timing.clock import Clock
from world.event import Event


@dataclass(frozen=True)
class Encoded:
    """Events in the order in which they came, and the encoded words of the last one.

    The words of the earlier ones were still waiting for the encoder when the last one came, and were not encoded: no
    block would be made under them. begun_ns, t_ns: when the encoding began and ended.
    """

    submits: tuple[Submit, ...]
    words: Any
    begun_ns: int
    t_ns: int


class Encoding:
    """A thread that encodes prompts one after the other. Owned by the inbox.

    encode(event): called in that thread, so it must not touch what other threads change. ready: a pipe's end that can
    be waited for; it has something to read when `finished` has something to return.
    """

    def __init__(self, encode: Callable[[Event], Any], clock: Clock) -> None:
        self._encode, self._clock = encode, clock
        self._todo: SimpleQueue[Submit] = SimpleQueue()
        self._done: SimpleQueue[Encoded | Exception] = SimpleQueue()
        self.ready, self._bell = Pipe(duplex=False)
        threading.Thread(target=self._work, name="encode words", daemon=True).start()

    def begin(self, submit: Submit) -> None:
        """Have the words of this event encoded; returns at once."""
        self._todo.put(submit)

    def finished(self) -> list[Encoded]:
        """What was encoded since the last call; raises what was raised in the thread."""
        found = []
        while self.ready.poll():
            self.ready.recv_bytes()
            done = self._done.get()
            if isinstance(done, Exception):
                raise done
            found.append(done)
        return found

    def _work(self) -> None:
        while True:
            submits = [self._todo.get()]
            while not self._todo.empty():
                submits.append(self._todo.get())
            try:
                begun_ns = self._clock.now_ns()
                words = self._encode(submits[-1].event)
                self._done.put(Encoded(tuple(submits), words, begun_ns, self._clock.now_ns()))
            except Exception as error:  # raised again where the results are asked for
                self._done.put(error)
            self._bell.send_bytes(b"1")
