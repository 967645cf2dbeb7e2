"""Fixed ticks on a clock that is handed in: late ticks are dropped and counted, never replayed in a burst."""

from __future__ import annotations

from dataclasses import dataclass

TICK_HZ = 60
TICK_NS = 1_000_000_000 // TICK_HZ


@dataclass
class FixedStep:
    """Absolute tick deadlines from `start_ns`. Owned by the engine.

    tick: the number of the tick that `advance` reported last. late: ticks whose whole slot went by unseen.
    """

    start_ns: int
    tick: int = -1
    late: int = 0

    @property
    def next_ns(self) -> int:
        """When the next tick is due."""
        return self.start_ns + (self.tick + 1) * 1_000_000_000 // TICK_HZ

    @property
    def tick_ns(self) -> int:
        """When the present tick was due, however late the clock was looked at."""
        return self.start_ns + self.tick * 1_000_000_000 // TICK_HZ

    def advance(self, now_ns: int) -> bool:
        """Whether a tick is due at `now_ns`; if several are, all but the newest are dropped and counted."""
        if now_ns < self.next_ns:
            return False
        newest = (now_ns - self.start_ns) * TICK_HZ // 1_000_000_000
        self.late += newest - self.tick - 1
        self.tick = newest
        return True
