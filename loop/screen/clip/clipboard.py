"""The clipboard, read in a thread, because its owner is another program that may answer slowly or never."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

log = logging.getLogger(__name__)


class ClipboardReader:
    """Reads text with `read`, which may take its time, while the ticks go on. Owned by the window."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._is_reading = False

    def ask(self) -> None:
        """Begin to read, unless an answer is on its way already; returns at once."""
        if not self._is_reading:
            self._is_reading = True
            threading.Thread(target=self._work, name="read clipboard", daemon=True).start()

    def answer(self) -> str | None:
        """The text that was asked for, once; None while there is none. It is empty if the clipboard holds no text."""
        try:
            text = self._answers.get_nowait()
        except Empty:
            return None
        self._is_reading = False
        return text

    def _work(self) -> None:
        text = ""
        try:
            text = self._read()
        except OSError as error:
            log.warning("the clipboard cannot be read: %s", error)
        finally:
            self._answers.put(text)
