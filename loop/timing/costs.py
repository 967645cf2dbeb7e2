"""The costs to plan with: the largest that blocks and recaches had lately. Pure; nanoseconds throughout."""

from __future__ import annotations

from collections import deque

from loop.link.cost import Cost

RECORD = 256  # costs that a record holds, one a block: about a minute
HIGH = 0.98  # the level decays towards this quantile of the record: a rarer spike is not planned for
DECAY = 32  # blocks in which the level loses all but a third of what it lies above that quantile
SPIKE = 5  # the level follows a cost up to so many times the quantile
FASTER = 2.5  # a run of BELIEVED costs so many times below the quantile: the model has become faster
BELIEVED = 32
UNSEEN, GROWN = 0.4, 64  # the margin of a young record: this share of the level, decreasing to zero in so many costs


class Worst:
    """The largest recent cost: it rises at once and decays slowly towards a high quantile of the record.

    The maximum of a long record would grow for minutes on a noisy machine, and the age of every frame with it. A single
    spike is followed only up to a limit, since everything planned after it would be late by as much.
    """

    def __init__(self, record: int = RECORD, high: float = HIGH, decay: float = DECAY) -> None:
        self._record: deque[int] = deque(maxlen=record)
        self._high, self._decay = high, decay
        self._level = 0.0
        self._noted = 0  # costs noted since the beginning, those that the record has dropped included

    def note(self, cost_ns: int) -> bool:
        """Record a cost; True when that ends a long run of much smaller costs, so that the older ones are dropped."""
        self._record.append(cost_ns)
        self._noted += 1
        newest = list(self._record)[-BELIEVED:]
        usual = sorted(self._record)[int((len(self._record) - 1) * self._high)]
        if len(self._record) > BELIEVED and max(newest) * FASTER < usual:
            self._record.clear()
            self._record.extend(newest)
            self._level = max(newest)
            return True
        decayed = self._level - max(0.0, self._level - usual) / self._decay
        self._level = max(min(cost_ns, SPIKE * usual), decayed)
        return False

    @property
    def ns(self) -> int | None:
        """The cost to plan with; None before the first was noted."""
        return round(self._level) if self._record else None

    @property
    def unseen_ns(self) -> int:
        """A margin for what a short record has not shown yet; without it the first seconds are planned too tightly."""
        return round(self._level * UNSEEN * max(0.0, 1 - self._noted / GROWN))


class Costs:
    """Records what blocks, recaches and encodings cost. Owned by the model's process.

    Until a recache has been measured, and again after the model became much faster, one is assumed to cost a block.
    """

    def __init__(self) -> None:
        self._first_frame, self._clean, self._pass = Worst(), Worst(), Worst()
        self._recache, self._encoding = _worst_of_few(), _worst_of_few()

    def note_block(self, first_frame_ns: int, clean_ns: int) -> None:
        """A block without its recache; clean_ns is 0 where the clean pass was not needed."""
        self._clean.note(clean_ns)
        if self._first_frame.note(first_frame_ns):
            self._recache = _worst_of_few()

    def note_pass(self, pass_ns: int) -> None:
        """A pass of a block, with all that is done until the pipe is read again."""
        self._pass.note(pass_ns)

    def note_recache(self, recache_ns: int) -> None:
        """A recache. Before the first block it had nothing to encode, and says nothing of those that follow."""
        if self._first_frame.ns is not None:
            self._recache.note(recache_ns)

    def note_encoding(self, encoding_ns: int) -> None:
        """An encoding of words that was slow enough for a thread of its own."""
        self._encoding.note(encoding_ns)

    @property
    def worst(self) -> Cost | None:
        """The costs to plan with; None before the first block was measured."""
        block = self._first_frame.ns
        if block is None:
            return None
        recache = self._recache.ns
        return Cost(
            recache_ns=block if recache is None else recache,
            first_frame_ns=block,
            clean_ns=self._clean.ns or 0,
            encoding_ns=self._encoding.ns or 0,
            pass_ns=self._pass.ns or 0,
            unseen_ns=self._first_frame.unseen_ns,
            knows_recache=recache is not None,
        )


def _worst_of_few() -> Worst:
    """Recaches and encodings are rare, and each is one pass of much the same length: a short record is enough."""
    return Worst(16, 0.9, 8)
