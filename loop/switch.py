"""How a prompt switch is carried out: what each way costs, how early blocks must begin for it, what can be taken back.

Pure: time is an argument, nanoseconds throughout. The ways are those of the design's section 6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from loop.clock import TICK_NS

MODES = ("auto", "inline", "overlap", "snap")
PLAIN = "plain"  # one bank, and nothing planned for a switch: what there is to compare with


@dataclass(frozen=True)
class Cost:
    """The worst that was measured lately: a recache, a block up to its first frame, and its clean pass."""

    recache_ns: int
    first_frame_ns: int
    clean_ns: int

    @property
    def switch_ns(self) -> int:
        """From the boundary to the first frame under new words."""
        return self.recache_ns + self.first_frame_ns


class Costs:
    """Measures what blocks cost. Owned by the model's process.

    The largest of the last 1,000 blocks and 50 recaches: it grows at once on a near miss, and shrinks only when the
    costly one has left the record. A recache that was never measured is taken to cost a block.
    """

    def __init__(self) -> None:
        self._first_frame: deque[int] = deque(maxlen=1000)
        self._clean: deque[int] = deque(maxlen=1000)
        self._recache: deque[int] = deque(maxlen=50)

    def note_block(self, first_frame_ns: int, clean_ns: int) -> None:
        """One block, without its recache; clean_ns is 0 where the clean pass was spared."""
        self._first_frame.append(first_frame_ns)
        self._clean.append(clean_ns)

    def note_recache(self, recache_ns: int) -> None:
        """One recache."""
        self._recache.append(recache_ns)

    @property
    def worst(self) -> Cost | None:
        """None before the first block was measured."""
        if not self._first_frame:
            return None
        block = max(self._first_frame)
        return Cost(max(self._recache, default=block), block, max(self._clean))


def lead_ns(cost: Cost | None, mode: str, play_ns: int) -> int:
    """How long before its first frame is due a block must begin so that no switch leaves a due frame missing.

    In line the recache comes first, so the lead holds it whole. Behind a second bank only what does not fit beside a
    block into the time that a block plays (`play_ns`) has to be held.
    """
    if cost is None:
        return play_ns  # nothing measured: the safe side
    if mode == PLAIN:
        return cost.first_frame_ns + TICK_NS
    if mode in ("inline", "snap"):
        return cost.switch_ns + TICK_NS
    beside = cost.first_frame_ns + cost.recache_ns + cost.clean_ns - play_ns
    return cost.first_frame_ns + max(0, beside) + TICK_NS


def fits(cost: Cost | None, now_ns: int, due_ns: int | None, hard_cut: bool = False) -> bool:
    """Whether a recache begun now, and the block after it, are done before that block's first frame is due.

    A hard cut needs no recache. What was not measured, and what is not due (None), fits.
    """
    if cost is None or due_ns is None:
        return True
    needed_ns = cost.first_frame_ns if hard_cut else cost.switch_ns
    return now_ns + needed_ns + TICK_NS <= due_ns


@dataclass(frozen=True)
class Waiting:
    """A block in the queue: when its first frame not yet shown is due, and whether any was shown."""

    index: int
    due_ns: int
    is_begun: bool


def keep(queue: Sequence[Waiting], cost: Cost | None, now_ns: int) -> int | None:
    """The newest block of `queue` to keep when the words change: later ones can be made again in time, unseen.

    A block is kept if a frame of it was shown, or is due before the first new frame can be ready. None: keep them all.
    """
    if cost is None or not queue:
        return None
    ready_ns = now_ns + cost.switch_ns + TICK_NS
    kept = [block for block in queue if block.is_begun or block.due_ns < ready_ns]
    if not kept or len(kept) == len(queue):
        return None
    return kept[-1].index
