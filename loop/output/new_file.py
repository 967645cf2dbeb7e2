"""Files that no other is overwritten for, unless the user allows it, and that are never seen half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


class NewFile:
    """A file that is written under another name beside its place, and put there as a whole once it is complete.

    part: the temporary file, which exists. path: where the file is; before `publish`, where it is to be.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path.resolve() if path.is_symlink() else path  # the link stays, and leads to the new file
        self._overwrite = overwrite
        self.part = create_new(self.path.with_name(self.path.name[:200] + ".part"))

    def publish(self) -> None:
        """Put the file in its place; if that was taken meanwhile and may not be overwritten, in one named after it."""
        if not self._overwrite:
            self.path = create_new(self.path)
        os.replace(self.part, self.path)


@contextmanager
def whole_file(path: Path, overwrite: bool) -> Iterator[NewFile]:
    """A NewFile, which is published at the end of the block, or removed if the block ends with any error."""
    file = NewFile(path, overwrite)
    try:
        yield file
        file.publish()
    finally:
        file.part.unlink(missing_ok=True)


def write_text(path: Path, text: str, overwrite: bool) -> Path:
    """Write a whole text file; a device or a pipe is written to as it is. Returns its path; raises OSError."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return path
    with whole_file(path, overwrite) as file:
        file.part.write_text(text, encoding="utf-8")
    return file.path
