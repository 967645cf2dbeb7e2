"""The writer of a session: the only one who writes its log and its latents, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from loop.archive.append_file import AppendFile
from loop.archive.record import BlockRecord, Fields, SessionHeader, record_of_made, seal
from loop.archive.segment import SEGMENT_BYTES, segment_numbers, segment_path
from loop.link.kept import Kept
from loop.link.message import BlockMade
from world.event import Event, to_json

LOG = "log.jsonl"
MOST_WAITING = 256  # blocks, a minute of video or more: if so many wait for the disk, the saving ends
FINISH_S = 20.0  # the longest time that the end of a show waits for the disk
SYNC_S = 2.0  # between two times at which all is on the disk for certain; a kill loses less, a power cut up to this

_Item = Fields | BlockMade


class SessionWriter:
    """Writes a session into `folder`, which exists. No call here waits for the disk. Owned by the outputs.

    log: the open log; it is the writer's from now on. now_s: the system's clock in seconds. most_bytes: of latents;
    the oldest files are given up beyond that. None: all are kept.

    error: what the writing failed at. After an error nothing more is written: a session with a hole would mislead.
    blocks: how many are on the disk.
    """

    def __init__(self, log: AppendFile, now_s: Callable[[], float], most_bytes: int | None = None) -> None:
        self.folder = log.path.parent
        self.error: Exception | None = None
        self.blocks = 0
        self._log, self._now_s, self._most_bytes = log, now_s, most_bytes
        self._segments = segment_numbers(self.folder)
        self._next_segment = self._segments[-1] + 1 if self._segments else 0
        self._segment: AppendFile | None = None
        self._header: bytes = b""
        self._put = self._taken = 0
        self._early: list[_Item] = []  # what came before the header
        self._items: SimpleQueue[_Item | None] = SimpleQueue()
        self._has_begun = False
        self._thread = threading.Thread(target=self._run, name="session writer", daemon=True)
        self._thread.start()

    def begin(self, header: SessionHeader) -> None:
        """The world is open: write the header, and then what came before it."""
        self._header, self._has_begun = seal(header.fields()), True
        for item in (header.fields(), *self._early):
            self._add(item)
        self._early.clear()

    def block(self, made: BlockMade) -> None:
        """A block was made."""
        self._add(made)

    def asked(self, event: Event, source: str) -> None:
        """An event was let in: what is asked for survives, even if no block is made under it any more."""
        self._add({"kind": "asked", "event": to_json(event), "source": source, "at_s": round(self._now_s(), 3)})

    def dropped(self, kept: Kept) -> None:
        """What comes after `kept` was dropped: the stream goes on from there."""
        cut = {} if kept.latents is None else {"latents": kept.latents}
        self._add({"kind": "drop", "kept": kept.block, **cut})

    def went_back(self, to: int) -> None:
        """The stream goes on from block `to`; what came after it stays, as a branch."""
        self._add({"kind": "back", "to": to})

    def bookmark(self, name: str, block: int) -> None:
        """A place to come back to, under a name; a later one of the same name takes its place."""
        self._add({"kind": "bookmark", "name": name, "block": block})

    @property
    def trouble(self) -> str:
        """What the saving failed at, in one line; empty as long as all is well."""
        if not self.error:
            return ""
        reason = getattr(self.error, "strerror", None) or self.error
        return f"the session {self.folder} is not saved any more: {reason}"

    def close(self, patience_s: float = FINISH_S) -> None:
        """Write what is still queued and close the files; a session in which nothing happened leaves no folder."""
        self._items.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive() and not self.error:
            self.error = TimeoutError(f"the disk took longer than {patience_s:g} s")
        if not self._thread.is_alive() and not self._log_path.stat().st_size:
            self._log_path.unlink()
            self.folder.rmdir()

    @property
    def _log_path(self) -> Path:
        return self.folder / LOG

    def _add(self, item: _Item) -> None:
        if not self._has_begun:
            self._early.append(item)
        elif self.error is None:
            if self._put - self._taken >= MOST_WAITING:
                self.error = OSError("the disk is too slow")
                return
            self._put += 1
            self._items.put(item)

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            finally:
                self._log.close()
                if self._segment:
                    self._segment.close()
        except Exception as error:  # `trouble` tells the show
            self.error = self.error or error

    def _write_all(self) -> None:
        """Write what is queued until `close`, and sync now and then."""
        synced_s, is_dirty = self._now_s(), False
        while True:
            try:
                item = self._items.get(timeout=SYNC_S)
                if item is None:
                    return
                self._write(item)
                self._taken, is_dirty = self._taken + 1, True
            except Empty:
                pass
            if is_dirty and abs(self._now_s() - synced_s) >= SYNC_S:
                self._sync()
                synced_s, is_dirty = self._now_s(), False

    def _write(self, item: _Item) -> None:
        """Latents first: a line of the log speaks only of what is there."""
        if isinstance(item, BlockMade):
            record = record_of_made(item, round(self._now_s(), 3))
            place = self._write_latents(record, item)
            self._log.append(seal({**record.fields(), **place}))
            self.blocks += 1
        else:
            self._log.append(seal(item))

    def _write_latents(self, record: BlockRecord, made: BlockMade) -> Fields:
        segment = self._open_segment()
        line = seal(record.fields())
        place = {"segment": self._segments[-1], "offset": segment.size + len(line)}
        averages = b"" if made.block.averages is None else made.block.averages.tobytes()
        segment.append(line + made.block.latents.tobytes() + averages)
        return place

    def _open_segment(self) -> AppendFile:
        """The file for the next latents; a new one begins with the header, so that it can be read by itself."""
        if self._segment and self._segment.size < SEGMENT_BYTES:
            return self._segment
        if self._segment:
            self._segment.sync()
            self._segment.close()
        self._segment = AppendFile(segment_path(self.folder, self._next_segment))
        self._segments.append(self._next_segment)
        self._next_segment += 1
        self._segment.append(self._header)
        self._give_up_oldest()
        return self._segment

    def _give_up_oldest(self) -> None:
        """Keep to the most bytes that latents may take; the log stays whole, and blocks can be made again from it."""
        while self._most_bytes and len(self._segments) > max(1, self._most_bytes // SEGMENT_BYTES):
            number = self._segments.pop(0)
            self._log.append(seal({"kind": "given up", "segment": number}))
            segment_path(self.folder, number).unlink(missing_ok=True)

    def _sync(self) -> None:
        if self._segment:
            self._segment.sync()
        self._log.sync()
