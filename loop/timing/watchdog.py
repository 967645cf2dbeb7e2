"""Whether the model's process makes progress, and when a dead one is tried again. Pure: time is an argument."""

from __future__ import annotations

from enum import Enum

NS = 1_000_000_000
TIMES = 5  # so many times the longest that a step ever took, no sign of life means that the process hangs
BEAT_NS = 3 * NS  # the least patience with a process whose beats have stopped
PING_NS = NS // 2  # a process that says nothing for so long is asked for a sign of life


class Phase(Enum):
    """What a process is at, and the least patience with it in nanoseconds."""

    OPENING = 10 * NS
    STARTING = 5 * NS  # from the order to start to the first block
    RUNNING = 2 * NS


class Watchdog:
    """Follows one process after another. Owned by the live model.

    A process hangs if it gives no sign of life for TIMES the longest that such a step has ever taken, and not for less
    than its phase asks for; any message but a Beat is one. While it opens or starts it also hangs if its Beats stop for
    twice the longest time that ever lay between two, which is noticed sooner. first_ns: the patience with a step that
    was never measured.
    """

    def __init__(self, now_ns: int, first_ns: int) -> None:
        self.phase = Phase.OPENING
        self._first_ns = first_ns
        self._since_ns = self._heard_ns = self._asked_ns = now_ns
        self._longest_ns: dict[Phase, int] = {}
        self._beat_ns: int | None = None  # the last one of this process
        self._longest_gap_ns = self._alarm_ns = 0

    def begin(self, phase: Phase, now_ns: int) -> None:
        """The process begins another phase. Opening and starting are over then, and took so long."""
        took_ns = now_ns - self._since_ns
        if self.phase is not Phase.RUNNING and phase is not Phase.OPENING:
            self._longest_ns[self.phase] = max(took_ns, self._longest_ns.get(self.phase, 0))
        self.phase, self._since_ns, self._heard_ns = phase, now_ns, now_ns
        if phase is Phase.OPENING:
            self._beat_ns = None
        elif phase is Phase.RUNNING:
            self._alarm_ns = 0

    def hear(self, now_ns: int) -> None:
        """A message has come."""
        self._heard_ns = now_ns

    def beat(self, now_ns: int) -> None:
        """A Beat has come."""
        if self._beat_ns is not None:
            self._longest_gap_ns = max(self._longest_gap_ns, now_ns - self._beat_ns)
        self._beat_ns = now_ns

    def forgive(self, now_ns: int) -> None:
        """Nobody looked for a while, since this process itself was stopped: what came meanwhile is not missed."""
        self._heard_ns = now_ns
        self._beat_ns = None if self._beat_ns is None else now_ns

    def note_block(self, took_ns: int) -> None:
        """A block has taken so long, its recaches and clean pass included."""
        self._longest_ns[Phase.RUNNING] = max(took_ns, self._longest_ns.get(Phase.RUNNING, 0))

    def should_ask(self, now_ns: int) -> bool:
        """Whether to ask the process for a sign of life now; it answers between two passes."""
        if self.phase is not Phase.RUNNING or now_ns - max(self._heard_ns, self._asked_ns) < PING_NS:
            return False
        self._asked_ns = now_ns
        return True

    def silence_s(self, now_ns: int) -> float | None:
        """For how long the process has been silent, if that is too long; else None."""
        if (unbeaten_ns := self._unbeaten_ns(now_ns)) is not None:
            self._alarm_ns = unbeaten_ns
            return unbeaten_ns / NS
        silent_ns = now_ns - self._heard_ns
        longest_ns = self._longest_ns.get(self.phase)
        patience_ns = self._first_ns if longest_ns is None else max(self.phase.value, TIMES * longest_ns)
        return silent_ns / NS if silent_ns >= patience_ns else None

    def _unbeaten_ns(self, now_ns: int) -> int | None:
        """For how long an opening or starting process gave no Beat, if too long; None before one process has ever run.

        An alarm may be false on a machine that has become slower, so the patience doubles until a process runs.
        """
        if self._beat_ns is None or self.phase is Phase.RUNNING or Phase.STARTING not in self._longest_ns:
            return None
        unbeaten_ns = now_ns - max(self._beat_ns, self._heard_ns)
        longest_ns = max(self._longest_gap_ns, self._alarm_ns)
        return unbeaten_ns if unbeaten_ns >= max(BEAT_NS, 2 * longest_ns) else None


def retry_delay_ns(deaths: int) -> int:
    """How long to wait before the next try after so many deaths in a row without a block: 0, 0, 1, 2, 4 ... 30 s."""
    return 0 if deaths <= 2 else min(30, 2 ** (deaths - 3)) * NS
