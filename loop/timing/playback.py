"""How the frames of one world are played: the pacer, told what the world's blocks cost."""

from __future__ import annotations

from loop.link.cost import Cost
from loop.link.message import BlockDone, BlockMade
from loop.timing.pacer import Pacer, SustainableCost
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
        self._was_late = False  # a frame of the newest block was missing when it was due

    def block_made(self, made: BlockMade) -> None:
        """A block's frames are there: if they came too late, or are the first, play them no faster than it was made."""
        self._was_late = self.pacer.ask_late()
        if self._was_late or self._worst is None:
            self.pacer.slow_down(made.took_ns * 5 // 4, self.block_frames)  # the clean pass is a fifth of a block

    def block_done(self, done: BlockDone) -> None:
        """A block's costs are known: follow them."""
        self._worst = done.worst
        alone_ns = done.t_end_ns - done.t_begin_ns - done.recache_ns
        cost_ns = self._cost.note(alone_ns, done.recache_ns, self._was_late)
        self.block_ms = cost_ns / 1e6
        self.pacer.set_cost(cost_ns, self.block_frames)

    def newest_to_keep(self, now_ns: int, is_switching: bool) -> int | None:
        """The newest block to keep when the words change now (loop.timing.switch.keep); None: keep all."""
        return keep(self.pacer.waiting(now_ns), self._worst, now_ns, is_switching)
