"""A fingerprint of the files that a world was loaded from, to notice that a replay has other weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_WHOLE_BYTES = 64 << 20  # larger files count with their size and ends: to read gigabytes would hold up a show
_END_BYTES = 1 << 20


def fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 over name, size and content of each file, of large ones over their ends; empty if there is no file."""
    digest, is_empty = hashlib.sha256(), True
    for path in sorted(files):
        size, is_empty = path.stat().st_size, False
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_BYTES:
                digest.update(file.read())
            else:
                digest.update(file.read(_END_BYTES))
                file.seek(-_END_BYTES, 2)
                digest.update(file.read())
    return "" if is_empty else digest.hexdigest()
