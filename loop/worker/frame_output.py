"""Blocks of latents become frames in the ring."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from loop.link.ring import FrameMark, FrameRing
from loop.timing.clock import Clock
from loop.worker.upload import Upload, Uploader, uploader
from loop.worker.window_link import WindowLink
from world.block import Block, World

Decode = Callable[[Any, Any], tuple[Any, Any]]  # (state, latents) to frames and the next state


class FrameOutput:
    """The decoder with its states, and the ring. Owned by the stream.

    block_frames: pixel frames of a block. states: for how many blocks the decoder's state is kept.
    """

    def __init__(self, world: World, ring: FrameRing, link: WindowLink, clock: Clock, states: int) -> None:
        self.block_frames = world.info.block_frames
        self._ring, self._link, self._clock = ring, link, clock
        self._decoder, self._on_gpu = world.decoder, _is_on_gpu(world)
        self._decode: Decode = getattr(world.decoder, "decode_tensor" if self._on_gpu else "decode")
        self._states: OrderedDict[int, Any] = OrderedDict()  # after each of the newest blocks
        self._states_kept = states
        self._first_ordinals: dict[int, int] = {}  # of the frames of those blocks
        self._epoch = 0  # of the newest frames
        self._uploader: Uploader | None = None
        self._dropped_before = 0  # frames before this ordinal were dropped or have been scheduled

    @property
    def has_room(self) -> bool:
        """Whether the ring has room for another block."""
        return self._ring.free >= self.block_frames

    @property
    def is_scheduled(self) -> bool:
        """Whether the window's process has shown a frame, so that the next ones have due times."""
        return self._ring.schedule is not None

    @property
    def period_ns(self) -> int | None:
        """The time between two frames; None while nothing is due (nothing shown yet, or frozen)."""
        schedule = self._ring.schedule
        return None if schedule is None or schedule.held else schedule.period_ns

    @property
    def due_ns(self) -> int | None:
        """When the first frame of the next block is due; None while nothing is."""
        schedule = self._ring.schedule
        if schedule is None or schedule.held:
            return None
        unscheduled = self._ring.written - max(self._dropped_before, schedule.ordinal)
        return schedule.due_ns + unscheduled * schedule.period_ns

    def uploads(self, block: Block, latents: Any = None) -> Iterator[Upload]:
        """The frames of a block on their way into the ring, piece by piece; a hard cut continues nothing.

        On a CPU each latent frame, or each picture where the decoder draws them one by one, is decoded when it is asked
        for, so that the first pixels do not wait for the last.
        On a GPU all work of the block is begun before the first is given, so that the device never waits for the host.
        latents: the block's where the model has them, if not only in the block.
        """
        begun = self._begin_uploads(block, block.latents if latents is None else latents)
        return iter(list(begun)) if self._on_gpu else begun

    def draw(self, blocks: Sequence[Block], epoch: int) -> None:
        """Draw the last of these stored blocks, its frames last to first; the others are what its pixels depend on."""
        first, frames = len(blocks) - 1, 0
        while first > 0 and frames < self._decoder.memory:
            first -= 1
            frames += blocks[first].latents.shape[1]
        state = self._decoder.start()
        for block in blocks[first:-1]:
            _, state = self._decode(state, block.latents)
        drawn, latents = [], blocks[-1].latents
        for frame in range(latents.shape[1]):
            pixels, state = self._decode(state, latents[:, frame : frame + 1])
            drawn.append(pixels)
        number = blocks[-1].index * self.block_frames + sum(map(len, drawn)) - 1
        for pixels in reversed(drawn):
            backwards = pixels[list(range(len(pixels) - 1, -1, -1))]
            self._uploader = self._uploader or uploader(self._ring, backwards)
            self.publish(self._uploader.begin(self._ring.written, backwards), number, blocks[-1].index, epoch, step=-1)
            number -= len(pixels)

    def publish(self, upload: Upload, first_number: int, block: int, epoch: int, step: int = 1) -> None:
        """Wait until frames are in the ring and let the reader see them, numbered from `first_number` on."""
        self._first_ordinals.setdefault(block, self._ring.written)
        self._epoch = epoch
        upload.wait_uploaded()
        for offset in range(upload.count):
            place = upload.ordinal + offset, first_number + step * offset
            self._ring.publish(FrameMark(*place, block, epoch, self._clock.now_ns(), self._link.sent))

    def _begin_uploads(self, block: Block, latents: Any) -> Iterator[Upload]:
        self._forget_shown()
        state = self._states[block.parent] if block.start else self._decoder.start()
        ordinal = self._ring.written
        for frame in range(latents.shape[1]):
            pieces, state = self._pieces(state, latents[:, frame : frame + 1])
            for frames in pieces:
                self._uploader = self._uploader or uploader(self._ring, frames)
                yield self._uploader.begin(ordinal, frames)
                ordinal += len(frames)
        self._remember(block.index, state)

    def _pieces(self, state: Any, latents: Any) -> tuple[Iterable[Any], Any]:
        """The frames of one latent frame, picture by picture if the decoder can draw them so, and its next state."""
        if hasattr(self._decoder, "pictures"):
            pictures: tuple[Iterable[Any], Any] = self._decoder.pictures(state, latents)
            return pictures
        frames, state = self._decode(state, latents)
        return (frames,), state

    def drop_frames(self) -> None:
        """What was published and has no due time yet was dropped: the frames that follow get those due times."""
        self._dropped_before = self._ring.written

    def can_continue(self, kept: int) -> bool:
        """Whether the decoder can go on after block `kept`."""
        return kept in self._states

    def forget_after(self, kept: int) -> None:
        """The blocks after `kept` have been taken back."""
        for block in [block for block in self._states if block > kept]:
            del self._states[block]

    def resume(self, blocks: Sequence[Block]) -> None:
        """Bring the decoder to where it was after the last of these blocks, and after those that may be taken back.

        Older ones are left out if later pixels do not depend on them.
        """
        first, frames = max(0, len(blocks) - self._states_kept), 0
        while first > 0 and frames < self._decoder.memory:
            first -= 1
            frames += blocks[first].latents.shape[1]
        self._states.clear()
        self._first_ordinals.clear()
        state = self._decoder.start()
        for block in blocks[first:]:
            _, state = self._decode(state, block.latents)
            self._remember(block.index, state)

    def close(self) -> None:
        """Unmap the ring."""
        if self._uploader:
            self._uploader.close()
        self._ring.close()

    def _remember(self, block: int, state: Any) -> None:
        """Keep the state after a block for as long as the blocks after it may be taken back."""
        self._states[block] = state
        while len(self._states) > self._states_kept:
            self._states.popitem(last=False)

    def _forget_shown(self) -> None:
        """Forget the states before the newest block that is on the screen: it cannot be taken back any more.

        They are large: of Wan's own decoder 1.8 GiB each.
        """
        passed = self._ring.passed(self._epoch)
        self._first_ordinals = {b: first for b, first in self._first_ordinals.items() if b in self._states}
        shown = [block for block in self._states if self._first_ordinals.get(block, passed) < passed]
        while shown and next(iter(self._states)) != shown[-1]:
            self._states.popitem(last=False)


def _is_on_gpu(world: World) -> bool:
    """Whether the world's decoder leaves its frames on a GPU, for the upload to fetch them on its own stream."""
    device = getattr(world, "device", None)
    return device is not None and device.type == "cuda" and hasattr(world.decoder, "decode_tensor")
