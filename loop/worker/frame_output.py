"""Blocks of latents become frames in the ring."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loop.link.kept import Kept
from loop.link.ring import FrameMark, FrameRing
from loop.timing.clock import Clock
from loop.worker.upload import Upload, Uploader, uploader
from loop.worker.window_link import WindowLink
from world.block import Block, World, without_cut_latents

Decode = Callable[[Any, Any], tuple[Any, Any]]  # (state, latents) to frames and the next state


@dataclass(frozen=True)
class _BlockStates:
    """States of the decoder in a block whose first latent frame is number `start`, by the one that comes next."""

    start: int
    before: dict[int, Any]


class FrameOutput:
    """The decoder with its states, and the ring. Owned by the stream.

    block_frames: pixel frames of a block. states: for how many blocks the decoder's state is kept: that after each of
    their latent frames where blocks of the world can be cut, else the last one.
    """

    def __init__(self, world: World, ring: FrameRing, link: WindowLink, clock: Clock, states: int) -> None:
        self.block_frames = world.info.block_frames
        self._ring, self._link, self._clock = ring, link, clock
        self._decoder, self._on_gpu = world.decoder, _is_on_gpu(world)
        self._decode: Decode = getattr(world.decoder, "decode_tensor" if self._on_gpu else "decode")
        self._states: OrderedDict[int, _BlockStates] = OrderedDict()  # of the newest blocks
        self._states_kept, self._can_cut = states, world.info.cut_from is not None
        self._first_ordinals: dict[int, int] = {}  # of the frames of those blocks
        self._latent_of: dict[int, int] = {}  # by the first ordinal of uploads that were begun, which latent frame
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
        blocks = without_cut_latents(blocks)
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
        latent = self._latent_of.pop(upload.ordinal, 0)
        self._first_ordinals.setdefault(block, self._ring.written)
        self._epoch = epoch
        upload.wait_uploaded()
        for offset in range(upload.count):
            place = upload.ordinal + offset, first_number + step * offset
            self._ring.publish(FrameMark(*place, block, epoch, self._clock.now_ns(), self._link.sent, latent))

    def _begin_uploads(self, block: Block, latents: Any) -> Iterator[Upload]:
        self._forget_shown()
        state = self._states[block.parent].before[block.start] if block.start else self._decoder.start()
        ordinal, states = self._ring.written, dict[int, Any]()
        self._latent_of.clear()
        for frame in range(latents.shape[1]):
            pieces, state = self._pieces(state, latents[:, frame : frame + 1])
            states = {**states, block.start + frame + 1: state} if self._can_cut else {block.start + frame + 1: state}
            for frames in pieces:
                self._uploader = self._uploader or uploader(self._ring, frames)
                self._latent_of[ordinal] = frame
                yield self._uploader.begin(ordinal, frames)
                ordinal += len(frames)
        self._remember(block, states)

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

    def can_continue(self, kept: Kept) -> bool:
        """Whether the decoder can go on where the stream was kept."""
        states = self._states.get(kept.block)
        return states is not None and (kept.latents is None or states.start + kept.latents in states.before)

    def can_decode(self, block: Block) -> bool:
        """Whether the decoder's state before this block is known."""
        return not block.start or (block.parent in self._states and block.start in self._states[block.parent].before)

    def forget_after(self, kept: int) -> None:
        """The blocks after `kept` have been taken back."""
        for block in [block for block in self._states if block > kept]:
            del self._states[block]

    def resume(self, blocks: Sequence[Block]) -> None:
        """Bring the decoder to where it was after the last of these blocks, and after those that may be taken back.

        Older ones are left out if later pixels do not depend on them. Of the last one all counts that there is.
        """
        blocks = without_cut_latents(blocks)
        first, frames = max(0, len(blocks) - self._states_kept), 0
        while first > 0 and frames < self._decoder.memory:
            first -= 1
            frames += blocks[first].latents.shape[1]
        self._states.clear()
        self._first_ordinals.clear()
        state = self._decoder.start()
        for block in blocks[first:]:
            step = 1 if self._can_cut else block.latents.shape[1]
            states = dict[int, Any]()
            for frame in range(0, block.latents.shape[1], step):
                _, state = self._decode(state, block.latents[:, frame : frame + step])
                states[block.start + frame + step] = state
            self._remember(block, states)

    def close(self) -> None:
        """Unmap the ring."""
        if self._uploader:
            self._uploader.close()
        self._ring.close()

    def _remember(self, block: Block, states: dict[int, Any]) -> None:
        """Keep a block's states for as long as it may be cut, or the blocks after it be taken back."""
        self._states[block.index] = _BlockStates(block.start, states)
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
