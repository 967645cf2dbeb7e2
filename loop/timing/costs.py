"""What blocks and recaches cost at worst, as the lead has to know it. Pure; nanoseconds throughout."""

from __future__ import annotations

from collections import deque

from loop.link.cost import Cost

RECORD = 256  # blocks, about a minute
HIGH = 0.98  # of the record, what is usual: the worst sinks towards it, since a rare spike is not planned for
SINKING = 32  # blocks in which all but a third of the way there is gone
MISHAP = 5  # so many times what is usual, a cost is not planned for whole
FASTER = 2.5  # so many times below what was usual, for BELIEVED blocks in a row: the model has become faster
BELIEVED = 32
UNSEEN, GROWN = 0.4, 64  # of the level, going down to nothing in so many blocks: what is rare takes its time to show


class Worst:
    """The largest cost lately: it grows at once, and sinks slowly towards the costs that only a few lie above.

    The largest of a long record would grow for minutes on a noisy machine, and the age of every frame with it. A single
    mishap is not planned for whole, since everything after it would be late by as much.
    """

    def __init__(self, record: int = RECORD, high: float = HIGH, sinking: float = SINKING) -> None:
        self._record: deque[int] = deque(maxlen=record)
        self._high, self._sinking = high, sinking
        self._level = 0.0
        self._noted = 0  # in all, whatever was forgotten

    def note(self, cost_ns: int) -> bool:
        """Record one; whether all before were forgotten, because a long run of much smaller ones has ended them."""
        self._record.append(cost_ns)
        self._noted += 1
        newest = list(self._record)[-BELIEVED:]
        usual = sorted(self._record)[int((len(self._record) - 1) * self._high)]
        if len(self._record) > BELIEVED and max(newest) * FASTER < usual:
            self._record.clear()
            self._record.extend(newest)
            self._level = max(newest)
            return True
        sunk = self._level - max(0.0, self._level - usual) / self._sinking
        self._level = max(min(cost_ns, MISHAP * usual), sunk)
        return False

    @property
    def ns(self) -> int | None:
        """None before the first."""
        return round(self._level) if self._record else None

    @property
    def unseen_ns(self) -> int:
        """What a young record cannot tell yet: by few blocks the first seconds would be planned too closely."""
        return round(self._level * UNSEEN * max(0.0, 1 - self._noted / GROWN))


class Costs:
    """Measures what blocks cost. Owned by the model's process.

    A recache that was never measured, or not since the model became much faster, is taken to cost a block.
    """

    def __init__(self) -> None:
        self._first_frame, self._clean, self._pass = Worst(), Worst(), Worst()
        self._recache, self._encoding = _of_rare(), _of_rare()

    def note_block(self, first_frame_ns: int, clean_ns: int) -> None:
        """One block, without its recache; clean_ns is 0 where the clean pass was spared."""
        self._clean.note(clean_ns)
        if self._first_frame.note(first_frame_ns):
            self._recache = _of_rare()

    def note_pass(self, pass_ns: int) -> None:
        """One pass of a block, with what is done before the next look at the pipe."""
        self._pass.note(pass_ns)

    def note_recache(self, recache_ns: int) -> None:
        """One recache."""
        self._recache.note(recache_ns)

    def note_encoding(self, encoding_ns: int) -> None:
        """One prompt that took long to encode."""
        self._encoding.note(encoding_ns)

    @property
    def worst(self) -> Cost | None:
        """None before the first block was measured."""
        block = self._first_frame.ns
        if block is None:
            return None
        recache = self._recache.ns
        rest = (worst.ns or 0 for worst in (self._clean, self._encoding, self._pass))
        return Cost(block if recache is None else recache, block, *rest, self._first_frame.unseen_ns)


def _of_rare() -> Worst:
    """Recaches and encodings are rare and alike, one pass each: a shorter record."""
    return Worst(16, 0.9, 8)
