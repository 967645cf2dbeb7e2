"""The ring of frames in shared memory: the model's process writes, the window's process reads without a copy.

The header carries what the start of a block depends on: how many frames were written and released, and when the next
frame is due. Header and marks are integers in one int64 array; each cell has exactly one writer, and the schedule's
cells are guarded by a version that is odd while they change. The pixels begin at a page of their own, since whole pages
are what a GPU's driver can pin.
"""

from __future__ import annotations

import mmap
import os
import secrets
from dataclasses import dataclass
from errno import ENOSPC
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Protocol

import numpy as np

from world.info import WorldError

_WRITTEN, _RELEASED, _VERSION, _ORDINAL, _DUE, _PERIOD, _HELD, _EPOCH = range(8)
_HEADER_CELLS = 8
_FOLDER = Path("/dev/shm")  # where Linux has shared memory as files
RING_NAME = "neverblink_{pid}_"  # how the name of a segment begins that the process `pid` made
_SLOT_CELLS = 6  # frame number, block index, epoch, time of writing, messages sent, latent frame


@dataclass(frozen=True)
class FrameMark:
    """What is known of a frame in the ring: `number` counts made frames, `ordinal` counts frames of this ring.

    epoch: how often unseen frames had been dropped when this one was made. messages: how many messages the model's
    process had sent before it published the frame; they say what the frame shows, but the pipe may deliver them later
    than the ring delivers the frame. latent: which latent frame of its block it shows, 0 the first. life: which ring it
    is in, as the reader counts them.
    """

    ordinal: int
    number: int
    block: int
    epoch: int
    written_ns: int
    messages: int = 0
    latent: int = 0
    life: int = 0


@dataclass(frozen=True)
class Schedule:
    """When frames are due: frame `ordinal` of the ring at `due_ns`, the following ones `period_ns` apart.

    held: the picture is frozen, so nothing is due for now.
    """

    ordinal: int
    due_ns: int
    period_ns: int
    held: bool = False


class RingMemory(Protocol):
    """The memory that a ring lies in. multiprocessing's SharedMemory is one."""

    @property
    def name(self) -> str: ...

    @property
    def buf(self) -> memoryview | None: ...

    def close(self) -> None: ...

    def unlink(self) -> None: ...


