"""Which picture was on the screen when, and by how much it changed around a switch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loop.measure.trace.analysis import new_frames
from loop.measure.trace.recording import MS, Recording, TracedEvent

BEFORE_MS, AFTER_MS = 100, 500  # around a switch: from its source, to its first frame and on


@dataclass(frozen=True)
class Jump:
    """The largest mean change around a switch, 0 to 255.

    to_next: from a picture to the next that was shown. in_a_period: from what was on the screen to what was there a
    period of the world later. places: of the pictures around it in the film.
    """

    to_next: float
    in_a_period: float
    places: tuple[int, ...]


class ShownFilm:
    """The pictures that a show has shown, in order, and since when each was on the screen.

    film: uint8 [T, Y, X, 3], all frames of the blocks that were shown, in order, as `replay --out` writes them. The
        first block may have fewer than the others.
    """

    def __init__(self, recording: Recording, film: np.ndarray) -> None:
        self.film, self._period_ns = film, round(recording.period_ms * MS)
        shown, size = new_frames(recording.flips), recording.header["block_frames"]
        blocks = list(dict.fromkeys(line["block"] for line in shown))
        missing = max(0, len(blocks) * size - len(film))  # of the first block
        first = {block: max(0, place * size - missing) for place, block in enumerate(blocks)}
        self._times_ns = [line["t_ns"] for line in shown]
        self._places = [first[line["block"]] + line["frame"] - line["block"] * size for line in shown]

    def jump(self, event: TracedEvent) -> Jump:
        """The changes around an event that was shown."""
        begin_ns = event.stamps["pump"] - BEFORE_MS * MS
        end_ns = event.stamps["flip"] + AFTER_MS * MS
        first, last = (bisect_right(self._times_ns, at) for at in (begin_ns, end_ns))
        places = self._places[max(0, first - 1) : last]
        looks = range(begin_ns, end_ns, self._period_ns)
        seen = [self._places[max(0, bisect_right(self._times_ns, at) - 1)] for at in looks]
        return Jump(self._largest(places), self._largest(seen), tuple(places))

    def _largest(self, places: Sequence[int]) -> float:
        """The largest mean absolute change between neighbours."""
        changes = [self._change(*pair) for pair in pairwise(places)]
        return max(changes, default=0.0)

    def _change(self, before: int, after: int) -> float:
        pictures = self.film[before].astype(np.int16), self.film[after].astype(np.int16)
        return float(np.abs(pictures[1] - pictures[0]).mean())
