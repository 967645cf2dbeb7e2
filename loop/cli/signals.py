"""Signals that ask a command to end, and words for people that are lost without harm.

A command that is interrupted (SIGINT, as of Ctrl+C), terminated (SIGTERM) or whose terminal is closed (SIGHUP) ends the
processes that it has started, closes its files and removes its temporary ones. Its exit status is 128 and the signal's
number, as a shell shows it: 130, 143, 129; and 141 if nobody reads its output any more (SIGPIPE).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "ended, since the terminal was closed"}
ENDING = {
    getattr(signal, name): word for name, word in _WORDS.items() if hasattr(signal, name)
}  # not all are everywhere
CLOSED_PIPE = 128 + 13
PATIENCE_S = 1.0  # a second signal within this time is the same one, sent to the group as well; a later one kills
LONGEST_LOAD_S, AGAIN_S = 10.0, 0.02  # how long a signal waits for an import in all, and each time


class Interrupted(KeyboardInterrupt):
    """A signal has asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(ENDING[number])
        self.status = 128 + number


class SignalWatch:
    """Raises Interrupted in the main thread at the first signal of ENDING. One at a time, owned by the command.

    received: what was raised, None so far. It is looked at after any other error too: a library that is interrupted
    while it is being loaded may turn the interruption into an error of its own.
    """

    def __init__(self) -> None:
        self.received: Interrupted | None = None
        self._asked_s = self._at_s = 0.0  # when a signal came first, and when it was raised
        self._before: dict[int, Any] = {}
        self._hook: Callable[[Any], object] = sys.unraisablehook

    def __enter__(self) -> SignalWatch:
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup, and in the background of a script
                self._before[number] = signal.signal(number, self._handle)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._send_again
        return self

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._asked_s = self._asked_s or time.monotonic()
        if self.received is None and _is_loading(frame) and time.monotonic() - self._asked_s < LONGEST_LOAD_S:
            # a library of compiled code may abort the process over an error in what it calls while it is loaded
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), number)).start()
            return
        if self.received is None:
            self.received, self._at_s = Interrupted(number), time.monotonic()
            raise self.received
        if time.monotonic() - self._at_s > PATIENCE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _send_again(self, unraisable: Any) -> None:
        """Python drops an exception that is raised in a callback, as at the end of an import: raise it once more."""
        if unraisable.exc_value is not self.received or self.received is None:
            self._hook(unraisable)
            return
        number, self.received = self.received.status - 128, None
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()


def _is_loading(frame: FrameType | None) -> bool:
    """Whether a module is being imported where a signal came."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def end_quietly_from_now_on() -> None:
    """Let signals end this process by themselves, since nothing is left to be closed; and let no library say a word.

    One that was interrupted while it was being loaded would write to the log at exit.
    """
    import logging  # here, since this file is to be loaded at once

    logging.disable()
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def sheltered() -> Iterator[None]:
    """Processes that are started inside do not get the terminal's signals: this process decides when they end.

    Ctrl+C goes to the whole group, and Python in a child would answer with a traceback until it has its own handler.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_stdin() -> None:
    """Ask this process to end, as SIGTERM does, once its standard input is closed: whoever started it has gone."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end with stdin", daemon=True).start()


def tell(line: str, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print a line for people on `stream` (None: stdout) at once. If nobody can read it any more, nothing happens."""
    with suppress(OSError):
        print(line, file=stream or sys.stdout, end=end)
    flush_or_drop(stream or sys.stdout)


def flush_or_drop(stream: TextIO | None) -> None:
    """Write what `stream` still holds; if its other end is closed, drop that and all that follows, without a word."""
    if stream is None:  # Python was started without it
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)
