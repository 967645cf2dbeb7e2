"""The trace: JSON Lines that tell what was shown at each tick and what happened to each event (design, section 9)."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import TextIO


class Trace:
    """Writes lines to a file on a thread of its own, so that `put` never waits for a disk.

    path: the file; None keeps nothing. Raises OSError at once if the file cannot be opened for writing.
    """

    def __init__(self, path: Path | None) -> None:
        self._lines: SimpleQueue[dict[str, object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            file = path.open("w", encoding="utf-8", buffering=1 << 16)
            self._thread = threading.Thread(target=self._write, args=(file,), name="trace", daemon=True)
            self._thread.start()

    def put(self, kind: str, **fields: object) -> None:
        """Add one line: a JSON object with `kind` first. The fields must be JSON values."""
        if self._thread:
            self._lines.put({"kind": kind, **fields})

    def close(self) -> None:
        """Write the lines still queued and close the file."""
        if self._thread:
            self._lines.put(None)
            self._thread.join()

    def _write(self, file: TextIO) -> None:
        with file:
            while (line := self._lines.get()) is not None:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                if self._lines.empty():
                    file.flush()
