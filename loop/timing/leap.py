"""Leaping: what is left of the block on the screen is shown faster, so that what was asked for is seen sooner.

Nothing is dropped and nothing is shown twice, and the world's state does not change: only due times move forward. So
much time may be stolen, and no more, that a world that is played all the time does not run fast.

Pure: time is an argument, nanoseconds throughout.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from loop.timing.clock import TICK_NS

MOST_STOLEN_NS, WITHIN_NS = 200_000_000, 1_000_000_000  # due times move forward by so much at most in any such time
MOST_RATE = 2.5  # times the world's own rate
LEAST_GAIN_NS = 2 * TICK_NS  # mode auto leaps for no less
GESTURE_NS = 500_000_000  # changes that follow one another in less than this are one gesture


@dataclass(frozen=True)
class Change:
    """What a leap is asked for. number: the event's. is_words: words or a hard cut, not a dial.

    needs_recache: before its block is made.
    """

    number: int
    is_words: bool
    needs_recache: bool


class Gestures:
    """Tells the first change of a gesture from those that follow. Owned by the playback."""

    def __init__(self) -> None:
        self._newest_ns: dict[bool, int] = {}

    def begins(self, is_words: bool, now_ns: int) -> bool:
        """Words change now, or a dial: whether a gesture begins with it."""
        before_ns = self._newest_ns.get(is_words)
        self._newest_ns[is_words] = now_ns
        return before_ns is None or now_ns - before_ns >= GESTURE_NS


class Leap:
    """Says by how much the next frame may come early until the first frame of a block is shown. Owned by the pacer.

    A frame may be shown `step_ns` after the one before it, and is due only at its ordinary time. It comes early only if
    it and the frames after it, at their ordinary pace, last until the awaited block is ready at the latest.

    block: the one that is awaited; None: there is no leap.
    """

    def __init__(self, world_period_ns: int) -> None:
        self.step_ns = max(TICK_NS, int(world_period_ns / MOST_RATE))
        self.block: int | None = None
        self._ready_ns: int | None = None
        self._stolen: deque[tuple[int, int]] = deque()  # (when, by how much) due times were moved forward

    def begin(self, block: int, ready_ns: int | None) -> None:
        """Leap to `block`, whose first frame is ready at `ready_ns` at the latest; None: that is not known yet."""
        self.block, self._ready_ns = block, ready_ns

    def end(self) -> None:
        """Let every frame come at its ordinary time."""
        self.block = self._ready_ns = None

    def left_ns(self, now_ns: int) -> int:
        """How much time may still be stolen."""
        while self._stolen and self._stolen[0][0] <= now_ns - WITHIN_NS:
            self._stolen.popleft()
        return MOST_STOLEN_NS - sum(ns for _, ns in self._stolen)

    def early_ns(self, block: int, last_ns: int, due_ns: int, rest_ns: int, now_ns: int) -> int:
        """By how much the next frame, of `block`, may come before it is due at `due_ns`: 0 if it may not come now.

        last_ns: when the frame before it was due. rest_ns: for how long the queue's frames of blocks before the awaited
        one last, this one included.
        """
        may_ns = last_ns + self.step_ns
        if self.block is None or block > self.block or now_ns < may_ns or due_ns <= now_ns:
            return 0
        to_ns = may_ns if now_ns - may_ns < TICK_NS else now_ns
        is_safe = block == self.block or (self._ready_ns is not None and to_ns + rest_ns >= self._ready_ns)
        early_ns = due_ns - to_ns
        if not is_safe or early_ns > self.left_ns(now_ns):
            return 0
        self._stolen.append((now_ns, early_ns))
        return early_ns
