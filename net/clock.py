"""The host's clock as a guest knows it: the answer with the shortest round trip counts, and changes come slowly."""

from __future__ import annotations

from collections import deque

SAMPLES = 32
SLEW = 0.02  # the estimate moves by at most so much of the time that passes


class HostClock:
    """The offset of the host's clock to this machine's. Pure: time is an argument, nanoseconds throughout.

    round_trip_ns: the shortest of the newest samples, 0 before the first.
    """

    def __init__(self) -> None:
        self.round_trip_ns = 0
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)  # (round trip, offset)
        self._offset_ns: int | None = None
        self._moved_ns = 0

    @property
    def is_known(self) -> bool:
        """Whether there was a sample yet."""
        return self._offset_ns is not None

    def note(self, asked_ns: int, host_ns: int, now_ns: int) -> None:
        """An answer: asked at `asked_ns`, come at `now_ns`, both of this clock; the host wrote `host_ns` in between."""
        round_trip_ns = now_ns - asked_ns
        if round_trip_ns < 0:
            return
        self._samples.append((round_trip_ns, host_ns - (asked_ns + round_trip_ns // 2)))
        self.round_trip_ns, best_ns = min(self._samples)
        if self._offset_ns is None:
            self._offset_ns = best_ns
        else:
            most_ns = max(0, round((now_ns - self._moved_ns) * SLEW))
            self._offset_ns += min(max(best_ns - self._offset_ns, -most_ns), most_ns)
        self._moved_ns = now_ns

    def to_local(self, host_ns: int) -> int:
        """A time of the host's clock, by this machine's clock; as it is before the first sample."""
        return host_ns - (self._offset_ns or 0)
