"""By how much the frames come sooner or later for a while, so that a block begins with a beat. Pure."""

from __future__ import annotations

import math

MOST_SOONER = 0.05  # the largest share of a frame's time by which it comes sooner
MOST_LATER = 0.12  # by which it comes later; a model without time to spare has nothing else to meet a beat with


def slew_to_meet(away_ns: int, frames: int, block_frames: int, planned_ns: int, least_ns: int) -> float:
    """What to multiply the frames' period by, so that a block begins nearest to `away_ns` after the next frame.

    frames: due before the first block that is not here yet. planned_ns: the period without slew. least_ns: the shortest
    one that the model can sustain. Of the block before the beat and the one after it, that one is chosen which can be
    brought nearer: the nearest block may have to hurry, for which a slow model has no time. 1 if neither can be moved.
    """
    shortest = max(planned_ns * (1 - MOST_SOONER), min(least_ns, planned_ns))
    longest = planned_ns * (1 + MOST_LATER)
    before = frames + block_frames * math.floor((away_ns / planned_ns - frames) / block_frames)
    counts = [count for count in (before, before + block_frames) if count > 0]
    if away_ns <= 0 or not counts:
        return 1.0

    def period_to(count: int) -> float:
        return min(max(away_ns / count, shortest), longest)

    def misses(count: int) -> tuple[int, float]:
        return round(abs(away_ns - count * period_to(count))), abs(period_to(count) - planned_ns)

    return period_to(min(counts, key=misses)) / planned_ns
