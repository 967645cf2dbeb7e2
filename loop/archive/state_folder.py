"""The sessions of the last shows, which are kept in the user's state folder, few and small."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path

from loop.archive.append_file import is_in_use
from loop.archive.segment import segment_numbers
from loop.archive.writer import LOG

log = logging.getLogger(__name__)
MOST_SESSIONS = 20
MOST_BYTES = 2 << 30  # of all sessions together
MOST_OF_ONE = 1 << 30  # of the latents of one session: 20 minutes of 832x480, weeks of the bundled world
_NAME = "%Y-%m-%d-%H%M%S"


def new_session_folder(root: Path, now: datetime) -> Path:
    """A new folder for a session that begins now; raises OSError."""
    for number in count():
        folder = root / (now.strftime(_NAME) + (f"-{number}" if number else ""))
        try:
            folder.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() does not end")


def session_folders(root: Path) -> list[Path]:
    """The sessions in a folder of sessions, oldest first."""
    if not root.is_dir():
        return []
    folders = [path for path in root.iterdir() if path.is_dir()]
    return sorted(folder for folder in folders if (folder / LOG).is_file() or segment_numbers(folder))


def make_room(root: Path, most: int = MOST_SESSIONS, most_bytes: int = MOST_BYTES) -> None:
    """Remove the oldest sessions beyond `most` and `most_bytes`, but none that is being played, and no other folder."""
    kept, total = 0, 0
    for folder in reversed(session_folders(root)):
        size = session_bytes(folder)
        if kept < most and total + size <= most_bytes:
            kept, total = kept + 1, total + size
        elif _is_ours(folder) and not is_in_use(folder / LOG):
            log.debug("removing the old session %s (%.0f MB)", folder.name, size / 1e6)
            shutil.rmtree(folder, ignore_errors=True)


def session_bytes(folder: Path) -> int:
    """The size of a session's files."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _is_ours(folder: Path) -> bool:
    """Whether the folder was made here: its name is a time."""
    with suppress(ValueError):
        datetime.strptime("-".join(folder.name.split("-")[:4]), _NAME)
        return True
    return False
