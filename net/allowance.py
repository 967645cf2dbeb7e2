"""How much of something a guest may ask for: so many a second, and a few at once."""

from __future__ import annotations


class Allowance:
    """A token bucket. Pure: time is an argument. rate_hz: tokens a second. burst: tokens that it holds at most."""

    def __init__(self, rate_hz: float, burst: int, now_ns: int) -> None:
        self._rate_hz, self._burst = rate_hz, burst
        self._tokens, self._filled_ns = float(burst), now_ns

    def take(self, now_ns: int) -> bool:
        """Whether one more is allowed now; if so, it is taken."""
        passed_s = max(0, now_ns - self._filled_ns) / 1e9
        self._tokens = min(self._burst, self._tokens + passed_s * self._rate_hz)
        self._filled_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
