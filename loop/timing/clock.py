"""The clock that a show runs on, and its fixed ticks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

TICK_HZ = 60
TICK_NS = 1_000_000_000 // TICK_HZ


class Clock(Protocol):
    """A monotonic clock that both processes read alike, and the ways to wait on it.

    Whatever waits or stamps takes one as an argument, so that a whole show can be run on made-up time.
    """

    def now_ns(self) -> int:
        """The present time in nanoseconds; only differences mean something."""

    def sleep_until(self, t_ns: int) -> None:
        """Return at `t_ns` or up to a millisecond later; at once when that is past."""

    def spin_until(self, t_ns: int) -> None:
        """Return at `t_ns`, within microseconds, at the price of a busy processor."""


class MonotonicClock:
    """The system's monotonic clock."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def sleep_until(self, t_ns: int) -> None:
        while (left_ns := t_ns - time.perf_counter_ns()) > 0:
            time.sleep(left_ns / 1e9)

    def spin_until(self, t_ns: int) -> None:
        while time.perf_counter_ns() < t_ns:
            pass


@dataclass
class FixedStep:
    """Tick deadlines at fixed times after `start_ns`. Late ticks are dropped and counted. Owned by the engine.

    tick: the number of the tick that `advance` reported last. late: how many ticks were dropped.
    """

    start_ns: int
    tick: int = -1
    late: int = 0

    @property
    def next_ns(self) -> int:
        """When the next tick is due, rounded up: at this very nanosecond it is."""
        return self.start_ns - (self.tick + 1) * -1_000_000_000 // TICK_HZ

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
