"""Which latent frame lies in which slot of a cache, what a pass writes and what it sees: bookkeeping in plain integers.

*Logical* slots are in order of time: the sink, then history, the newest frames last. *Physical* slots are places in
memory. The sink's never move; the others form a ring, so that evicting a frame moves no data.
"""

from __future__ import annotations

from dataclasses import dataclass

from world.dit.config import CacheConfig


@dataclass(frozen=True)
class Placement:
    """One pass in a cache. Slots are physical.

    written: slots of the pass's last frames (all of them, unless the sink is protected); visible: slots attended to;
    queries: position of each of the pass's frames; keys: position of each visible slot.
    """

    written: list[int]
    visible: list[int]
    queries: list[int]
    keys: list[int]


class Slots:
    """The state of one cache: how many frames were made, how many are held, and where.

    made, filled: the stream's length and the end of valid slots, in latent frames, after the newest block.
    """

    def __init__(self, config: CacheConfig) -> None:
        self.config = config
        self.reset(0)

    def reset(self, made: int) -> None:
        """Memory in the order of time, as if `made` frames had gone by."""
        self.made = made
        self.filled = min(made, self.config.size)
        self.order = list(range(self.config.size))
        self.frame = [0] * self.config.size  # the latent frame that each physical slot holds

    def place(self, start: int, frames: int, renew: bool = False) -> Placement:
        """Make room for a pass over `frames` latent frames from `start` on; renew: it may write the sink again."""
        end, sink = start + frames, self.config.sink
        again = start > 0 and end <= self.made
        filled = self.filled + end - self.made if again else self._advance(end, frames)
        first = filled - frames
        if first < 0:
            raise ValueError(f"latent frames {start} to {end} are no longer in the cache: rebuild it")
        protected = self.config.published and again and not renew
        begin = max(first, sink) if protected else first
        written = self.order[begin:filled]
        for slot, frame in zip(written, range(end - len(written), end), strict=True):
            self.frame[slot] = frame
        visible = sorted(self.order[slot] for slot in self._seen(filled))
        relative = self.config.positions == "relative"
        queries = range(first, filled) if relative else range(start, end)
        return Placement(written, visible, list(queries), self._positions(visible, relative))

    def _advance(self, end: int, frames: int) -> int:
        """Count new frames in, evicting the oldest behind the sink if need be; the new end of valid slots."""
        sink, size = self.config.sink, self.config.size
        evicted = max(0, frames + self.filled - size) if self.config.window != -1 and end > self.made else 0
        filled = self.filled + end - self.made - evicted
        if filled > size:
            raise ValueError(f"latent frame {end} does not fit: the cache holds {size} and its window never moves")
        if evicted:
            freed, kept = self.order[sink : sink + evicted], self.order[sink + evicted : self.filled]
            self.order[sink : self.filled] = kept + freed
        self.made, self.filled = end, filled
        return filled

    def _seen(self, filled: int) -> list[int]:
        """Logical slots that a pass ending at `filled` attends to."""
        window, sink = self.config.window, self.config.sink
        kept = sink if self.config.published else min(sink, filled)
        since = sink if window == -1 else max(sink, filled - (window - sink))
        return [*range(kept), *range(since, filled)]

    def _positions(self, physical: list[int], relative: bool) -> list[int]:
        if not relative:
            return [self.frame[slot] for slot in physical]
        logical = {slot: number for number, slot in enumerate(self.order)}
        return [logical[slot] for slot in physical]
