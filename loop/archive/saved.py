"""A saved session as it is read: what is whole of it can be used, and what is damaged is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loop.archive.append_file import AppendFile, InUseError, is_in_use
from loop.archive.record import (
    BlockRecord,
    Fields,
    SessionError,
    SessionHeader,
    header_of,
    record_of,
    seal,
    unseal,
)
from loop.archive.segment import (
    LatentsLostError,
    Place,
    read_latents,
    scan_segment,
    segment_numbers,
    segment_path,
)
from loop.archive.writer import LOG
from loop.link.message import BlockMade
from world.event import Dial, Event, Prompt, Scene, from_json


@dataclass(frozen=True)
class Asked:
    """An event that was asked for.

    after: the newest block at that time, -1 before the first. at_s: as in BlockRecord.
    """

    event: Event
    source: str
    after: int
    at_s: float


@dataclass
class SavedSession:
    """A session folder as it was read.

    headers: of each time that the session was played, oldest first. blocks: by number, those that were taken back or
    rewound included. tip: the newest block that was not; -1 for none. left: the tips that were rewound from. asked:
    every event, in order. bookmarks: blocks by name. log_end: the bytes of the log up to its last whole line.
    recovered: blocks that only the files of latents know of. damage: what cannot be read, one line each.
    """

    folder: Path
    headers: list[SessionHeader] = field(default_factory=list)
    blocks: dict[int, BlockRecord] = field(default_factory=dict)
    tip: int = -1
    left: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    bookmarks: dict[str, int] = field(default_factory=dict)
    log_end: int = 0
    recovered: list[int] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    _places: dict[int, Place] = field(default_factory=dict)
    _kept: list[int] = field(default_factory=list)  # of each drop since the session was last begun
    _given_up: set[int] = field(default_factory=set)  # segments that had no room

    @property
    def header(self) -> SessionHeader:
        """What the session was begun with."""
        return self.headers[0]

    def latents(self, index: int) -> np.ndarray:
        """The latents of a block as they were made; raises LatentsLostError where they cannot be read."""
        if index not in self._places:
            raise LatentsLostError(f"no file of latents holds block {index}")
        return read_latents(self.folder, self.blocks[index], self._places[index])

    def line(self, tip: int | None = None) -> list[BlockRecord]:
        """The blocks that follow one another up to `tip` (None: the newest), oldest first, over hard cuts too."""
        index, found = self.tip if tip is None else tip, list[BlockRecord]()
        while index in self.blocks:
            found.append(self.blocks[index])
            index = found[-1].parent
        return found[::-1]

    def made(self, tip: int, most: int) -> tuple[BlockMade, ...]:
        """The newest blocks up to `tip`, at most so many, to go on from; none from before a hard cut or a lost block.

        Raises LatentsLostError if `tip` itself is lost.
        """
        found: list[BlockMade] = []
        for record in reversed(self.line(tip)[-most:]):
            try:
                latents = self.latents(record.index)
            except LatentsLostError:
                if not found:
                    raise
                break
            found.append(BlockMade(record.block(latents), record.conditions, 0, 0))
            if record.start == 0:
                break
        return tuple(reversed(found))

    @property
    def words(self) -> str | None:
        """The newest words that were asked for; None if there were none."""
        texts = [asked.event.text for asked in self.asked if isinstance(asked.event, Prompt | Scene)]
        return texts[-1] if texts else None

    @property
    def dials(self) -> dict[str, float]:
        """The newest values of every dial that was asked for, of the world and of the display."""
        return {asked.event.name: asked.event.value for asked in self.asked if isinstance(asked.event, Dial)}

    def take_line(self, fields: Fields) -> None:
        """Take over what a line of the log tells; raises ValueError, KeyError or TypeError if it makes no sense."""
        kind = fields["kind"]
        if kind == "header":
            self.headers.append(header_of(fields))
            self._kept = []
        elif kind == "block":
            self._take_block(record_of(fields))
            self._places[fields["index"]] = Place(fields["segment"], fields["offset"])
        elif kind == "drop":
            self._kept.append(fields["kept"])
            self.tip = fields["kept"]
        elif kind == "back":
            self.left.append(self.tip)
            self._kept.append(-1)  # what was under way then counts no more
            self.tip = fields["to"]
        elif kind == "bookmark":
            self.bookmarks[fields["name"]] = fields["block"]
        elif kind == "given up":
            self._given_up.add(fields["segment"])
        elif kind == "asked":
            after = max(self.blocks, default=-1)
            self.asked.append(Asked(from_json(fields["event"]), fields["source"], after, fields["at_s"]))

    def take_found(self, found: SessionHeader | BlockRecord, place: Place) -> None:
        """Take over what a file of latents tells and the log does not."""
        if isinstance(found, SessionHeader):
            if not self.headers:
                self.headers.append(found)
            return
        if found.index not in self.blocks:
            self._take_block(found)
            self.recovered.append(found.index)
        self._places.setdefault(found.index, place)

    def _take_block(self, record: BlockRecord) -> None:
        is_newest = record.index > max(self.blocks, default=-1)  # else it was lost from the log and is found again
        self.blocks[record.index] = record
        if is_newest and not any(record.index > kept for kept in self._kept[record.epoch :]):
            self.tip = record.index


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
    for index, place in saved._places.items():
        ends[place.segment] = max(ends.get(place.segment, 0), place.offset + saved.blocks[index].size_bytes)
    there = segment_numbers(saved.folder)
    for number in sorted(set(ends) - set(there) - saved._given_up):
        lost = [index for index, place in saved._places.items() if place.segment == number]
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
    """Read the latents of every block, and name those that are not as they were written. Missing files are left out."""
    found, there = [], set(segment_numbers(saved.folder))
    for index, place in saved._places.items():
        try:
            if place.segment not in there:
                continue
            saved.latents(index)
        except LatentsLostError as error:
            found.append(str(error))
    return found


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
        place = saved._places[index]
        log.append(seal({**saved.blocks[index].fields(), "segment": place.segment, "offset": place.offset}))
    if at not in (None, saved.tip):
        log.append(seal({"kind": "back", "to": at}))
    return log
