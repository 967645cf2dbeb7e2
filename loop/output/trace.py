"""The trace: JSON Lines of what was shown and what became of each event (design, section 9). Written off the tick."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any


class Trace:
    """Lines go to a thread that owns the file; `put` only queues. `path` None: nothing is kept.

    Raises OSError at once when the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            file = path.open("w", encoding="utf-8", buffering=1 << 16)
            self._thread = threading.Thread(target=self._write, args=(file,), name="trace", daemon=True)
            self._thread.start()

    def put(self, kind: str, **fields: Any) -> None:
        """One line, `kind` first."""
        if self._thread:
            self._lines.put({"kind": kind, **fields})

    def close(self) -> None:
        """Write what is queued and close the file."""
        if self._thread:
            self._lines.put(None)
            self._thread.join()

    def _write(self, file: Any) -> None:
        with file:
            while (line := self._lines.get()) is not None:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                if self._lines.empty():
                    file.flush()
