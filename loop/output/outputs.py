"""Everything a show writes down: ledger, trace, recordings, the saved session. Nothing here holds up a tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from loop.archive.record import SessionHeader
from loop.archive.writer import SessionWriter
from loop.link.kept import Kept
from loop.link.message import BlockDone, BlockMade, Died, Fault, PassEnd, Trouble
from loop.output.ledger import Ledger
from loop.output.receipts import Receipts
from loop.output.recordings import Recordings
from loop.output.trace import Trace
from world.event import Event
from world.info import WorldInfo

log = logging.getLogger(__name__)


class Watchers(Protocol):
    """Takes the pictures that are shown, and never holds up a tick."""

    def show(self, pixels: np.ndarray | None, is_black: bool) -> None:
        """This was shown: uint8 [Y, X, 3], without the overlay, unchanged afterwards; None is the same as before."""


class Outputs:
    """The ledger and the files of a show. Owned by the engine.

    receipts: what became of the newest events.
    recordings: None where nobody can ask for one. now_ns: the clock of the lines that have no other time. archive: None
    where the session is not saved. watchers: who else gets the pictures, None for nobody.
    """

    def __init__(
        self,
        trace: Trace,
        recordings: Recordings | None,
        now_ns: Callable[[], int],
        archive: SessionWriter | None = None,
        watchers: Watchers | None = None,
    ) -> None:
        self.recordings, self.archive, self._watchers = recordings, archive, watchers
        self.ledger, self.receipts = Ledger(trace, now_ns), Receipts()
        self.ledger.watch(self.receipts.stamped)
        self._trace, self._now_ns = trace, now_ns
        self._told: set[str] = set()  # troubles that were logged
        self._words = ""  # those of the picture on the screen
        self._tell_back: Callable[[int], None] | None = None

    def watch(self, stamped: Callable[[int, str, int, str], None], went_back: Callable[[int], None]) -> None:
        """Let peers know: of every stage of every event, and of the block from which the world goes on."""
        self.ledger.watch(
            lambda stamp: stamped(
                stamp.number, stamp.stage, stamp.t_ns, str(stamp.detail) if stamp.stage == "lost" else ""
            )
        )
        self._tell_back = went_back

    def header(self, fields: dict[str, Any], session: SessionHeader) -> None:
        """Write the first line of the trace and of the session."""
        self._trace.put("header", **fields, t_ns=self._now_ns())
        self._words = str(fields["prompt"])
        if self.recordings:
            self.recordings.note_words(self._words, self._now_ns())
        if self.archive:
            self.archive.begin(session)

    def submitted(self, event: Event, source: str, pump_ns: int, now_ns: int | None = None) -> int:
        """Enter an event that was let in; returns its number in the ledger."""
        if self.archive:
            self.archive.asked(event, source)
        number = self.ledger.submitted(event, source, pump_ns, self._now_ns() if now_ns is None else now_ns)
        self.receipts.submitted(number, event, pump_ns)
        return number

    def went_back(self, block: int) -> None:
        """The world goes on from an older block."""
        if self._tell_back:
            self._tell_back(block)
        if self.archive:
            self.archive.went_back(block)

    def bookmark(self, name: str, block: int) -> None:
        """A bookmark was set."""
        if self.archive:
            self.archive.bookmark(name, block)

    def taken_back(self, kept: Kept, number: int = 0, for_words: bool = True) -> None:
        """What comes after `kept` was dropped unseen, for event `number` if it is of this machine.

        for_words: other words come instead of theirs.
        """
        if self.archive:
            self.archive.dropped(kept)
        self.ledger.taken_back(kept.block, number, for_words)

    def cut(self, kept: Kept, frames: int) -> None:
        """Write that of a block only some latent frames are shown, and how many pixel frames were dropped of it."""
        self._trace.put("cut", block=kept.block, latents=kept.latents, dropped=frames, t_ns=self._now_ns())

    def block_made(self, made: BlockMade) -> None:
        """Save a block."""
        if self.archive:
            self.archive.block(made)

    def flip(self, line: dict[str, Any]) -> None:
        """Write the line of a tick that showed something, and say in the log what cannot be written any more."""
        self._trace.put("flip", **line)
        for trouble in self.troubles:
            if trouble not in self._told:
                self._told.add(trouble)
                log.warning("%s; the show goes on", trouble)

    def block(self, done: BlockDone) -> None:
        """Write the line of a finished block."""
        facts, times = done.facts, {"t_begin_ns": done.t_begin_ns, "t_end_ns": done.t_end_ns}
        switch = {"switch": facts.seen is not None, "cut": facts.cut, "seen": facts.seen, "recache_ns": done.recache_ns}
        more = {"abandoned": facts.abandoned, "pass_ns": done.worst.pass_ns} | (
            {"dials": facts.dials} if facts.dials else {}
        )
        self._trace.put("block", block=facts.index, start=facts.start, **times, **switch, **more, **_runs(done))

    def situation(self, number: int, fields: dict[str, Any] | None) -> None:
        """Write what lay before event `number` when it came; None: nothing was on the screen yet."""
        if fields is not None:
            self._trace.put("situation", id=number, **fields)

    def launch(self, number: int, fields: dict[str, Any]) -> None:
        """Write that event `number` was sent for a beat: for which, and for which block."""
        self._trace.put("launch", id=number, **fields, t_ns=self._now_ns())

    def launched(self, number: int, error_ns: int | None, flip_ns: int) -> None:
        """Write by how much the first frame of a launch missed its beat; None: the event was no launch."""
        if error_ns is not None:
            self._trace.put("launched", id=number, error_ms=round(error_ns / 1e6, 3), t_ns=flip_ns)

    def fault(self, message: Died | Fault | Trouble) -> None:
        """Write that the model's process failed or died, or what it has mended."""
        what = "the model's process died" if isinstance(message, Died) else message.what
        self._trace.put("fault", what=what, t_ns=self._now_ns())

    def record(self, pixels: np.ndarray | None, t_ns: int, info: WorldInfo, blackout: bool) -> None:
        """Record what a tick showed, without the overlay: uint8 [Y, X, 3]; None is the same picture as before."""
        if self._watchers:
            self._watchers.show(pixels, blackout)
        if self.recordings:
            words, at_ns = self.ledger.words_shown
            if words not in (None, self._words):
                self._words = words
                self.recordings.note_words(words, at_ns)
            self.recordings.show(pixels, t_ns, info.fps, blackout)

    @property
    def troubles(self) -> list[str]:
        """What cannot be written, one line for each file."""
        recordings = self.recordings.errors if self.recordings else []
        others = (self._trace.trouble, self.archive.trouble if self.archive else "")
        return [*recordings, *filter(None, others)]

    def close(self) -> None:
        """End the events that are open, and finish the files."""
        self.ledger.close()
        self._trace.close()
        if self.archive:
            self.archive.close()
        if self.recordings:
            self.recordings.close()

    def report(self) -> list[str]:
        """One line on each recording, on lost lines of the trace, and on the session, for the end of the show."""
        lines = self.recordings.report() if self.recordings else []
        if self._trace.lost:
            lines.append(f"traced {self._trace.written} lines to {self._trace.path}, {self._trace.lost} lost")
        if self.archive and self.archive.blocks:
            lines.append(f"saved {self.archive.blocks} blocks to {self.archive.folder}")
        return lines


def _runs(done: BlockDone) -> dict[str, Any]:
    """The passes of a block, in ms since its begin, and the runs at it that were abandoned; nothing where it came."""
    if not done.passes:
        return {}
    given_up = [{"t_begin_ns": run.t_begin_ns, "passes": _passes(run.t_begin_ns, run.passes)} for run in done.given_up]
    return {"passes": _passes(done.t_begin_ns, done.passes)} | ({"given_up": given_up} if given_up else {})


def _passes(begun_ns: int, passes: Sequence[PassEnd]) -> list[list[str | float]]:
    return [[what, round((t_ns - begun_ns) / 1e6, 3)] for what, t_ns in passes]
