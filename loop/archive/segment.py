"""The files of latents: each record is the block's line of the log, and after it the latents and averages as bytes.

So a file can be read without the log, and the log can be made again from these files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loop.archive.record import BlockRecord, Fields, SessionHeader, header_of, record_of, unseal

SEGMENT_BYTES = 8 << 20  # a file that has grown so large is followed by the next one
_LINES = (b'{"kind": "header"', b'{"kind": "block"')


class LatentsLostError(ValueError):
    """The latents or the averages of a block cannot be read; the message says why."""


@dataclass(frozen=True)
class Place:
    """Where a block's latents are: which file, and at which byte of it."""

    segment: int
    offset: int


def segment_path(folder: Path, number: int) -> Path:
    """The file of segment `number`."""
    return folder / f"latents-{number:05d}.bin"


def segment_numbers(folder: Path) -> list[int]:
    """The segments that are there, in order."""
    names = (path.stem.removeprefix("latents-") for path in folder.glob("latents-*.bin"))
    return sorted(int(name) for name in names if name.isdigit())


def read_latents(folder: Path, record: BlockRecord, place: Place) -> np.ndarray:
    """The latents of a block, shape and dtype as they were made; raises LatentsLostError if they are not as written."""
    path, what = segment_path(folder, place.segment), f"the latents of block {record.index}"
    stored = _read(path, place.offset, record.size_bytes, record.digest, what)
    return np.frombuffer(stored, record.dtype).reshape(record.shape)


def read_averages(folder: Path, record: BlockRecord, place: Place) -> np.ndarray | None:
    """The averages of a block as they were made; None where it has none. Raises LatentsLostError as `read_latents`."""
    if record.averages is None:
        return None
    path, what = segment_path(folder, place.segment), f"the averages of block {record.index}"
    own = record.averages
    stored = _read(path, place.offset + record.size_bytes, own.size_bytes, own.digest, what)
    averages = np.frombuffer(stored, "<f4").reshape(own.shape)
    if not np.isfinite(averages).all():
        raise LatentsLostError(f"{path.name}: {what} are not finite")
    return averages


def _read(path: Path, offset: int, size_bytes: int, digest: str, what: str) -> bytearray:
    """So many bytes of a file, writable, since torch wants them so."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            stored = file.read(size_bytes)
    except OSError as error:
        raise LatentsLostError(f"{path.name}: {error.strerror or error}") from None
    if len(stored) < size_bytes:
        raise LatentsLostError(f"{path.name} ends within {what}")
    if hashlib.sha256(stored).hexdigest() != digest:
        raise LatentsLostError(f"{path.name}: {what} are damaged")
    return bytearray(stored)


def scan_segment(folder: Path, number: int, offset: int = 0) -> Iterator[tuple[SessionHeader | BlockRecord, Place]]:
    """What stands in a segment from byte `offset` on, as far as it can be read; a damaged record is passed over."""
    path = segment_path(folder, number)
    try:
        content = path.read_bytes()
    except OSError:
        return
    at = offset
    while 0 <= at < len(content):
        end = content.find(b"\n", at) + 1
        found = _read_line(content[at:end]) if end else None
        if isinstance(found, BlockRecord) and end + found.stored_bytes <= len(content):
            yield found, Place(number, end)
            at = end + found.stored_bytes
        elif isinstance(found, SessionHeader):
            yield found, Place(number, at)
            at = end
        else:
            at = min((place for mark in _LINES if (place := content.find(mark, at + 1)) >= 0), default=-1)


def _read_line(line: bytes) -> SessionHeader | BlockRecord | None:
    with suppress(ValueError, KeyError, TypeError):
        fields: Fields = unseal(line)
        if fields["kind"] == "block":
            return record_of(fields)
        if fields["kind"] == "header":
            return header_of(fields)
    return None
