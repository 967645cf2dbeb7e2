"""A saved session as it is read: what is whole of it can be used, and what is damaged is named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loop.archive.record import BlockRecord, Fields, SessionHeader, header_of, record_of
from loop.archive.segment import LatentsLostError, Place, read_averages, read_latents
from loop.link.message import BlockMade
from world.block import Block
from world.event import Dial, Event, from_json, text_of


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
    cuts: how many latent frames are left of blocks that were cut.
    recovered: blocks that only the files of latents know of. damage: what cannot be read, one line each. places: where
    the latents of each block are. given_up: the files of latents that had no room any more.
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
    places: dict[int, Place] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)
    cuts: dict[int, int] = field(default_factory=dict)
    _kept: list[int] = field(default_factory=list)  # of each drop since the session was last begun

    @property
    def header(self) -> SessionHeader:
        """What the session was begun with."""
        return self.headers[0]

    def latents(self, index: int) -> np.ndarray:
        """The latents of a block as they were made; raises LatentsLostError where they cannot be read."""
        if index not in self.places:
            raise LatentsLostError(f"no file of latents holds block {index}")
        return read_latents(self.folder, self.blocks[index], self.places[index])

    def averages(self, index: int) -> np.ndarray | None:
        """The averages of a block whose latents can be read, as they were made; None where it has none.

        Raises LatentsLostError where they cannot be read.
        """
        return read_averages(self.folder, self.blocks[index], self.places[index])

    def block(self, index: int) -> Block:
        """A block as it was made, without averages that cannot be read; raises LatentsLostError without its latents."""
        latents, averages = self.latents(index), None
        with suppress(LatentsLostError):
            averages = self.averages(index)
        return self.blocks[index].block(latents, averages)

    def line(self, tip: int | None = None) -> list[BlockRecord]:
        """The blocks that follow one another up to `tip` (None: the newest), oldest first, over hard cuts too."""
        index, found = self.tip if tip is None else tip, list[BlockRecord]()
        while index in self.blocks:
            found.append(self.blocks[index])
            index = found[-1].parent
        return found[::-1]

    def latents_shown(self, line: Sequence[BlockRecord]) -> list[int]:
        """How many latent frames of each block of a line are shown: those before the next block, or all."""
        following = [*line[1:], None]
        return [
            after.start - record.start if after and after.start else self.cuts.get(record.index, record.shape[1])
            for record, after in zip(line, following, strict=True)
        ]

    def newest(self, tip: int, blocks: int, end: int = 0) -> list[BlockRecord]:
        """The newest blocks up to `tip`, oldest first: as many latent frames as so many whole blocks have.

        end: the latent frame at which `tip` is cut; 0: it is whole.
        """
        line, found, frames = self.line(tip), list[BlockRecord](), 0
        for record in reversed(line):
            if frames >= blocks * line[-1].shape[1]:
                break
            frames += (end or record.end) - record.start
            found.insert(0, record)
            end = record.start
        return found

    def made(self, tip: int, most: int) -> tuple[BlockMade, ...]:
        """The newest blocks up to `tip`, at most so many, to go on from; none from before a hard cut or a lost block.

        Where blocks were cut there may be more of them. Raises LatentsLostError if `tip` itself is lost.
        """
        found: list[BlockMade] = []
        for record in reversed(self.newest(tip, most)):
            try:
                block = self.block(record.index)
            except LatentsLostError:
                if not found:
                    raise
                break
            found.append(BlockMade(block, record.conditions, 0, 0))
            if record.start == 0:
                break
        return tuple(reversed(found))

    @property
    def words(self) -> str | None:
        """The newest words that were asked for; None if there were none."""
        texts = [text for asked in self.asked if (text := text_of(asked.event)) is not None]
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
            self.places[fields["index"]] = Place(fields["segment"], fields["offset"])
        elif kind == "drop":
            self._kept.append(fields["kept"])
            self.tip = fields["kept"]
            if "latents" in fields:
                self.cuts[fields["kept"]] = fields["latents"]
        elif kind == "back":
            self.left.append(self.tip)
            self._kept.append(-1)  # what was under way then counts no more
            self.tip = fields["to"]
        elif kind == "bookmark":
            self.bookmarks[fields["name"]] = fields["block"]
        elif kind == "given up":
            self.given_up.add(fields["segment"])
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
        self.places.setdefault(found.index, place)

    def _take_block(self, record: BlockRecord) -> None:
        is_newest = record.index > max(self.blocks, default=-1)  # else it was lost from the log and is found again
        self.blocks[record.index] = record
        if is_newest and not any(record.index > kept for kept in self._kept[record.epoch :]):
            self.tip = record.index
