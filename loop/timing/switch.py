"""How a prompt switch is carried out: what each way costs, how early blocks must begin for it, what can be taken back.

Pure: time is an argument, nanoseconds throughout. The ways are those of the design's section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.link.cost import Cost
from loop.timing.clock import TICK_NS

MODES = ("auto", "inline", "overlap", "snap")
PLAIN = "plain"  # one bank, and nothing planned for a switch: what there is to compare with


def lead_ns(cost: Cost | None, mode: str, play_ns: int) -> int:
    """How long before its first frame is due a block must begin so that no switch leaves a due frame missing.

    In line the recache comes first, so the lead holds it whole. Behind a second bank only what does not fit beside a
    block into the time that a block plays (`play_ns`) has to be held.
    """
    if cost is None:
        return play_ns  # nothing measured: the safe side
    margin_ns = cost.unseen_ns + TICK_NS
    if mode == PLAIN:
        return cost.first_frame_ns + margin_ns
    if mode in ("inline", "snap"):
        return cost.switch_ns + margin_ns
    beside = cost.first_frame_ns + cost.recache_ns + cost.clean_ns - play_ns
    return cost.first_frame_ns + max(0, beside) + margin_ns


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


def keep(queue: Sequence[Waiting], cost: Cost | None, now_ns: int, is_switching: bool = False) -> int | None:
    """The newest block of `queue` to keep when the words change: later ones can be made again in time, unseen.

    A block is kept if a frame of it was shown, or is due before the first new frame can be ready. The model may be in
    the midst of a pass, or of a recache if earlier words are still on their way (`is_switching`). None: keep them all.
    """
    if cost is None or not queue:
        return None
    busy_ns = max(cost.pass_ns, cost.recache_ns) if is_switching else cost.pass_ns
    ready_ns = now_ns + busy_ns + cost.encoding_ns + cost.switch_ns + TICK_NS
    kept = [block for block in queue if block.is_begun or block.due_ns < ready_ns]
    if not kept or len(kept) == len(queue):
        return None
    return kept[-1].index