class FrameRing:
    """A ring of `slots` frames, each uint8 [Y, X, 3]. The reader's side makes it, the writer's side attaches to it.

    picture: (width, height) in pixels.
    """

    def __init__(self, memory: RingMemory, slots: int, picture: tuple[int, int]) -> None:
        width, height = picture
        self._memory = memory
        self._numbers = np.ndarray((_cells(slots),), np.int64, memory.buf)
        self._marks = self._numbers[_HEADER_CELLS:].reshape(slots, _SLOT_CELLS)
        self._pixels = np.ndarray((slots, height, width, 3), np.uint8, memory.buf, offset=_pixels_at(slots))
        self.slots = slots

    @classmethod
    def create(cls, slots: int, picture: tuple[int, int]) -> FrameRing:
        """A new segment; call `unlink` as soon as the writer has attached, so that no crash can leave it behind.

        Its name tells whose it is, to whoever finds one in the system's list.
        """
        name = RING_NAME.format(pid=os.getpid()) + secrets.token_hex(4)
        if os.name == "posix":
            # Python has what is named here removed when this process has died, but names a segment only once it is
            # there: a death in between would leave it behind for good. To be named twice does no harm.
            resource_tracker.register(f"/{name}", "shared_memory")
        return cls(SharedMemory(name, create=True, size=ring_bytes(slots, picture)), slots, picture)

    @classmethod
    def attach(cls, name: str, slots: int, picture: tuple[int, int]) -> FrameRing:
        """The writer's view of the ring that `create` made. Raises RingSpaceError if there is no room for its frames.

        The room is reserved here, since that takes a millisecond for each 2 MB, which no tick of the reader has.
        """
        _reserve(name, ring_bytes(slots, picture))
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

    @property
    def pixel_pages(self) -> tuple[int, int]:
        """Address and size in bytes of the pages that hold the pixels of all slots, and nothing else."""
        return self._pixels.ctypes.data, _whole_pages(self._pixels.nbytes)

    def publish(self, mark: FrameMark) -> None:
        """Let the reader see the next frame, whose slot has been filled; its ordinal must be `written`."""
        assert mark.ordinal == self.written
        made = mark.number, mark.block, mark.epoch, mark.written_ns, mark.messages, mark.latent
        self._marks[mark.ordinal % self.slots] = made
        self._numbers[_WRITTEN] = mark.ordinal + 1

    def mark(self, ordinal: int) -> FrameMark:
        """The mark of frame `ordinal`."""
        return FrameMark(ordinal, *self._marks[ordinal % self.slots].tolist())

    def release(self, ordinal: int, epoch: int) -> None:
        """The reader needs no frame before `ordinal` any more. epoch: how often it has dropped unseen frames."""
        self._numbers[_EPOCH] = epoch  # first: whoever reads an ordinal and then this epoch knows of the drops before
        self._numbers[_RELEASED] = ordinal

    def passed(self, epoch: int) -> int:
        """Frames before this ordinal were shown, as far as a writer knows that has heard of `epoch` drops."""
        released = int(self._numbers[_RELEASED])
        return released if self._numbers[_EPOCH] == epoch else 0

    def set_schedule(self, schedule: Schedule) -> None:
        """Tell the writer which frame is due when."""
        self._numbers[_VERSION] += 1
        self._numbers[_ORDINAL : _HELD + 1] = schedule.ordinal, schedule.due_ns, schedule.period_ns, schedule.held
        self._numbers[_VERSION] += 1

    @property
    def schedule(self) -> Schedule | None:
        """The newest schedule, None before the first frame was shown."""
        while True:
            before = int(self._numbers[_VERSION])
            ordinal, due_ns, period_ns, held = self._numbers[_ORDINAL : _HELD + 1].tolist()
            if before % 2 == 0 and before == int(self._numbers[_VERSION]):
                return Schedule(ordinal, due_ns, period_ns, bool(held)) if before else None

    def unlink(self) -> None:
        """Remove the segment's name; both sides keep their mapping until they close it."""
        self._memory.unlink()

    def close(self) -> None:
        """Drop this side's mapping."""
        del self._numbers, self._marks, self._pixels
        self._memory.close()


def ring_bytes(slots: int, picture: tuple[int, int]) -> int:
    """The size of the memory that a ring of `slots` frames of (width, height) needs, in whole pages."""
    return _pixels_at(slots) + _whole_pages(slots * picture[0] * picture[1] * 3)


def _cells(slots: int) -> int:
    return _HEADER_CELLS + slots * _SLOT_CELLS


def _pixels_at(slots: int) -> int:
    """Where the pixels begin: at the first page after the marks."""
    return _whole_pages(_cells(slots) * 8)


def _whole_pages(size_bytes: int) -> int:
    return -(-size_bytes // mmap.PAGESIZE) * mmap.PAGESIZE


class RingSpaceError(WorldError):
    """There is not enough shared memory for a world's frames; the message is one line for the user."""


def _reserve(name: str, size_bytes: int) -> None:
    """Reserve the memory of a segment, which otherwise ends a process with SIGBUS where it cannot be had."""
    path = _FOLDER / name
    if not hasattr(os, "posix_fallocate") or not path.exists():
        return  # elsewhere than on Linux the system reserves it, or offers no way to
    file = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(file, 0, size_bytes)
    except OSError as error:
        if error.errno == ENOSPC:
            raise RingSpaceError(_no_space(size_bytes)) from None
        raise
    finally:
        os.close(file)


def _no_space(size_bytes: int) -> str:
    found = os.statvfs(_FOLDER)
    need, free = -(-size_bytes // 2**20), found.f_bavail * found.f_frsize // 2**20
    enough = 1 << (2 * need - 1).bit_length()  # a restarted model has a ring beside the old one for a moment
    remedy = f"make the picture smaller, or enlarge it (docker run --shm-size={enough}m)"
    return f"the frame ring needs {need} MB of shared memory, {_FOLDER} has {free} MB free: {remedy}"
