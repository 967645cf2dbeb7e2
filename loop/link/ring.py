"""Frames on their way to the window: a ring in shared memory, one writer, one reader, no copy on the reader's side.

The header carries what the start of a block depends on: how many frames were written and released, and when the next
frame is due. Both sides keep plain integers in one int64 array; each cell has exactly one writer, and the schedule's
three cells are guarded by a version that is odd while they change.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np

_WRITTEN, _RELEASED, _VERSION, _COUNT, _DUE, _PERIOD, _HELD = range(7)
_HEADER_CELLS = 8
_SLOT_CELLS = 4  # frame number, block index, epoch, time of writing


@dataclass(frozen=True)
class FrameMark:
    """A frame in the ring: `number` counts made frames, `ordinal` counts frames of this ring.

    epoch: how often unseen frames had been dropped when this one was made.
    """

    ordinal: int
    number: int
    block: int
    epoch: int
    written_ns: int


@dataclass(frozen=True)
class Schedule:
    """The first frame that comes after those before `ordinal` is due at `due_ns`, the following ones `period_ns` apart.

    held: nothing is due for now.
    """

    ordinal: int
    due_ns: int
    period_ns: int
    held: bool = False


class FrameRing:
    """`slots` frames of [Y, X, 3] uint8. `create` on the reader's side, `attach` on the writer's."""

    def __init__(self, memory: SharedMemory, slots: int, picture: tuple[int, int]) -> None:
        width, height = picture
        cells = _HEADER_CELLS + slots * _SLOT_CELLS
        self._memory = memory
        self._numbers = np.ndarray((cells,), np.int64, memory.buf)
        self._marks = self._numbers[_HEADER_CELLS:].reshape(slots, _SLOT_CELLS)
        self._pixels = np.ndarray((slots, height, width, 3), np.uint8, memory.buf, offset=cells * 8)
        self.slots = slots

    @classmethod
    def create(cls, slots: int, picture: tuple[int, int]) -> FrameRing:
        """A new segment; call `unlink` as soon as the writer has attached, so that no crash can leave it behind."""
        size = (_HEADER_CELLS + slots * _SLOT_CELLS) * 8 + slots * picture[0] * picture[1] * 3
        ring = cls(SharedMemory(create=True, size=size), slots, picture)
        ring._numbers[:] = 0
        return ring

    @classmethod
    def attach(cls, name: str, slots: int, picture: tuple[int, int]) -> FrameRing:
        """The writer's view of the ring that `create` made."""
        return cls(SharedMemory(name), slots, picture)

    @property
    def name(self) -> str:
        """What `attach` needs."""
        return self._memory.name

    @property
    def written(self) -> int:
        """Frames written so far: the ordinal of the next one."""
        return int(self._numbers[_WRITTEN])

    @property
    def free(self) -> int:
        """Slots that the writer may fill now."""
        return self.slots - (self.written - int(self._numbers[_RELEASED]))

    def slot(self, ordinal: int) -> np.ndarray:
        """The pixels of frame `ordinal`, uint8 [Y, X, 3]: a view that is valid until `release`."""
        return self._pixels[ordinal % self.slots]

    def publish(self, number: int, block: int, epoch: int, now_ns: int) -> None:
        """The slot of the next ordinal has been filled: let the reader see it."""
        ordinal = self.written
        self._marks[ordinal % self.slots] = number, block, epoch, now_ns
        self._numbers[_WRITTEN] = ordinal + 1

    def mark(self, ordinal: int) -> FrameMark:
        """Which frame lies at `ordinal`."""
        return FrameMark(ordinal, *(int(n) for n in self._marks[ordinal % self.slots]))

    def release(self, ordinal: int) -> None:
        """The reader needs no frame before `ordinal` any more."""
        self._numbers[_RELEASED] = ordinal

    def set_schedule(self, schedule: Schedule) -> None:
        """Tell the writer what is due when."""
        self._numbers[_VERSION] += 1
        self._numbers[_COUNT : _HELD + 1] = schedule.ordinal, schedule.due_ns, schedule.period_ns, schedule.held
        self._numbers[_VERSION] += 1

    @property
    def schedule(self) -> Schedule | None:
        """The newest schedule, None before the first frame was shown."""
        while True:
            before = int(self._numbers[_VERSION])
            cells = [int(n) for n in self._numbers[_COUNT : _HELD + 1]]
            if before % 2 == 0 and before == int(self._numbers[_VERSION]):
                return Schedule(*cells[:3], bool(cells[3])) if before else None

    def unlink(self) -> None:
        """Remove the segment's name; both sides keep their mapping until they close it."""
        self._memory.unlink()

    def close(self) -> None:
        """Drop this side's mapping."""
        del self._numbers, self._marks, self._pixels
        self._memory.close()
