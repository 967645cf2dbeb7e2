"""The trace: JSON Lines that tell what was shown at each tick and what happened to each event (design, section 9)."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

MOST_WAITING = 20_000  # lines, five minutes of a show: while more wait for the disk, new ones are left out
FINISH_S = 20.0  # the longest time that the end of a show waits for the disk
_BATCH = 1_000  # lines that are written together at most

Line = dict[str, object]


class Trace:
    """Writes lines to a file on a thread of its own, so that `put` never waits for a disk.

    path: the file; None keeps nothing. Raises OSError at once if the file cannot be opened, and FileExistsError if it
    is there already and `overwrite` is not set; a device or a pipe may be there.

    written, lost: how many lines are in the file, and how many never will be. error: what the writing failed at. After
    an error nothing more is written, since a trace with a hole would mislead; the file then ends with its last whole
    line.
    """

    def __init__(self, path: Path | None, overwrite: bool = False) -> None:
        self.path = path
        self.written = self.lost = 0
        self.error: Exception | None = None
        self._put = 0
        self._lines: SimpleQueue[Line | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            file = _open(path, overwrite)
            self._thread = threading.Thread(target=self._run, args=(file,), name="trace", daemon=True)
            self._thread.start()

    def put(self, kind: str, **fields: object) -> None:
        """Add one line: a JSON object with `kind` first. The fields must be JSON values."""
        if self._thread is None:
            return
        if self.error or self._put - self.written >= MOST_WAITING:
            self.lost += 1
            return
        self._put += 1
        self._lines.put({"kind": kind, **fields})

    @property
    def trouble(self) -> str:
        """What the trace failed at, in one line; empty as long as all is well."""
        if self.error:
            return f"the trace {self.path} stopped: {getattr(self.error, 'strerror', None) or self.error}"
        return f"the trace {self.path} leaves out lines: the disk is too slow" if self.lost else ""

    def close(self, patience_s: float = FINISH_S) -> None:
        """Write the lines still queued and close the file; gives up after `patience_s`. Afterwards `lost` is final.

        A file in which nothing was written is removed again.
        """
        if self._thread is None:
            return
        self._lines.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive() and not self.error:
            self.error = TimeoutError(f"the file was not written within {patience_s:g} s")
        if self.error:
            self.lost += self._put - self.written
            self._put = self.written
        if self.path and not self.written and self.path.is_file():
            with suppress(OSError):
                self.path.unlink()

    def _run(self, file: int) -> None:
        try:
            try:
                self._write(file)
            finally:
                os.close(file)
        except Exception as error:  # `trouble` tells the show
            self.error = error

    def _write(self, file: int) -> None:
        """Write what is queued, as many lines at once as wait, until `close`."""
        has_ended = False
        while not has_ended:
            batch = [self._lines.get()]
            while len(batch) < _BATCH and not self._lines.empty():
                batch.append(self._lines.get())
            has_ended = None in batch
            self._write_batch(file, [_encode(line) for line in batch if line is not None])

    def _write_batch(self, file: int, lines: list[bytes]) -> None:
        """Write lines; at an error, those that are whole count as written, and the rest of a broken one is cut off."""
        left = memoryview(b"".join(lines))
        size, done = len(left), 0
        try:
            while done < size:
                done += os.write(file, left[done:])
        finally:
            whole = bytes(left[:done]).count(b"\n")
            self.written += whole
            if done < size:
                with suppress(OSError):  # a pipe cannot be shortened
                    os.ftruncate(file, os.lseek(file, 0, os.SEEK_CUR) - done + sum(map(len, lines[:whole])))


def _open(path: Path, overwrite: bool) -> int:
    if path.exists() and not path.is_file():  # a device or a pipe: without a reader, a pipe is an error and no wait
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(file, True)
        return file
    return os.open(path, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL), 0o666)


def _encode(line: Line) -> bytes:
    """The line in UTF-8. What is no character, such as half a surrogate pair, stays a JSON escape."""
    return (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
