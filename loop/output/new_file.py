"""Files that no other is overwritten for."""

from __future__ import annotations

from itertools import count
from pathlib import Path


def create_new(path: Path) -> Path:
    """Create an empty file that was not there: `path`, or else the first of NAME-1, NAME-2 ... that is free.

    Returns the path of the file. Raises OSError if none can be created.
    """
    for number in count():
        candidate = path.with_stem(f"{path.stem}-{number}") if number else path
        try:
            candidate.open("xb").close()
        except FileExistsError:
            continue
        return candidate
    raise AssertionError("count() does not end")
