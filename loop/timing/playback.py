"""How the frames of one world are played: the pacer, told what the world's blocks cost."""

from __future__ import annotations

from collections import deque
from statistics import median

from loop.link.cost import Cost
from loop.link.message import BlockDone, BlockMade
from loop.timing.pacer import Pacer, Shown, SustainableCost
from loop.timing.switch import keep


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

    def block_made(self, made: BlockMade) -> None:
        """A block's frames are there: if they came too late, or are the first, play them no faster than it was made."""
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
        if frame and shown.due_ns is not None and (not self._due or self._due[-1][0] != frame.block):
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

    def newest_to_keep(self, now_ns: int, is_switching: bool) -> int | None:
        """The newest block to keep when the words change now (loop.timing.switch.keep); None: keep all."""
        return keep(self.pacer.waiting(now_ns), self._worst, now_ns, is_switching)
