"""The ledger: the stamps of every event, from the moment it left its source to the flip that showed it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from loop.link.message import Stage, Taken
from loop.link.ring import FrameMark
from loop.output.trace import Trace
from world.event import Dial, Event, to_json, words_of

STAGES = ("pump", "submit", "encoded", "take", "recached", "denoised", "decoded", "uploaded", "flip")


@dataclass
class Entry:
    """One event and its stamps, in nanoseconds of the monotonic clock."""

    id: int
    event: Event
    stamps: dict[str, int] = field(default_factory=dict)

    @property
    def latency_ms(self) -> float | None:
        """From `pump` to `flip`; None until it was shown."""
        if "flip" not in self.stamps:
            return None
        return (self.stamps["flip"] - self.stamps["pump"]) / 1e6


@dataclass(frozen=True)
class Stamp:
    """Event `number` reached `stage` at `t_ns`: one of STAGES, or its end otherwise, `replaced` or `lost`.

    detail: the block that it was taken for, the event that replaced it, or why it was lost.
    """

    number: int
    stage: str
    t_ns: int
    detail: int | str | None = None


class Ledger:
    """Numbers events, follows them across both processes, writes their lines into the trace. Owned by the engine.

    Each event ends once: at the flip that shows it, `replaced` by a later one, or `lost`, with the reason.

    shown: the newest events that have reached the screen. now_ns: the clock of the stamps that are made here.
    """

    def __init__(self, trace: Trace, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.shown: deque[Entry] = deque(maxlen=64)
        self._trace, self._now_ns = trace, now_ns
        self._next_id = 1
        self._open: dict[int, Entry] = {}
        self._newest: dict[str, int] = {}  # of each kind of event that replaces one another
        self._awaited: dict[int, tuple[int, ...]] = {}  # block -> the events that its first frame shows
        self._made_again: dict[int, int] = {}  # dial event that blocks were dropped for -> the newest that was kept
        self._turned: dict[str, int] = {}  # display dial -> the event that the next flip shows
        self._watchers: list[Callable[[Stamp], object]] = []

    def watch(self, watcher: Callable[[Stamp], object]) -> None:
        """Call this for every stage of every event."""
        self._watchers.append(watcher)

    def submitted(self, event: Event, source: str, pump_ns: int, now_ns: int) -> int:
        """A new event; returns its number."""
        number, self._next_id = self._next_id, self._next_id + 1
        self._open[number] = Entry(number, event)
        self._newest[_slot(event)] = number
        self._trace.put("event", id=number, source=source, event=to_json(event), t_ns=pump_ns)
        self.stage(Stage(number, "pump", pump_ns))
        self.stage(Stage(number, "submit", now_ns))
        return number

    def stage(self, stage: Stage, block: int | None = None) -> None:
        """A stamp from either process. block: that the event was taken for."""
        self._put(Stamp(stage.id, stage.stage, stage.t_ns, block))
        if entry := self._open.get(stage.id):
            entry.stamps[stage.stage] = stage.t_ns

    def taken(self, taken: Taken) -> None:
        """A boundary took events: those that were replaced end here, the others wait for the block's first frame.

        Words that waited for the same block, or a later one, are replaced too: no block is made under them alone.
        """
        for number in taken.applied:
            self.stage(Stage(number, "take", taken.t_ns), taken.block)
        for number in taken.replaced:
            self._end_replaced(number, taken.t_ns)
        for number in (*taken.applied, *taken.replaced):
            if number in self._made_again:
                self._await_again(self._made_again.pop(number), taken.block)
        for block in [block for block in self._awaited if block >= taken.block]:
            # a process that died had taken them for a block of its own; an older one may still come to the screen
            self._awaited[block] = tuple(number for number in self._awaited[block] if number not in taken.applied)
        if any(self._has_words(number) for number in taken.applied):
            self._replace_words(taken.block, taken.t_ns)
        self._awaited[taken.block] = self._awaited.get(taken.block, ()) + taken.applied

    def taken_back(self, kept: int, by: int = 0, for_words: bool = True) -> None:
        """Blocks after `kept` will not be shown: their words are replaced, their dials take effect in later blocks.

        by: the event that they were dropped for. for_words: it has words. Older ones that were not taken yet, as far as
        is known, are replaced as well: if they were, then for a block after `kept`. Otherwise the blocks are made again
        under the words that they had, unless newer ones come before that.
        """
        if not for_words:
            self._made_again[by] = kept
            return
        self._replace_words(kept + 1, self._now_ns())
        taken = {number for numbers in self._awaited.values() for number in numbers}
        for number in [number for number in self._open if number < by and number not in taken]:
            if self._has_words(number):
                self._end_replaced(number, self._now_ns())

    def made(self, block: int, parent: int) -> None:
        """A block was made which is not dropped: what waited for those that were, after `parent`, is seen in it.

        It may have been begun before the dial came that they were dropped for, which is taken for a later one then.
        """
        for number in [number for number, kept in self._made_again.items() if kept >= parent]:
            self._await_again(self._made_again.pop(number), block)

    def turned(self, number: int, name: str) -> None:
        """Event `number` set the display dial `name`: the next flip shows it, unless another value comes before."""
        if name in self._turned:
            self._end_replaced(self._turned[name], self._now_ns())
        self._turned[name] = number

    def lost(self, numbers: Iterable[int], why: str) -> None:
        """These events will never be seen."""
        for number in numbers:
            self._made_again.pop(number, None)
            if self._open.pop(number, None):
                self._put(Stamp(number, "lost", self._now_ns(), why))

    def close(self) -> None:
        """The show ends: what was not seen yet never will be."""
        self.lost(list(self._open), "the show ended")

    def _await_again(self, kept: int, block: int) -> None:
        """What waited for blocks between `kept` and `block`, which were dropped, waits for `block`."""
        dropped = [other for other in sorted(self._awaited) if kept < other < block]
        for other in dropped:
            self._awaited[block] = self._awaited.get(block, ()) + self._awaited.pop(other)

    def _replace_words(self, first: int, t_ns: int) -> None:
        """The words that wait for block `first` or later ones are replaced; dials are seen in what is made instead."""
        for block in [block for block in self._awaited if block >= first]:
            for number in self._awaited[block]:
                if self._has_words(number):
                    self._end_replaced(number, t_ns)
            self._awaited[block] = tuple(number for number in self._awaited[block] if number in self._open)

    def _end_replaced(self, number: int, t_ns: int) -> None:
        entry = self._open.pop(number, None)
        if entry:
            self._put(Stamp(number, "replaced", t_ns, self._newest[_slot(entry.event)]))

    def _put(self, stamp: Stamp) -> None:
        name = {"lost": "why", "replaced": "by"}.get(stamp.stage)
        more: dict[str, Any] = {name: stamp.detail} if name else {}
        self._trace.put("stage", id=stamp.number, stage=stamp.stage, **more, t_ns=stamp.t_ns)
        for watcher in self._watchers:
            watcher(stamp)

    def _has_words(self, number: int) -> bool:
        return number in self._open and words_of(self._open[number].event) is not None

    def arrivals(self, frame: FrameMark | None) -> tuple[int, ...]:
        """The events that would be seen for the first time with a flip of `frame` (None: the same picture again)."""
        blocks = [block for block in self._awaited if frame and block <= frame.block]
        waiting = [*self._turned.values(), *(number for block in blocks for number in self._awaited[block])]
        return tuple(number for number in dict.fromkeys(waiting) if number in self._open)

    def flipped(self, frame: FrameMark | None, t_ns: int) -> tuple[int, ...]:
        """`frame` was shown (None: the same picture again); the events that it is the first to show."""
        arrivals = self.arrivals(frame)
        for number in arrivals:
            self.stage(Stage(number, "flip", t_ns))
            self.shown.append(self._open.pop(number))
        self._turned.clear()
        if frame:
            self._awaited = {block: numbers for block, numbers in self._awaited.items() if block > frame.block}
        return arrivals

    @property
    def words_shown(self) -> tuple[str | None, int]:
        """The newest words that were shown, and when; None before any of an event were."""
        for entry in reversed(self.shown):
            if (words := words_of(entry.event)) is not None:
                return str(words), entry.stamps["flip"]
        return None, 0

    def rows(self) -> list[tuple[str, str]]:
        """The newest events that were shown, each with its latency, for the statistics panel."""
        return [(event_name(entry.event), f"{entry.latency_ms:.0f} ms") for entry in list(self.shown)[-5:]]


def _slot(event: Event) -> str:
    """Events that share a slot replace one another."""
    if isinstance(event, Dial):
        return f"dial {event.name}"
    return "words" if words_of(event) is not None else type(event).__name__


def event_name(event: Event) -> str:
    """A short name of an event, for people."""
    if isinstance(event, Dial):
        return f"{event.name} {event.value:+.2f}"
    text = getattr(event, "text", type(event).__name__.lower())
    return text if len(text) <= 32 else text[:31] + "…"
