"""The timing of prompt switches: how early a block must begin, whether a recache fits, which blocks can be taken back.

Pure: time is an argument, nanoseconds throughout. The modes are those of the design's section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loop.link.cost import Cost
from loop.link.kept import Kept
from loop.timing.clock import TICK_NS

MODES = ("auto", "inline", "overlap", "snap", "leap")
PLAIN = "plain"  # one bank, and no time planned for a switch: the baseline of the benchmarks
WHOLE = "whole"  # auto without leaps, so that every block plays for its whole time: the baseline of a leap
AHEAD = ("overlap", "auto", "leap", WHOLE)  # modes in which a recache may run beside a block
TAKES_BACK = ("snap", "auto", "leap", WHOLE)  # modes in which blocks that nobody has seen are dropped
CUTS = ("snap", "auto", "leap")  # modes in which a block is cut where nobody has seen the rest of it
LEAPS = ("auto", "leap")  # modes in which what is left of a block may be shown faster


def lead_ns(cost: Cost | None, mode: str, play_ns: int) -> int:
    """How long before its first frame is due a block must begin, so that no switch can make that frame late.

    Without a second bank the block's own recache comes first, so the lead includes all of it. With a second bank the
    lead includes only the part of the recache that does not fit into the time that a block plays (`play_ns`), next to
    the block itself.
    """
    if cost is None:
        return play_ns  # nothing measured: the safe side
    margin_ns = cost.unseen_ns + TICK_NS
    if mode == PLAIN:
        return cost.first_frame_ns + margin_ns
    if mode in ("inline", "snap"):
        return cost.switch_ns + margin_ns
    excess_ns = cost.first_frame_ns + cost.recache_ns + cost.clean_ns - play_ns
    return cost.first_frame_ns + max(0, excess_ns) + margin_ns


def fits(cost: Cost | None, now_ns: int, due_ns: int | None, no_recache: bool = False) -> bool:
    """Whether a recache that begins now, and the first frame of the block after it, are done by `due_ns`.

    no_recache: it needs none, as a hard cut does. True where nothing was measured yet (cost None) or nothing is due
    (due_ns None).
    """
    if cost is None or due_ns is None:
        return True
    needed_ns = cost.first_frame_ns if no_recache else cost.switch_ns
    return now_ns + needed_ns + TICK_NS <= due_ns


@dataclass(frozen=True)
class Waiting:
    """A latent frame of a block in the queue: when its first pixel frame that was not shown is due.

    latent: its number in its block, 0 the first. is_begun: whether a pixel frame of it was shown.
    """

    index: int
    due_ns: int
    is_begun: bool
    latent: int = 0


def ready_ns(cost: Cost, now_ns: int, is_switching: bool = False, no_recache: bool = False) -> int:
    """When the first frame under new words can be ready at the latest, if what is made now is given up for them.

    That includes the wait for the model's present pass, or for a recache if earlier words are not in force yet
    (`is_switching`). no_recache: the words need none, as those of a hard cut.
    """
    busy_ns = max(cost.pass_ns, cost.recache_ns) if is_switching else cost.pass_ns
    work_ns = cost.first_frame_ns if no_recache else cost.switch_ns
    return now_ns + busy_ns + cost.encoding_ns + work_ns + TICK_NS


def keep(queue: Sequence[Waiting], ready_ns: int, can_cut: bool = False) -> Kept | None:
    """Up to where `queue` is kept when the words change; what comes after it can be made again in time, unseen.

    A block is kept if a frame of it was shown, or is due before the first frame under the new words is ready; where
    blocks can be cut, a latent frame. None: keep all.
    """
    kept = [waiting for waiting in queue if waiting.is_begun or waiting.due_ns < ready_ns]
    if not kept or len(kept) == len(queue):
        return None
    newest, dropped = kept[-1], queue[len(kept)]
    if dropped.index != newest.index:
        return Kept(newest.index)
    if can_cut:
        return Kept(newest.index, newest.latent + 1)
    return None if newest.index == queue[-1].index else Kept(newest.index)
