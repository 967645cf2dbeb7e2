"""The page for phones as the window's process holds it: it is started again if it dies, and never holds up a tick."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np

from input.action import FireCue
from loop.web.outbox import Outbox

log = logging.getLogger(__name__)
AGAIN_S = 1.0  # between the death of the process and the next one; longer each time
LONGEST_AGAIN_S = 30.0
PATIENCE_S = 3.0  # for its end
FACTS_NS = 200_000_000  # between two looks at what phones are to be told


class Life(Protocol):
    """The process, as multiprocessing has it."""

    def join(self, timeout: float | None = None) -> object: ...

    def kill(self) -> object: ...


class Phones:
    """An instrument that fires cues, and an output that takes pictures. Owned by the show.

    start: starts the process; its life, and this end of its pipe. facts: called for what phones are to be told.
    waiting: the words of the audience that wait, oldest first, each with a name.
    """

    name = "page"

    def __init__(self, start: Callable[[], tuple[Life, Connection]]) -> None:
        self.facts: Callable[[], list[dict[str, Any]]] = list
        self.waiting: list[tuple[str, str]] = []
        self._start = start
        self._heard: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._outbox = Outbox()
        self._facts_ns = 0
        self._is_closing = threading.Event()
        self._life: Life | None = None
        self._thread = threading.Thread(target=self._run, name="phones", daemon=True)
        self._thread.start()

    def poll(self, now_ns: int) -> list[tuple[FireCue, int]]:
        """The cues that operators fire at their phones; also tells the phones what has changed."""
        found = []
        with suppress(Empty):
            while True:
                heard = self._heard.get_nowait()
                if "cue" in heard:
                    found.append((FireCue(heard["cue"]), now_ns))
                else:
                    self._note_waiting([(name, words) for name, words in heard["waiting"]])
        if now_ns - self._facts_ns >= FACTS_NS:
            self._facts_ns = now_ns
            for state in self.facts():
                self._outbox.put_state(state)
        return found

    def show(self, pixels: np.ndarray | None, is_black: bool) -> None:
        """This is on the screen now: uint8 [Y, X, 3], which must not change afterwards; None is the same as before."""
        self._outbox.put_picture(pixels, is_black)

    def decide(self, let_in: bool) -> None:
        """Let the oldest words of the audience in, or refuse them."""
        self._outbox.put({"decide": let_in})

    @property
    def text(self) -> str:
        """One line for the operator on what waits; empty if nothing does."""
        if not self.waiting:
            return ""
        name, words = self.waiting[0]
        more = f" (and {len(self.waiting) - 1} more)" if len(self.waiting) > 1 else ""
        return f"{name or 'somebody'} asks for: {words}{more} · Y lets it in, X refuses"

    def close(self) -> None:
        """End the process."""
        self._is_closing.set()
        self._outbox.end()
        self._thread.join(PATIENCE_S)
        if self._life and self._thread.is_alive():
            self._life.kill()
            self._thread.join()

    def _note_waiting(self, waiting: list[tuple[str, str]]) -> None:
        if len(waiting) > len(self.waiting):
            log.info("%s in the audience asks for: %s", waiting[-1][0] or "somebody", waiting[-1][1])
        self.waiting = waiting

    def _run(self) -> None:
        """Life after life of the process, until the show ends."""
        deaths = 0
        while not self._is_closing.is_set():
            self._outbox.begin()
            self._life, pipe = self._start()
            writer = threading.Thread(target=self._outbox.write, args=(pipe,), name="phones' writer", daemon=True)
            writer.start()
            self._listen(pipe)
            if not self._is_closing.is_set():
                deaths += 1
                log.warning("the page for phones has died: it is started again")
                self._is_closing.wait(min(AGAIN_S * deaths, LONGEST_AGAIN_S))
            self._life.kill()
            self._life.join()
            self._outbox.leave()
            writer.join()
            pipe.close()
            self._heard.put({"waiting": []})

    def _listen(self, pipe: Connection) -> None:
        """Hear what the process says, until it ends."""
        with suppress(EOFError, OSError):
            while True:
                heard = json.loads(pipe.recv_bytes())
                if "watched" in heard:
                    self._outbox.watch(heard["watched"])
                else:
                    self._heard.put(heard)
