"""A running world: events in, blocks out, one model pass at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from world.block import Block, Clean, Denoised, Made, Pass, Recached, Snapshot
from world.boundary import Boundary, Stand, clamped, cross
from world.cache import BankPair, CacheBank
from world.denoise import Sampler
from world.device import upload
from world.event import Event, Prompt, Rebuild, Scene
from world.fold import Moment, passes
from world.lexicon import Lexicon
from world.noise import normal
from world.past import Past, gapless
from world.recache import Encoder, append, frames_needed, rebuild

if TYPE_CHECKING:
    from world.diffusion import DiffusionWorld

Noise = Callable[[int, int, int, tuple[int, ...]], Tensor]  # seed, block, step, shape -> float32 on the CPU


class Session:
    """Implements world.block.Session. Owns the caches, the window's latents and what the next block is made under.

    A block that is abandoned before `Made` leaves its events in force: the next `begin` makes the same block, under
    them and its own. Abandoned after `Made`, its clean pass is made up for, or spared by a rebuild.
    """

    def __init__(self, world: DiffusionWorld, seed: int, prompt: str, noise: Noise = normal) -> None:
        self.index = 0
        self._world, self._config, self._noise = world, world.config, noise
        self._lexicon, self._sampler = Lexicon(world), Sampler(world.config.sampler)
        self.banks = BankPair(self._new_bank(), self._new_bank())
        self._past = Past(world.config.cache.window, world.device)
        self._parent = -1
        self._is_clean = True  # whether the cache holds the newest block, and not its noise
        self._stand_on(Stand(prompt, seed))

    def prepare(self, event: Event) -> None:
        """Encode the event's words now, so that the block boundary need not."""
        if isinstance(event, Prompt | Scene):
            with torch.inference_mode():
                self._lexicon[event.text]

    def step(self, events: Sequence[Event] = ()) -> Block:
        """`begin` run to its end."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event] = ()) -> Iterator[Pass]:
        """Make the next block under `events`, one model pass at a time."""
        self._take(events)
        if self._catch_up():
            yield Recached()
        steps = self._denoise()
        for step in range(len(self._sampler.timesteps)):
            with torch.inference_mode():
                x0 = next(steps)
            yield Denoised(step)
        yield Made(self._publish(x0))
        self._clean()
        yield Clean()

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`: a cut here and a rebuild from its latents, sink included.

        The next block carries a Rebuild before its own events, so that the log shows the cut; it equals, bit for bit,
        that of a session that came this far and took Rebuild. Raises ValueError when the snapshot holds too few latent
        frames.
        """
        ranges = self._world.info.dials
        dials = {name: clamped(value, ranges[name]) for name, value in snapshot.dials.items() if name in ranges}
        blocks = gapless(snapshot.blocks, snapshot.start)
        self._empty(blocks[0].start if blocks else snapshot.start)
        for block in blocks:
            self._past.add(block.start, block.latents, block.dials or dials)
        self._stand_on(Stand(snapshot.words, snapshot.seed, dials))
        if snapshot.start:
            self._require_past()
            self._take([Rebuild()])
        self.index, self._parent = snapshot.index, blocks[-1].index if blocks else -1

    def fold(self, blocks: Sequence[Block], words: str | None = None, dials: dict[str, float] | None = None) -> None:
        """Become the session that made `blocks`, bit for bit; for a new session of the same world, seed and prompt.

        blocks: one line without gaps, oldest first, back to the beginning, a hard cut, or to the window before a
            Rebuild.
        words, dials: what was in force before the first of them, if not what the session has now. Raises ValueError
        when blocks are missing.
        """
        line = self._line(blocks, Stand(words or self._stand.words, self._stand.seed, dials or self._stand.dials))
        self._empty(blocks[0].start if blocks else 0)
        for moment, again in zip(line, passes(line, self._config.cache), strict=True):
            block = moment.block
            if block.start == 0:
                self._empty(0)
            self._stand_on(moment.boundary.stand)
            if again.rebuild:
                self.recache(moment.boundary.renew)
            self._past.add(block.start, block.latents, block.dials)
            if again.append:
                self._clean()
            self.index, self._parent = block.index + 1, block.index

    def recache(self, renew: bool) -> None:
        """Rebuild the back bank from the window's latents under the words in force, and swap."""
        self._require_past()
        with torch.inference_mode():
            past, dials = self._past.all()
            past = past.under(self._lexicon.condition(self._stand.words, dials))
            rebuild(self._encoder(), self.banks, past, renew or not self._config.cache.keep_sink)
        self.banks.swap()
        self._is_clean = True

    def _take(self, events: Sequence[Event]) -> None:
        """Let `events` take effect on what the next block is made under; the cache follows in `_catch_up`."""
        boundary = cross(self._stand, events, self.index, self._world.info.dials)
        self._stand, self._boundary = boundary.stand, self._boundary.then(boundary)
        self._taken += tuple(events)
        if boundary.scene:
            self._empty(0)
        elif boundary.is_cut and self._past.end:
            self._is_stale = True

    def _catch_up(self) -> bool:
        """Bring the cache under the words in force and up to the newest block; whether that took a rebuild."""
        if self._is_stale:
            self.recache(self._boundary.renew)
            self._is_stale = False
            return True
        if not self._is_clean:
            self._clean()
        return False

    def _denoise(self) -> Iterator[Tensor]:
        """x0 of the next block after each pass."""
        block, device, start = self._config.cache.block, self._world.device, self._past.end
        index, stand, shape = self.index, self._stand, self._config.latents.shape(self._config.cache.block)
        with torch.inference_mode():
            words = self._lexicon[stand.words].words
            condition = self._lexicon.condition(stand.words, [stand.dials] * block)

        def predict(x: Tensor, timestep: float) -> Tensor:
            timesteps = torch.full(x.shape[:2], timestep, device=device)
            return self._world.dit(x, timesteps, words, self.banks.front.attend(start, block), condition)

        return self._sampler.run(predict, lambda step: upload(self._noise(stand.seed, index, step, shape), device))

    def _publish(self, x0: Tensor) -> Block:
        """Round the block to what is stored, before the cache or anyone else sees it, and move on."""
        latents = x0.to(getattr(torch, self._config.latents.stored)).cpu().numpy()
        cut = self.index if self._boundary.is_cut else None
        dials = self._lexicon.dial_values(self._stand.dials)
        block = Block(self.index, self._parent, self._past.end, latents, self._taken, cut, cut, dials)
        self._past.add(block.start, latents, dials)
        self._is_clean = False
        self.index, self._parent = self.index + 1, self.index
        self._stand_on(self._stand)
        return block

    def _clean(self) -> None:
        """The clean pass of the newest block."""
        with torch.inference_mode():
            block, dials = self._past.newest()
            append(self._encoder(), self.banks.front, block.under(self._lexicon.condition(self._stand.words, dials)))
        self._is_clean = True

    def _stand_on(self, stand: Stand) -> None:
        """Make the next block under `stand`, with no event taken yet."""
        self._stand, self._boundary = stand, Boundary(stand)
        self._taken: tuple[Event, ...] = ()
        self._is_stale = False

    def _empty(self, end: int) -> None:
        """Remember nothing before latent frame `end`."""
        self.banks.front.clear()
        self._past.clear(end)
        self._is_clean, self._is_stale = True, False

    def _line(self, blocks: Sequence[Block], stand: Stand) -> list[Moment]:
        """Each of `blocks` with the boundary before it, from `stand` on."""
        line = []
        for block in blocks:
            boundary = cross(stand, block.events, block.index, self._world.info.dials)
            line.append(Moment(block, boundary))
            stand = boundary.stand
        return line

    def _require_past(self) -> None:
        """Raise ValueError unless the window's latents are known."""
        past, _ = self._past.all()
        past.last(frames_needed(self._config.cache, self._past.end, renew=True))

    def _new_bank(self) -> CacheBank:
        config = self._config
        dtype, device = self._world.dit.dtype, self._world.device
        return CacheBank(config.cache, config.dit, config.latents.grid, config.latents.batch, device, dtype)

    def _encoder(self) -> Encoder:
        return Encoder(self._world.dit, self._lexicon[self._stand.words].words, self._config.sampler.clean)
