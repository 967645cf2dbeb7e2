"""Which frame is due. Pure: time is an argument, nanoseconds throughout."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from loop.link.ring import FrameMark, Schedule
from loop.timing.switch import Waiting

MARGIN = 1.02  # a slow model's frames are spread a little wider than it makes them, so that they never run out


@dataclass(frozen=True)
class Shown:
    """What one tick shows: a new frame or None. `starved` says that a frame was due and none was ready.

    due_ns: when the new frame was due; one that came too late keeps the time at which it was missed.
    """

    frame: FrameMark | None
    starved: bool
    skipped: int
    queue: int
    due_ns: int | None = None


class Pacer:
    """Absolute due times for a stream of frames. Owned by the engine.

    Frames are due `period_ns` apart. When one is due and none is ready the schedule waits and goes on from the tick at
    which the frame came: what was lost is not caught up, so latency cannot ratchet. When ticks were missed, the frames
    that fell due meanwhile are skipped.
    """

    def __init__(self, fps: float) -> None:
        self.world_period_ns = int(1e9 / fps)  # never above: a block must not end after the tick that it ends with
        self.period_ns = self.world_period_ns
        self._queue: deque[FrameMark] = deque()
        self._next_due_ns: int | None = None
        self._missed_ns: int | None = None  # when a frame was due that has not come yet
        self._was_late = False
        self._current_block: int | None = None
        self._held_at: int | None = None

    @property
    def rate(self) -> float:
        """Presentation rate over world rate: 1 unless the model is slower than real time."""
        return self.world_period_ns / self.period_ns

    def restart(self) -> None:
        """Another ring: its first frame is due when it comes."""
        self._queue.clear()
        self._next_due_ns = self._missed_ns = self._current_block = None

    def add(self, mark: FrameMark) -> None:
        """A frame was made."""
        self._queue.append(mark)

    def drop_after(self, block: int) -> None:
        """Frames of later blocks than `block` will not be shown: others take their due times."""
        self._queue = deque(mark for mark in self._queue if mark.block <= block)

    def waiting(self, now_ns: int) -> list[Waiting]:
        """The block on the screen and those in the queue, oldest first."""
        if self._current_block is None or self._next_due_ns is None:
            return []
        blocks = {self._current_block: Waiting(self._current_block, now_ns, True)}
        for place, mark in enumerate(self._queue):
            due_ns = self._next_due_ns + place * self.period_ns
            blocks.setdefault(mark.block, Waiting(mark.block, due_ns, False))
        return list(blocks.values())

    @property
    def oldest(self) -> int | None:
        """The ordinal of the first frame in the queue."""
        return self._queue[0].ordinal if self._queue else None

    def set_cost(self, block_ns: int, frames: int) -> None:
        """What a block costs in the long run, clean pass included; the period follows if that is more than it plays."""
        self.period_ns = max(self.world_period_ns, round(block_ns * MARGIN / frames))

    def slow_down(self, block_ns: int, frames: int) -> None:
        """`set_cost` where that makes the period longer."""
        period_ns = self.period_ns
        self.set_cost(block_ns, frames)
        self.period_ns = max(period_ns, self.period_ns)

    def hold(self, now_ns: int) -> None:
        """Freeze: nothing is due any more."""
        self._held_at = self._held_at or now_ns

    def release(self, now_ns: int) -> None:
        """Go on exactly where `hold` stopped."""
        if self._held_at is not None and self._next_due_ns is not None:
            self._next_due_ns += now_ns - self._held_at
            self._missed_ns = self._missed_ns and self._missed_ns + now_ns - self._held_at
        self._held_at = None

    def tick(self, now_ns: int) -> Shown:
        """The frame to show at `now_ns`, the newest of those that are due."""
        if self._held_at is not None or not self._is_due(now_ns):
            return Shown(None, False, 0, len(self._queue))
        if not self._queue:
            self._missed_ns, self._was_late = self._missed_ns or self._next_due_ns, True
            self._next_due_ns = now_ns  # still due at the next tick, whenever that is
            return Shown(None, True, 0, 0)
        due_ns, frame, skipped = self._take_due(now_ns), self._pop(now_ns), 0
        while self._queue and self._next_due_ns <= now_ns:
            due_ns, frame, skipped = self._next_due_ns, self._pop(now_ns), skipped + 1
        return Shown(frame, False, skipped, len(self._queue), due_ns)

    def ask_late(self) -> bool:
        """Whether a frame has come too late, or not yet, since this was asked last."""
        was_late, self._was_late = self._was_late, False
        return was_late

    def schedule(self, ordinal: int) -> Schedule | None:
        """When the frame after the newest one in hand is due, for the model's process; None before the first frame.

        ordinal: frames before it have been seen here, whether they are shown or not.
        """
        if self._next_due_ns is None:
            return None
        due_ns = self._next_due_ns + len(self._queue) * self.period_ns
        return Schedule(ordinal, due_ns, self.period_ns, self._held_at is not None)

    def _is_due(self, now_ns: int) -> bool:
        if self._next_due_ns is None:
            return bool(self._queue)
        return self._next_due_ns <= now_ns

    def _take_due(self, now_ns: int) -> int:
        """When the frame that is shown now was due; after one that was missed, all others are due from `now_ns` on."""
        missed_ns, self._missed_ns = self._missed_ns, None
        if missed_ns is None:
            return self._next_due_ns or now_ns
        self._next_due_ns = now_ns
        return missed_ns

    def _pop(self, now_ns: int) -> FrameMark:
        frame = self._queue.popleft()
        self._current_block = frame.block
        self._next_due_ns = (now_ns if self._next_due_ns is None else self._next_due_ns) + self.period_ns
        return frame


class SustainableCost:
    """What a block costs in the long run, over the last few blocks.

    The upper quartile without recaches, so that one slow block changes nothing, and the mean recache, so that a slow
    model does not fall behind where one switch follows another. A jump is followed sooner: a slow block that came too
    late is believed until the next one is there, and three fast ones in a row end what was slow before them.
    """

    def __init__(self, blocks: int = 8) -> None:
        self._alone: deque[int] = deque(maxlen=blocks)
        self._recaches: deque[int] = deque(maxlen=blocks)

    def note(self, cost_ns: int, recache_ns: int, was_late: bool = False) -> int:
        """Record one block's cost and what recaches took beside it; returns the cost to plan with.

        was_late: a frame of it was not there when it was due.
        """
        self._alone.append(cost_ns)
        self._recaches.append(recache_ns)
        newest = list(self._alone)[-3:]
        if len(newest) == 3 and max(newest) < 0.8 * self._typical_ns:
            self._alone.clear()
            self._alone.extend(newest)
        alone_ns = max(self._typical_ns, cost_ns) if was_late else self._typical_ns
        return alone_ns + sum(self._recaches) // len(self._recaches)

    @property
    def _typical_ns(self) -> int:
        return sorted(self._alone)[len(self._alone) * 3 // 4]
