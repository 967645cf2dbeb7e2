"""The pacer decides which frame is due. Pure: time is an argument, nanoseconds throughout."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from loop.link.kept import Kept
from loop.link.ring import FrameMark, Schedule
from loop.timing.leap import Leap
from loop.timing.slew import slew_to_meet
from loop.timing.switch import Waiting

SLEW_NS = 1_000_000
MARGIN = 1.02  # a slow model's frames are spread a little wider than it makes them, so that they never run out


@dataclass(frozen=True)
class Shown:
    """What one tick shows: a new frame, or None to leave the picture as it is.

    starved: a frame was due and none was ready. skipped: frames that were due before the new one and are not shown.
    queue: frames that wait. due_ns: when the new frame was due, even if it came later than that. leapt_ns: by how much
    due times were moved forward for it.
    """

    frame: FrameMark | None
    starved: bool
    skipped: int
    queue: int
    due_ns: int | None = None
    leapt_ns: int = 0


class Pacer:
    """Absolute due times for a stream of frames.

    Frames are due `period_ns` apart. If a frame is due and none is ready, the next one is shown as soon as it comes and
    the following ones are due from then on: lost time is not caught up, so latency cannot ratchet. If ticks were
    missed, all but the newest of the frames that became due meanwhile are skipped. While the picture is frozen, every
    due time moves on with the clock. A leap moves due times forward.
    """

    def __init__(self, fps: float) -> None:
        self.world_period_ns = int(1e9 / fps)  # never above: a block must not end after the tick that it ends with
        self.leap = Leap(self.world_period_ns)
        self.period_ns = self.world_period_ns
        self._planned_ns = self.world_period_ns  # the period without slew
        self._least_ns = 0  # the shortest period that the model can sustain
        self._slew = 1.0
        self._queue: deque[FrameMark] = deque()
        self._next_due_ns: int | None = None
        self._missed_ns: int | None = None  # when a frame was due that has not come yet
        self._last_ns = 0  # from when on the newest frame's time has run
        self._was_late = False
        self._cut_block: int | None = None  # the block whose last frames were dropped
        self._last_tick_ns: int | None = None
        self._past: deque[int] = deque(maxlen=64)  # the newest frames that were shown or skipped, by number
        self.shown: FrameMark | None = None  # the newest frame that was due

    @property
    def rate(self) -> float:
        """Presentation rate over world rate: 1 unless the model is slower than real time."""
        return self.world_period_ns / self.period_ns

    def add(self, mark: FrameMark) -> None:
        """Queue a frame that was made."""
        self._queue.append(mark)

    def drop_after(self, kept: Kept) -> int:
        """Remove the frames that are not kept; the frames made instead of them get their due times.

        Returns how many of them were of the newest block that is kept.
        """
        dropped = [mark for mark in self._queue if kept.drops(mark.block, mark.latent)]
        self._queue = deque(mark for mark in self._queue if not kept.drops(mark.block, mark.latent))
        self._cut_block = None if kept.latents is None else kept.block
        self.leap.end()
        return sum(mark.block == kept.block for mark in dropped)

    def waiting(self, now_ns: int) -> list[Waiting]:
        """The latent frame on the screen and those in the queue, oldest first."""
        if self.shown is None or self._next_due_ns is None:
            return []
        on_screen = self.shown.block, self.shown.latent
        found = {on_screen: Waiting(on_screen[0], now_ns, True, on_screen[1])}
        for place, mark in enumerate(self._queue):
            due_ns = self._next_due_ns + place * self.period_ns
            found.setdefault((mark.block, mark.latent), Waiting(mark.block, due_ns, False, mark.latent))
        return list(found.values())

    def situation(self, now_ns: int) -> dict[str, Any] | None:
        """What an event that comes now finds before it, for the trace; None before the first frame."""
        if self.shown is None or self._next_due_ns is None:
            return None
        counts = {(self.shown.block, self.shown.latent): 0}
        for mark in self._queue:
            counts[mark.block, mark.latent] = counts.get((mark.block, mark.latent), 0) + 1
        frames = [[block, latent, count] for (block, latent), count in counts.items()]
        newest = (self._queue[-1] if self._queue else self.shown).number
        times = {"last_ns": self._last_ns, "due_ns": self._next_due_ns, "period_ns": self.period_ns}
        return {"t_ns": now_ns, "frames": frames, "newest": newest, **times, "left_ns": self.leap.left_ns(now_ns)}

    def after(self, kept: Kept | None) -> tuple[int, int] | None:
        """(when the first frame that is not kept is due, how many frames are due before it); None: all are kept."""
        frames = sum(kept is None or not kept.drops(mark.block, mark.latent) for mark in self._queue)
        return None if self._next_due_ns is None else (self._next_due_ns + frames * self.period_ns, frames)

    @property
    def oldest(self) -> FrameMark | None:
        """The first frame in the queue."""
        return self._queue[0] if self._queue else None

    def set_cost(self, block_ns: int, frames: int) -> None:
        """Spread the frames of a block over what a block costs in the long run, at the world's own rate at most."""
        self._least_ns = round(block_ns * MARGIN / frames)
        self._plan(max(self.world_period_ns, self._least_ns))

    def slow_down(self, block_ns: int, frames: int) -> None:
        """The same as `set_cost`, but only if that makes the period longer."""
        planned_ns = self._planned_ns
        self.set_cost(block_ns, frames)
        self._plan(max(planned_ns, self._planned_ns))

    def _plan(self, period_ns: int) -> None:
        self._planned_ns = period_ns
        self.period_ns = max(round(period_ns * self._slew), min(self._least_ns, period_ns))

    def next_block(self, block_frames: int) -> tuple[int, int, int] | None:
        """(its index, when it begins, how many frames are due before) of the first block that is not here yet."""
        newest = self._queue[-1] if self._queue else self.shown
        if newest is None or self._next_due_ns is None:
            return None
        missing = block_frames - 1 - (newest.number - newest.block * block_frames)
        frames = len(self._queue) + (0 if newest.block == self._cut_block else missing)
        return newest.block + 1, self._next_due_ns + frames * self.period_ns, frames

    def align(self, target_ns: int | None, block_frames: int) -> None:
        """Slew the frames' period so that a block begins at `target_ns`; None: no slew any more.

        The slew has limits (loop.timing.slew): what is too far off is only brought nearer.
        """
        found = self.next_block(block_frames)
        self._slew = 1.0
        if target_ns is not None and found is not None and self._next_due_ns is not None:
            away_ns = target_ns - self._next_due_ns
            self._slew = slew_to_meet(away_ns, found[2], block_frames, self._planned_ns, self._least_ns)
        self._plan(self._planned_ns)

    def follow(self, number: int, due_ns: int, period_ns: int, at_once: bool = False) -> None:
        """Let frame `number`, and with it all others, be due when another screen says, if it is known here.

        Small differences are slewed, a millisecond at a time; larger ones than a period and a half are made up at once,
        as are all with `at_once`.
        """
        self._plan(period_ns)
        if self._next_due_ns is None:
            return
        numbers = [*self._past, *(mark.number for mark in self._queue)]
        if number not in numbers:
            return
        place = len(numbers) - 1 - numbers[::-1].index(number) - len(self._past)  # in the queue; shown ones are below 0
        error_ns = due_ns - place * period_ns - self._next_due_ns
        if abs(error_ns) < period_ns * 3 // 2 and not at_once:
            error_ns = min(max(error_ns, -SLEW_NS), SLEW_NS)
        self._next_due_ns += error_ns

    def tick(self, now_ns: int, is_frozen: bool = False) -> Shown:
        """The newest of the frames that are due at `now_ns`; none while the picture is frozen."""
        elapsed_ns = 0 if self._last_tick_ns is None else now_ns - self._last_tick_ns
        self._last_tick_ns = now_ns
        if is_frozen:
            self._postpone(elapsed_ns)
            self.leap.end()
        leapt_ns = self._hurry(now_ns)
        if is_frozen or not self._is_due(now_ns):
            return Shown(None, False, 0, len(self._queue))
        if not self._queue:
            self._missed_ns, self._was_late = self._missed_ns or self._next_due_ns, True
            self._next_due_ns = now_ns  # still due at the next tick, whenever that is
            return Shown(None, True, 0, 0)
        due_ns, skipped = self._first_due(now_ns), 0
        frame, next_ns = self._queue.popleft(), (due_ns if self._missed_ns is None else now_ns) + self.period_ns
        self._past.append(frame.number)
        while self._queue and next_ns <= now_ns:
            self._past.append(self._queue[0].number)
            due_ns, frame, skipped = next_ns, self._queue.popleft(), skipped + 1
            next_ns += self.period_ns
        self._missed_ns, self._next_due_ns = None, next_ns
        self._last_ns, self.shown = next_ns - self.period_ns, frame
        if self.leap.block is not None and frame.block >= self.leap.block:
            self.leap.end()
        return Shown(frame, False, skipped, len(self._queue), due_ns, leapt_ns)

    def _hurry(self, now_ns: int) -> int:
        """Move the due times forward as far as a leap wants it at this tick; by how much."""
        awaited = self.leap.block
        if awaited is None or not self._queue or self._next_due_ns is None or self._missed_ns is not None:
            return 0
        if self._queue[-1].block >= awaited:  # sooner than at the latest: no frame has to last for it any more
            self.leap.begin(awaited, now_ns)
        rest_ns = sum(mark.block < awaited for mark in self._queue) * self.period_ns
        early_ns = self.leap.early_ns(self._queue[0].block, self._last_ns, self._next_due_ns, rest_ns, now_ns)
        self._next_due_ns -= early_ns
        return early_ns

    def ask_late(self) -> bool:
        """Whether a frame was missing when it was due, at any tick since the last call."""
        was_late, self._was_late = self._was_late, False
        return was_late

    def schedule(self, ordinal: int, is_frozen: bool = False, lead_ns: int = 0) -> Schedule | None:
        """When frame `ordinal`, the first that is not queued here yet, is due; None before the first frame is shown.

        lead_ns: to have it so much sooner.
        """
        if self._next_due_ns is None:
            return None
        due_ns = self._next_due_ns + len(self._queue) * self.period_ns - lead_ns
        return Schedule(ordinal, due_ns, self.period_ns, is_frozen)

    def _is_due(self, now_ns: int) -> bool:
        if self._next_due_ns is None:
            return bool(self._queue)
        return self._next_due_ns <= now_ns

    def _first_due(self, now_ns: int) -> int:
        """When the first frame of the queue was due: the very first is due when it comes."""
        if self._missed_ns is not None:
            return self._missed_ns
        return now_ns if self._next_due_ns is None else self._next_due_ns

    def _postpone(self, by_ns: int) -> None:
        if self._next_due_ns is not None:
            self._next_due_ns += by_ns
        if self._missed_ns is not None:
            self._missed_ns += by_ns


class SustainableCost:
    """What a block costs in the long run, estimated from the last few blocks.

    It is the upper quartile of the blocks' costs without recaches, so that one slow block changes nothing, plus the
    mean cost of recaches, so that a slow model does not fall behind when one switch follows another. A jump is followed
    sooner: a slow block that came too late counts at once, until the next block, and after three fast blocks in a row
    the slower ones before them are forgotten.
    """

    def __init__(self, blocks: int = 8) -> None:
        self._alone: deque[int] = deque(maxlen=blocks)
        self._recaches: deque[int] = deque(maxlen=blocks)

    def note(self, cost_ns: int, recache_ns: int, was_late: bool = False) -> int:
        """Record a block's cost and that of the recaches during it; returns the cost to plan with.

        was_late: a frame of the block was missing when it was due.
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
