"""Open the log of a session to write it: of a new one, or of one that goes on."""

from __future__ import annotations

from pathlib import Path

from loop.archive.append_file import AppendFile, InUseError
from loop.archive.record import SessionError, seal
from loop.archive.saved import SavedSession
from loop.archive.writer import LOG


def open_log(folder: Path) -> AppendFile:
    """The log of a new session in `folder`, which is made; raises SessionError where something is there already."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise SessionError(f"{folder} is not empty: go on from the session in it with --resume, or choose another")
        return AppendFile(folder / LOG)
    except OSError as error:
        raise SessionError(f"no session can be saved in {folder}: {error.strerror or error}") from None


def reopen_log(saved: SavedSession, at: int | None = None) -> AppendFile:
    """The log of a session that goes on, brought in order: a torn end is cut off, recovered blocks are written down.

    at: go on from this block, if not from the newest.
    """
    try:
        log = AppendFile(saved.folder / LOG)
    except InUseError:
        raise SessionError(f"{saved.folder} is being played by another show") from None
    except OSError as error:
        raise SessionError(f"the session {saved.folder} cannot be written: {error.strerror or error}") from None
    log.cut_off(saved.log_end)
    if not saved.log_end:
        log.append(seal(saved.header.fields()))
    for index in saved.recovered:
        place = saved.places[index]
        log.append(seal({**saved.blocks[index].fields(), "segment": place.segment, "offset": place.offset}))
    if at not in (None, saved.tip):
        log.append(seal({"kind": "back", "to": at}))
    return log
