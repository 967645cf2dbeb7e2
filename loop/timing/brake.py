"""The brake: fewer denoising steps where blocks would not be made in time. Pure; nanoseconds throughout."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

RECENT = 8  # blocks whose costs are planned with, all but the largest cost, which may be a spike
BELIEVED = 2  # blocks that must have been measured: what a process does for the first time takes longer
FULL = 0.95  # of the time that a block plays, the most that its work may take
EASY = 0.85  # a step comes back once the work with it would take no more than this
RELEASE = 12  # blocks in a row


@dataclass(frozen=True)
class BlockTimes:
    """What a block took, in nanoseconds.

    step: each denoising step. first: from the last step until its first frame can be shown. rest: from the last step
    until its clean pass is done.
    """

    step: int
    first: int
    rest: int


class Brake:
    """In how many steps the next block is made: in as many as are asked for, if that is in time. Owned by the stream.

    play_ns: how long a block plays. asked: the steps that the user wants. rest: those of a dial that nobody turned.
    """

    def __init__(self, play_ns: int, rest: int) -> None:
        self.asked = self.rest = rest
        self._play_ns = play_ns
        self._recent: deque[BlockTimes] = deque(maxlen=RECENT)
        self._steps = rest
        self._easy = 0

    def note(self, times: BlockTimes) -> None:
        """A block was made; recaches are not part of what it took."""
        self._recent.append(times)

    def steps(self, left_ns: int | None) -> int:
        """The steps of the block that begins now, at least 1.

        left_ns: until its first frame is due, less the recache that it begins with; None if nothing is due.
        """
        if len(self._recent) < BELIEVED:
            return self.asked
        step_ns, first_ns, rest_ns = (
            _high([getattr(t, part) for t in self._recent]) for part in ("step", "first", "rest")
        )
        lasting = max(1, int((self._play_ns * FULL - rest_ns) // step_ns))
        has_room = step_ns * (self._steps + 1) + rest_ns <= self._play_ns * EASY
        self._easy = self._easy + 1 if has_room else 0
        if self._easy >= RELEASE:
            self._steps, self._easy = self._steps + 1, 0
        self._steps = max(1, min(self.asked, self._steps, lasting))
        if left_ns is None:
            return self._steps
        return max(1, min(self._steps, (left_ns - first_ns) // step_ns))


def _high(costs: list[int]) -> int:
    """The second largest, at least 1."""
    return max(1, sorted(costs)[-2])
