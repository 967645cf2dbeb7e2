"""A file that grows by whole pieces, and that one process at a time may write."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows nothing keeps two shows from one session
    fcntl = None  # type: ignore[assignment]


class InUseError(OSError):
    """Another process writes this file."""


class AppendFile:
    """Raises OSError when it cannot be opened, InUseError when another process has it open.

    size: of what it holds. A piece that cannot be written whole is cut off again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                raise InUseError(f"{path} is being written by another show") from None
        self.size = os.fstat(self._file).st_size

    def append(self, piece: bytes) -> None:
        """Write a piece at the end; raises OSError, and then nothing of it stays."""
        left = memoryview(piece)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(piece)

    def cut_off(self, size: int) -> None:
        """Shorten the file to `size` bytes."""
        os.ftruncate(self._file, size)
        self.size = size

    def sync(self) -> None:
        """Return once a power cut could not take what was written."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def is_in_use(path: Path) -> bool:
    """Whether a process has this file open as an AppendFile."""
    if fcntl is None or not path.exists():
        return False
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
