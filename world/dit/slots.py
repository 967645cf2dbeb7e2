"""Which latent frame is in which slot of a cache, which slots a pass writes and which it sees, in plain integers.

*Logical* slots are in the order of time: the sink, then history, then the newest frames. *Physical* slots are places in
memory. Sink slots are the same in both; the others form a ring, so that no data moves when a frame is evicted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from world.dit.config import FLUSH_KEEPS, CacheConfig


@dataclass(frozen=True)
class Placement:
    """Where one pass writes and what it sees. Slots are physical; positions are those of the rotary embedding.

    written: the slots of the pass's frames; of its last frames only, where the first ones are in a protected sink.
    visible: the slots attended to. positions: of each of the pass's frames. sink: of each sink slot.
    averages: those of the slots of averages, which come after all others; empty until something has left the window.
    evicted: the slots whose frames made room, and those frames' numbers, oldest first.
    """

    written: list[int]
    visible: list[int]
    positions: list[int]
    sink: list[int]
    evicted: dict[int, int] = field(default_factory=dict)
    averages: list[int] = field(default_factory=list)


class Slots:
    """What the slots of one cache hold. Owned by the bank.

    made: latent frames of the stream so far. filled: logical slots in use, the newest block included.
    order: the physical slot of each logical slot. frame: the number of the latent frame in each physical slot.
    averaged: whether anything has left the window that its averages hold, where it has any.
    """

    def __init__(self, config: CacheConfig) -> None:
        self.config = config
        self.reset(0)

    def reset(self, made: int, filled: int | None = None) -> None:
        """Count as if `made` frames had been written, with memory in the order of time; `filled` of them are held."""
        self.made = made
        self.filled = min(made, self.config.size) if filled is None else filled
        self.order = list(range(self.config.size))
        self.frame = [0] * self.config.size
        self.averaged = False

    def copy(self, other: Slots) -> None:
        """Hold what other slots of the same sizes hold."""
        self.made, self.filled, self.averaged = other.made, other.filled, other.averaged
        self.order, self.frame = list(other.order), list(other.frame)

    def place(self, start: int, frames: int, renew: bool = False) -> Placement:
        """Assign slots to a pass over `frames` latent frames, the first of them number `start`.

        A pass over new frames evicts the oldest ones behind the sink if there is no room; a repeated pass over frames
        that are held writes to the same slots again. renew: it may do so in a published sink, too.
        Raises ValueError when these frames were evicted, or do not fit into a window that never moves.
        """
        end, sink = start + frames, self.config.sink
        is_repeated = start > 0 and end <= self.made
        evicted = {} if is_repeated else self._evicted(end, frames)
        self.averaged |= bool(evicted and self.config.averages)
        filled = self.filled + end - self.made if is_repeated else self._advance(end, list(evicted))
        first = filled - frames
        if first < 0:
            raise ValueError(f"latent frames {start} to {end} are no longer in the cache: rebuild it")
        is_protected = self.config.published and is_repeated and not renew
        begin = max(first, sink) if is_protected else first
        written = self.order[begin:filled]
        for slot, frame in zip(written, range(end - len(written), end), strict=True):
            self.frame[slot] = frame
        visible = sorted(self.order[slot] for slot in self._seen(filled))
        averages = self._average_positions()
        visible += range(self.config.size, self.config.size + len(averages))
        return Placement(written, visible, list(range(start, end)), self._sink_positions(), evicted, averages)

    def flush(self, end: int) -> list[int]:
        """Forget all frames before `end` but the sink and the newest ones, and whatever comes after `end`.

        Memory is in the order of time afterwards: the frames kept belong behind the sink. Returns where they are now.
        """
        filled, sink = self.filled - (self.made - end), self.config.sink
        kept = self.order[max(sink, filled - FLUSH_KEEPS) : max(sink, filled)]
        frames = [self.frame[slot] for slot in kept]
        self.made, self.filled = end, min(sink, filled) + len(kept)
        self.order = list(range(self.config.size))
        self.frame[sink : sink + len(kept)] = frames
        return kept

    def _evicted(self, end: int, frames: int) -> dict[int, int]:
        """The slots that new frames take over, of the oldest behind the sink, and the frames in them until now."""
        if self.config.window == -1 or end <= self.made:
            return {}
        sink, count = self.config.sink, max(0, frames + self.filled - self.config.size)
        return {slot: self.frame[slot] for slot in self.order[sink : sink + count]}

    def _advance(self, end: int, freed: list[int]) -> int:
        """Take slots for new frames, `freed` and those that are free; returns the new `filled`."""
        sink, size = self.config.sink, self.config.size
        filled = self.filled + end - self.made - len(freed)
        if filled > size:
            raise ValueError(f"latent frame {end} does not fit: the cache holds {size} and its window never moves")
        if freed:
            self.order[sink : self.filled] = self.order[sink + len(freed) : self.filled] + freed
        self.made, self.filled = end, filled
        return filled

    def _seen(self, filled: int) -> list[int]:
        """The logical slots that a pass whose last frame is in slot `filled - 1` attends to."""
        window, sink = self.config.window, self.config.sink
        sink_end = sink if self.config.published else min(sink, filled)
        history = sink if window == -1 else max(sink, filled - (window - sink))
        return [*range(sink_end), *range(history, filled)]

    def _sink_positions(self) -> list[int]:
        """The position in time of each sink slot.

        Rotary positions matter only by their differences. Relative ones, which count from the start of the window, are
        therefore kept as the numbers of the frames, by which nothing behind the sink ever moves; the sink alone moves
        along with the stream, so that it stays as far from the newest frame as the window is long, or the span.
        """
        sink = range(self.config.sink)
        if self.config.positions == "absolute":
            return [self.frame[slot] for slot in sink]
        reach = self.filled + len(self.config.averages) * self.averaged
        if self.config.span:
            reach = min(self.made, self.config.span)
        return [self.made - reach + slot for slot in sink]

    def _average_positions(self) -> list[int]:
        """The position in time of the long and of the short average: right before the oldest frame behind the sink."""
        oldest = self.made - (self.filled - self.config.sink)
        return [oldest - 2, oldest - 1] if self.averaged else []
