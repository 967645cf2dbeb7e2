"""One switch, made three times from one past: with a recache, with the cache kept, and with it thrown away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from loop.measure.steer.remembered import Remembered
from loop.measure.steer.switches import PromptSwitch
from world.block import Block, Decoder
from world.cache_work import Recache, Swap, Work
from world.diffusion.session import DiffusionSession
from world.diffusion.world import DiffusionWorld
from world.event import Event, Prompt, Scene

STEER_MODES = ("recache", "keep", "reset")


class KeptCacheSession(DiffusionSession):
    """A session that goes on under new words with the cache as the old words left it."""

    def _do(self, work: Iterable[Work]) -> None:
        super()._do(piece for piece in work if not isinstance(piece, Recache | Swap))


@dataclass
class ShownStretch:
    """What one stretch of a stream shows, block after block.

    state: of the decoder, after the last block. pictures: the first of each block, uint8 [Y, X, 3]; last: the last of
    all. changes: the mean change from each picture to the next, 0 to 255, that from the stretch before included.
    latents: of each block, [1, F, C, h, w].
    """

    state: Any
    last: np.ndarray | None = None
    pictures: list[np.ndarray] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    latents: list[np.ndarray] = field(default_factory=list)

    def add(self, decoder: Decoder, block: Block) -> None:
        """Decode the next block."""
        state = self.state if block.start else decoder.start()  # a hard cut shows nothing of what was before
        frames, self.state = decoder.decode(state, block.latents)
        for frame in frames:
            if self.last is not None:
                self.changes.append(float(np.abs(frame.astype(np.int16) - self.last).mean()))
            self.last = frame
        self.pictures.append(frames[0])
        self.latents.append(block.latents)

    @property
    def newest(self) -> np.ndarray:
        """The latents of the two newest latent frames, [1, 2, C, h, w]."""
        return np.concatenate(self.latents[-2:], 1)[:, -2:]


@dataclass(frozen=True)
class SteeredSwitch:
    """One switch: what was shown before it, and after it by mode."""

    switch: PromptSwitch
    before: ShownStretch
    after: dict[str, ShownStretch]
    fps: float

    def jump(self, mode: str) -> float:
        """The largest change between two pictures in the second after the switch, its own included: 0 to 255."""
        return max(self.after[mode].changes[: ceil(self.fps)])

    @property
    def calm(self) -> float:
        """The same of the second before the switch."""
        return max(self.before.changes[-ceil(self.fps) :])

    def four(self, mode: str) -> list[np.ndarray]:
        """Four pictures uint8 [Y, X, 3]: the last before, those of the first block, of halfway, and the last."""
        shown, last_before = self.after[mode], self.before.last
        assert shown.last is not None and last_before is not None  # both stretches hold blocks
        return [last_before, shown.pictures[0], shown.pictures[len(shown.pictures) // 2], shown.last]


def steer(
    world: DiffusionWorld, switch: PromptSwitch, seed: int, seconds: float, memory: str = "named"
) -> SteeredSwitch:
    """Play `seconds` under the first words, then as long under the second, in each of STEER_MODES.

    memory: what comes back with the recache (loop.supervise.memory_choice.MEMORIES). All three go on from the same
    blocks, in a session that is what the first one was, bit for bit.
    """
    count = max(2, ceil(seconds / world.info.block_s))
    session, before = world.session(seed, switch.before), ShownStretch(world.decoder.start())
    remembered, past = Remembered(world.info, memory), list[Block]()
    for _ in range(count):
        past.append(session.step())
        remembered.note(past[-1], session.conditions)
        before.add(world.decoder, past[-1])
    after, asked = {}, {"recache": remembered.event(switch.after), "reset": Scene(switch.after)}
    for mode in STEER_MODES:
        shown = ShownStretch(before.state, before.last)
        event = asked.get(mode) or Prompt(switch.after)
        for block in _go_on(world, switch, seed, past, mode, event):
            shown.add(world.decoder, block)
        after[mode] = shown
    return SteeredSwitch(switch, before, after, world.info.fps)


def _go_on(
    world: DiffusionWorld, switch: PromptSwitch, seed: int, past: Sequence[Block], mode: str, event: Event
) -> list[Block]:
    """As many blocks as `past` holds after it, under the second words, which are the `event`."""
    session = (KeptCacheSession if mode == "keep" else DiffusionSession)(world, seed, switch.before)
    session.fold(past)
    return [session.step([event] if number == 0 else []) for number in range(len(past))]
