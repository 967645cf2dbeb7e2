"""Read a session folder without changing it: what is whole is taken, and what is not is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from loop.archive.append_file import is_in_use
from loop.archive.record import Fields, SessionError, unseal
from loop.archive.saved import SavedSession
from loop.archive.segment import LatentsLostError, scan_segment, segment_numbers, segment_path
from loop.archive.writer import LOG


def read_session(folder: Path) -> SavedSession:
    """Read a session folder without changing it; raises SessionError where there is nothing to go by."""
    saved = SavedSession(folder)
    log = folder / LOG
    if not log.is_file() and not segment_numbers(folder):
        raise SessionError(f"{folder} is no saved session: it has neither {LOG} nor files of latents")
    if log.is_file() and not log.stat().st_size and not segment_numbers(folder):
        raise SessionError(f"nothing was saved yet in {folder}: its show ended before the world was open")
    for line, fields in _lines(saved, log):
        try:
            saved.take_line(fields)
        except (ValueError, KeyError, TypeError) as error:
            saved.damage.append(f"{LOG}, line {line}: {error}")
    _look_into_segments(saved)
    if not saved.headers:
        raise SessionError(f"{folder}: no header is left, neither in {LOG} nor in the files of latents")
    return saved


def _lines(saved: SavedSession, log: Path) -> Iterator[tuple[int, Fields]]:
    """The whole lines of the log with their numbers; names those that are not."""
    try:
        content = log.read_bytes()
    except OSError as error:
        saved.damage.append(f"{LOG}: {error.strerror or error}")
        return
    saved.log_end = content.rfind(b"\n") + 1
    for number, line in enumerate(content[: saved.log_end].splitlines(keepends=True), 1):
        try:
            yield number, unseal(line)
        except ValueError as error:
            saved.damage.append(f"{LOG}, line {number}: {error}")
    if saved.log_end < len(content) and not is_in_use(log):
        saved.damage.append(f"{LOG} ends within a line: its last {len(content) - saved.log_end} bytes are left out")


def _look_into_segments(saved: SavedSession) -> None:
    """Find blocks that the log does not know, and name the files that are missing or shorter than they should be."""
    ends: dict[int, int] = {}
    for index, place in saved.places.items():
        ends[place.segment] = max(ends.get(place.segment, 0), place.offset + saved.blocks[index].stored_bytes)
    there = segment_numbers(saved.folder)
    for number in sorted(set(ends) - set(there) - saved.given_up):
        lost = [index for index, place in saved.places.items() if place.segment == number]
        name = segment_path(saved.folder, number).name
        saved.damage.append(f"{name} is missing: the latents of blocks {lost[0]} to {lost[-1]} are lost")
    for number in there:
        is_known = number in ends and not saved.damage
        for found, place in scan_segment(saved.folder, number, ends[number] if is_known else 0):
            saved.take_found(found, place)
        with suppress(OSError):
            size = segment_path(saved.folder, number).stat().st_size
            if size < ends.get(number, 0):
                missing = ends[number] - size
                saved.damage.append(f"{segment_path(saved.folder, number).name} is {missing} bytes too short")
    if len(saved.recovered) > 1:  # a kill between a block's latents and its line is no damage
        lacks = f"{len(saved.recovered)} blocks from {min(saved.recovered)} on"
        saved.damage.append(f"{LOG} lacks {lacks}, which the files of latents hold")


def damaged_latents(saved: SavedSession) -> list[str]:
    """Read the latents and averages of every block, and name those that are not as they were written.

    Missing files are left out.
    """
    found, there = [], set(segment_numbers(saved.folder))
    for index, place in saved.places.items():
        try:
            if place.segment not in there:
                continue
            saved.latents(index)
            saved.averages(index)
        except LatentsLostError as error:
            found.append(str(error))
    return found
