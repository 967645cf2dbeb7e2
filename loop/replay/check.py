"""A replay: every block of a session made again and compared with what was saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from loop.archive.record import BlockRecord, averages_record
from loop.archive.saved import SavedSession
from loop.archive.segment import LatentsLostError
from loop.replay.remake import CannotRemakeError, Remaker
from world.block import Block, World


@dataclass
class Comparison:
    """What a replay has found.

    same: blocks that came out as they were saved. healed: those among them whose own latents cannot be read. impure:
    blocks that came out in two ways, straight and by the fold. lost: why blocks could not be made again, one line each.
    differing: the numbers of blocks that came out otherwise; worst: the largest difference of a number of theirs;
    share: the largest root mean square of such a difference over that of the latents.
    """

    same: int = 0
    healed: int = 0
    impure: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)
    worst: float = 0.0
    share: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether every block came out as it was saved."""
        return not (self.differing or self.impure or self.lost)


def compare(world: World, saved: SavedSession, twice: bool, progress: Callable[[int, int], None]) -> Comparison:
    """Make every block of `saved` again. twice: each straight and by the fold. progress: gets (blocks done, of all)."""
    found, remaker = Comparison(), Remaker(world, saved)
    for number, record in enumerate(_in_order(saved), 1):
        try:
            made = remaker.straight(record)
            if twice and remaker.folded(record).digest != made.digest:
                found.impure.append(record.index)
        except (CannotRemakeError, ValueError) as error:
            remaker.distrust()
            found.lost.append(f"block {record.index} cannot be made again: {error}")
            continue
        if not _note(found, saved, record, made):
            remaker.distrust()
        progress(number, len(saved.blocks))
    return found


def _in_order(saved: SavedSession) -> Iterator[BlockRecord]:
    """Every block, those that were taken back or rewound included, as they were made."""
    return (saved.blocks[index] for index in sorted(saved.blocks))


def _note(found: Comparison, saved: SavedSession, record: BlockRecord, made: Block) -> bool:
    """Compare a block with the one that was saved; whether they are the same."""
    try:
        stored = saved.latents(record.index)
    except LatentsLostError:
        stored = None
    if made.digest == record.digest and record.averages in (None, averages_record(made)):
        found.same += 1
        found.healed += stored is None
        return True
    found.differing.append(record.index)
    if stored is not None and stored.shape == made.latents.shape:
        before, after = stored.astype(np.float64), made.latents.astype(np.float64)
        found.worst = max(found.worst, float(np.abs(after - before).max()))
        scale = float(np.sqrt((before**2).mean())) or 1.0
        found.share = max(found.share, float(np.sqrt(((after - before) ** 2).mean())) / scale)
    return False
