"""How far a guest's screen is behind its host's: no further than its frames come late. Pure: time is an argument."""

from __future__ import annotations

from collections import OrderedDict, deque

from loop.timing.clock import TICK_NS

KEPT = 256  # frames that came and were not on the host's screen yet
SAMPLES = 160  # frames over which the worst lateness is looked for: seven seconds at 24 a second
SHRINK = 0.02  # of the surplus, with each frame
SETTLING = 24  # frames at first that say nothing: they came with the snapshot, when they were due already
TIE_NS = 1_000_000  # a frame that is due exactly at a tick of the host is due a little before that of the guest
PHASE_SLEW_NS = 100_000  # a tick: two seconds at most for all of it


class Alignment:
    """The delay, measured: how late each frame came after it was due on the host's screen. Owned by a Following.

    delay_ns: what the frames of this screen are due later than on the host's.
    """

    def __init__(self) -> None:
        self.delay_ns = 0
        self._came_ns: OrderedDict[int, int] = OrderedDict()
        self._late_ns: deque[int] = deque(maxlen=SAMPLES)
        self._unsettled = SETTLING

    @property
    def is_new(self) -> bool:
        """Whether the first frames since a beginning are being shown."""
        return self._unsettled > 0

    def came(self, frame: int, now_ns: int) -> None:
        """Frame number `frame` can be shown from now on."""
        self._came_ns[frame] = now_ns
        while len(self._came_ns) > KEPT:
            self._came_ns.popitem(last=False)

    def note_due(self, frame: int, due_ns: int) -> None:
        """The frame is due on the host's screen at `due_ns` of this clock: the delay follows how late it came here."""
        came_ns = self._came_ns.get(frame)
        if came_ns is None:
            return
        if self._unsettled:
            self._unsettled -= 1
            return
        self._late_ns.append(came_ns - due_ns)
        needed_ns = max(0, max(self._late_ns) + TICK_NS)
        if needed_ns > self.delay_ns:
            self.delay_ns = needed_ns
        else:
            self.delay_ns -= round((self.delay_ns - needed_ns) * SHRINK)

    def restart(self) -> None:
        """Another host: what was measured says nothing any more."""
        self._came_ns.clear()
        self._late_ns.clear()
        self._unsettled = SETTLING


def phase_step(tick_ns: int, target_ns: int) -> int:
    """By how much to move the present tick, so that ticks fall together with those of another screen, in steps."""
    error_ns = (target_ns - tick_ns + TICK_NS // 2) % TICK_NS - TICK_NS // 2
    return min(max(error_ns, -PHASE_SLEW_NS), PHASE_SLEW_NS)
