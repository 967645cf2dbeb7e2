"""How the frames of one world are played: the pacer, told what the world's blocks cost."""

from __future__ import annotations

from collections import deque
from statistics import median

from loop.link.cost import Cost
from loop.link.kept import Kept
from loop.link.message import BlockDone, BlockMade, Taken
from loop.timing.clock import TICK_NS
from loop.timing.leap import LEAST_GAIN_NS, Change, Gestures
from loop.timing.pacer import Pacer, Shown, SustainableCost
from loop.timing.switch import keep, lead_ns, ready_ns


class Playback:
    """The pacer of an open world and the costs that set its rate. Owned by the engine.

    block_ms: what a block costs in the long run, in milliseconds. block_frames: pixel frames of a block.
    """

    def __init__(self, fps: float, block_frames: int) -> None:
        self.pacer = Pacer(fps)
        self.block_ms = 0.0
        self.block_frames = block_frames
        self._cost = SustainableCost()
        self._worst: Cost | None = None
        self._begun: deque[tuple[int, int]] = deque(maxlen=16)  # (block, when it was begun), of the newest blocks
        self._due: deque[tuple[int, int]] = deque(maxlen=16)  # (block, when its first frame was due)
        self._was_late = False  # a frame of the newest block was missing when it was due
        self._newest = -1  # the newest block that was made
        self._gestures = Gestures()
        self._leaping: dict[int, bool] = {}  # numbers of events that leap and wait: whether each needs a recache
        self._work_ns = 0  # for the block that is leapt to, from its boundary to its first frame

    def block_made(self, made: BlockMade, now_ns: int) -> None:
        """A block's frames are there: if they came too late, or are the first, play them no faster than it was made."""
        self._newest = made.block.index
        if self.pacer.leap.block == self._newest + 1 and self._worst:
            self.pacer.leap.begin(self._newest + 1, now_ns + self._worst.clean_ns + self._work_ns)
        self._was_late = self.pacer.ask_late()
        if self._was_late or self._worst is None:
            self.pacer.slow_down(made.took_ns * 5 // 4, self.block_frames)  # the clean pass is a fifth of a block

    def block_done(self, done: BlockDone) -> None:
        """A block's costs are known: follow them."""
        self._worst = done.worst
        self._begun.append((done.facts.index, done.t_begin_ns))
        alone_ns = done.t_end_ns - done.t_begin_ns - done.recache_ns
        cost_ns = self._cost.note(alone_ns, done.recache_ns, self._was_late)
        self.block_ms = cost_ns / 1e6
        self.pacer.set_cost(cost_ns, self.block_frames)

    def shown(self, shown: Shown) -> None:
        """A tick has shown this: note when a block came to the screen."""
        frame = shown.frame
        is_first = frame is not None and (not self._due or self._due[-1][0] != frame.block)
        if frame and is_first and shown.due_ns is not None and not shown.leapt_ns:
            self._due.append((frame.block, shown.due_ns))

    @property
    def block_ns(self) -> int:
        """How long a block plays at the present rate."""
        return self.pacer.period_ns * self.block_frames

    @property
    def prompt_to_pixel_ns(self) -> int:
        """The measured mean time from a prompt to its first pixel, where nothing is taken back for it.

        That is the time from a block's boundary to its first frame, and half a block to wait for the boundary.
        """
        begun = dict(self._begun)
        measured = [due_ns - begun[block] for block, due_ns in self._due if block in begun]
        from_boundary_ns = median(measured) if measured else self.block_ns
        return round(from_boundary_ns) + self.block_ns // 2

    def block_at(self, target_ns: int) -> int | None:
        """The block that is expected to begin nearest to `target_ns`, of those that are not made yet."""
        found = self.pacer.next_block(self.block_frames)
        if found is None:
            return None
        index, begin_ns, _ = found
        return index + max(0, round((target_ns - begin_ns) / self.block_ns))

    def align(self, target_ns: int | None) -> None:
        """Bring the beginning of a block to `target_ns`, as far as that can be done unseen; None: no more."""
        self.pacer.align(target_ns, self.block_frames)
        if target_ns is not None:
            self.pacer.leap.end()

    def ready_ns(self, now_ns: int, is_switching: bool, no_recache: bool = False) -> int | None:
        """When a change that comes now is ready at the latest (loop.timing.switch.ready_ns); None: not known yet."""
        return None if self._worst is None else ready_ns(self._worst, now_ns, is_switching, no_recache)

    def can_cut(self, no_recache: bool) -> bool:
        """Whether the costs are known of what comes after a block is cut: a guess might leave a frame missing."""
        return self._worst is not None and (no_recache or self._worst.knows_recache)

    def newest_to_keep(self, now_ns: int, ready_ns: int, can_cut: bool = False) -> Kept | None:
        """Up to where to keep the queue for a change that is ready at `ready_ns` (loop.timing.switch.keep)."""
        return keep(self.pacer.waiting(now_ns), ready_ns, can_cut)

    def leaps(self, change: Change, kept: Kept | None, now_ns: int, is_asked: bool) -> bool:
        """Whether to begin the next block at once for a change, and to show what comes before it faster.

        Only the first change of a gesture leaps, and only where the model rests between two blocks. kept: up to
        where the queue is kept, if what comes after that is dropped for the change. is_asked: even where little is
        gained.
        """
        begins, cost = self._gestures.begins(change.is_words, now_ns), self._worst
        if not begins or cost is None or self._busy_ns(cost) > self.block_ns:
            return False
        if not is_asked and self._gain_ns(cost, change.needs_recache, kept, now_ns) < LEAST_GAIN_NS:
            return False
        self._leaping[change.number] = change.needs_recache
        self.pacer.leap.end()  # the block that was leapt to so far may be given up for this change
        return True

    def taken(self, taken: Taken) -> None:
        """Events were taken for a block: leap to it if one of them leaps."""
        needs = [self._leaping.pop(number) for number in taken.applied if number in self._leaping]
        for number in taken.replaced:
            self._leaping.pop(number, None)
        if needs and self._worst:
            self._work_ns = _work_ns(self._worst, taken.recaches or any(needs)) + self._worst.unseen_ns + TICK_NS
            is_next = taken.block == self._newest + 1  # else another block is in flight, and comes before it
            ready_ns = taken.t_ns - taken.spent_ns + self._work_ns
            self.pacer.leap.begin(taken.block, ready_ns if is_next else None)

    def stop_leaping(self) -> None:
        """What the leap was begun for may come later than it was said, or never."""
        self._leaping.clear()
        self.pacer.leap.end()

    def _busy_ns(self, cost: Cost) -> int:
        """The longest time from a block's first frame to that of the next block."""
        return cost.clean_ns + cost.first_frame_ns + cost.unseen_ns + TICK_NS

    def _gain_ns(self, cost: Cost, needs_recache: bool, kept: Kept | None, now_ns: int) -> int:
        """How much sooner a change is expected to be seen if it leaps now."""
        after = self.pacer.after(kept)
        if after is None:
            return 0
        (due_ns, frames), work_ns = after, cost.encoding_ns + _work_ns(cost, needs_recache)
        begun_ns = due_ns - lead_ns(cost, "auto", self.block_ns)  # of the next block, if the change did not come
        ready_ns = now_ns + work_ns
        if ready_ns + TICK_NS > due_ns or (kept is None and now_ns > begun_ns):  # the next block will not hold it
            due_ns, frames = due_ns + self.block_ns, frames + self.block_frames
            ready_ns = min(now_ns, begun_ns) + cost.first_frame_ns + cost.clean_ns + work_ns
        seen_ns = max(ready_ns, now_ns + frames * self.pacer.leap.step_ns)
        return min(due_ns - seen_ns, self.pacer.leap.left_ns(now_ns))


def _work_ns(cost: Cost, needs_recache: bool) -> int:
    """From a boundary to the first frame of the block after it, at the longest."""
    return cost.first_frame_ns + (cost.recache_ns if needs_recache else 0)
