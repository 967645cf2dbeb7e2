"""Words encoded in a thread of their own while blocks go on: a large text encoder on a CPU takes seconds a prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from queue import SimpleQueue
from typing import Any

from loop.link.message import Submit
from world.event import Event


@dataclass(frozen=True)
class Encoded:
    """Events in the order in which they came, and the last one's words encoded at `t_ns`, begun at `begun_ns`.

    The words before the last are given up where they still waited for their turn: no block would be made under them.
    """

    submits: tuple[Submit, ...]
    words: Any
    begun_ns: int
    t_ns: int


class Encoding:
    """Owned by the inbox. encode(event) must touch nothing that the other thread changes.

    ready: can be waited for beside a pipe; it has something to read when `finished` has something to give.
    """

    def __init__(self, encode: Callable[[Event], Any]) -> None:
        self._encode = encode
        self._todo: SimpleQueue[Submit] = SimpleQueue()
        self._done: SimpleQueue[Encoded | Exception] = SimpleQueue()
        self.ready, self._bell = Pipe(duplex=False)
        threading.Thread(target=self._work, name="encode words", daemon=True).start()

    def begin(self, submit: Submit) -> None:
        """Encode the words of this event; returns at once."""
        self._todo.put(submit)

    def finished(self) -> list[Encoded]:
        """What was encoded since the last call; raises what went wrong in the thread."""
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
                begun_ns = time.perf_counter_ns()
                words = self._encode(submits[-1].event)
                self._done.put(Encoded(tuple(submits), words, begun_ns, time.perf_counter_ns()))
            except Exception as error:  # raised again where the results are asked for
                self._done.put(error)
            self._bell.send_bytes(b"1")
