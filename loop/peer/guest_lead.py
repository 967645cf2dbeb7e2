"""How much sooner a host has its blocks made, so that guests nearby show them in time. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Sequence

from loop.timing.clock import TICK_NS

LEAST_NS = 2 * TICK_NS  # a block waits for a tick of the host, and for a tick of the guest
START_NS = 4 * TICK_NS  # two more to decode it, until guests have measured how late it comes
MOST_NS = 5 * TICK_NS
FAR_NS = 2 * TICK_NS  # a guest that is further behind than this lags for the network's sake, and is not waited for
SLACK_NS = 2_000_000  # behind by so much is together
PERIOD_NS = 10_000_000_000  # a guest looks back over seven seconds of frames: only after that a new lead shows
SHRINK_NS = 1_000_000  # in each period in which nobody lags


class GuestLead:
    """Follows the delays that guests measure: longer by all of it where one lags, shorter slowly. Owned by a Hosting.

    ns: the lead, from LEAST_NS to MOST_NS nanoseconds.
    """

    def __init__(self) -> None:
        self.ns = START_NS
        self._next_ns: int | None = None

    def follow(self, delays_ns: Sequence[int], now_ns: int) -> None:
        """The guests are so far behind the host's screen at present. Changes the lead once in each period."""
        if self._next_ns is None or not delays_ns:
            self._next_ns = now_ns + PERIOD_NS
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + PERIOD_NS
        lag_ns = max((ns for ns in delays_ns if ns <= FAR_NS), default=0)
        self.ns = min(self.ns + lag_ns, MOST_NS) if lag_ns > SLACK_NS else max(self.ns - SHRINK_NS, LEAST_NS)
