"""The set list of a show: its cues, which was fired last, and the file that may be saved again while it plays."""

from __future__ import annotations

import os
from pathlib import Path

from input.cues import Cue, CueError, read_cues

LOOK_NS = 250_000_000  # between two looks at the file

_Look = tuple[int, int]  # time of the last change in ns, and size in bytes


class SetList:
    """Cues from a file, loaded again when it is saved. Raises CueError if they cannot be read at the beginning.

    Owned by the cue desk. cues: those in force. newest: the index of the cue that was fired last, -1 before the first.
    trouble: why the file as it is now was not loaded, in one line; the cues before it stay in force.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded = self._seen = _look_at(path)
        self.cues = read_cues(path)
        self.newest = -1
        self.trouble = ""
        self._looked_ns: int | None = None

    def refresh(self, now_ns: int) -> bool:
        """Load the file if it was saved; whether the cues or the trouble have changed.

        It is read once two looks in a row have found it the same, since an editor may still be writing it.
        """
        if self._looked_ns is not None and now_ns - self._looked_ns < LOOK_NS:
            return False
        self._looked_ns = now_ns
        found = _look_at(self.path)
        is_settled, self._seen = found == self._seen, found
        if not is_settled or found == self._loaded:
            return False
        self._loaded = found
        try:
            self._replace(read_cues(self.path))
            self.trouble = ""
        except CueError as error:
            self.trouble = f"{error}; the cues before it stay"
        return True

    def fired(self, index: int) -> None:
        """Cue number `index` was fired: the one after it is the next."""
        self.newest = min(index, len(self.cues) - 1)  # the file may have become shorter while the cue waited

    @property
    def following(self) -> int | None:
        """The index of the next cue; None after the last."""
        return self.newest + 1 if self.newest + 1 < len(self.cues) else None

    @property
    def preceding(self) -> int | None:
        """The index of the cue before the newest; None if there is none."""
        return self.newest - 1 if self.newest > 0 else None

    def _replace(self, cues: tuple[Cue, ...]) -> None:
        """Put `cues` in force; the newest keeps its place by its name, if that is still there."""
        names = [cue.name for cue in cues]
        if self.newest >= 0:
            name = self.cues[self.newest].name
            self.newest = names.index(name) if name in names else min(self.newest, len(cues) - 1)
        self.cues = cues


def _look_at(path: Path) -> _Look | None:
    """When the file was changed and its size; None while it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
