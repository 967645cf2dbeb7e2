"""A running world: events in, blocks out, one model pass at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from world.block import Block, Clean, Conditions, Denoised, Made, Pass, Recached, Snapshot
from world.boundary import Boundary, apply_events, clamped
from world.diffusion.encoded_prompts import EncodedPrompt, EncodedPrompts
from world.diffusion.fold import LoggedBlock, passes
from world.diffusion.latent_history import gapless, words_of
from world.diffusion.memory import Memory
from world.dit.cache import BankPair
from world.dit.denoise import Sampler
from world.dit.device import finish, upload
from world.dit.noise import normal
from world.event import Event, Prompt, Rebuild, Scene

if TYPE_CHECKING:
    from world.diffusion.world import DiffusionWorld

Noise = Callable[[int, int, int, tuple[int, ...]], Tensor]  # seed, block, step, shape -> float32 on the CPU


class Session:
    """Implements world.block.Session. Owns the memory of the stream and what the next blocks are made under.

    A block is in flight from its `begin` until it is made. Abandoned before, it leaves its events in force: the next
    `begin` makes the same block, under them and its own. Abandoned later, its clean pass is made up for, or spared.
    """

    def __init__(self, world: DiffusionWorld, seed: int, prompt: str, noise: Noise = normal) -> None:
        self.index = 0
        self._world, self._config, self._noise = world, world.config, noise
        self._lexicon, self._sampler = EncodedPrompts(world), Sampler(world.config.sampler)
        self._memory = Memory(world, self._lexicon)
        self._parent = -1
        self._flight: Boundary | None = None  # before the block in flight
        self._stand_on(Conditions(prompt, seed))

    @property
    def banks(self) -> BankPair:
        """The caches."""
        return self._memory.banks

    @property
    def conditions(self) -> Conditions:
        """In force for the next block: while one is in flight, for the block after it."""
        return self._next().conditions

    @property
    def is_recaching(self) -> bool:
        """Whether what `ahead` began is still under way."""
        return self._memory.lane.is_busy

    @property
    def slow_words(self) -> bool:
        """Whether blocks should go on while a prompt is encoded."""
        return self._world.slow_words

    def encode(self, event: Event) -> EncodedPrompt | None:
        """The event's words as the model reads them. The session is not touched: another thread may do this."""
        if not isinstance(event, Prompt | Scene):
            return None
        with torch.inference_mode():
            spoken = self._lexicon.encode(event.text)
        finish(self._world.device)  # another thread asked for it, and on another stream
        return spoken

    def prepare(self, event: Event, encoded: EncodedPrompt | None = None) -> None:
        """Have the event's words ready, so that the block boundary need not encode them."""
        if encoded is not None:
            self._lexicon.keep(event.text, encoded)
        elif isinstance(event, Prompt | Scene):
            with torch.inference_mode():
                self._lexicon[event.text]

    def step(self, events: Sequence[Event] = ()) -> Block:
        """`begin` run to its end."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event] = ()) -> Iterator[Pass]:
        """Make the next block under `events`, one model pass at a time."""
        self._abandon()
        self._take(events)
        is_recached = self._catch_up()
        flight = self._flight = self._next()
        try:
            if is_recached:
                finish(self._world.device)
                yield Recached()
            steps = self._denoise()
            for step in range(len(self._sampler.timesteps)):
                with torch.inference_mode():
                    x0 = next(steps)
                finish(self._world.device)
                yield Denoised(step)
            block = self._publish(x0)
        finally:
            if self._flight is flight:
                self._abandon()
        yield Made(block)
        self._settle()
        finish(self._world.device)
        yield Clean()

    def ahead(self, events: Sequence[Event]) -> None:
        """Take `events` for the next block now, and recache behind the present words, which go on until it begins.

        Of the block in flight nothing is read; where it was made already, the recache takes the place of its clean
        pass. Words that return to those in force cost nothing, and no more does a hard cut.
        """
        boundary = self._take(events)
        memory, seen = self._memory, self._seen
        if boundary.scene:
            memory.back = None
        elif not any(held and held.matches(boundary, seen) for held in (memory.front, memory.back)):
            boundary = self._with_sink(boundary)
            memory.rebuild(boundary.conditions.words, boundary.renew)
            memory.back = memory.rebuilt(boundary, seen, self.index)

    def take_back(self, after: int) -> None:
        """Forget the blocks newer than `after`, unseen; the next block continues `after` and carries their events.

        If the sink that `after` was made with was lost since, in a cut that is forgotten too, the next block carries a
        Rebuild, so that the log shows where the new one comes from.
        """
        self._abandon()
        conditions, forgotten = self._memory.take_back(after)
        if forgotten:
            carried = tuple(event for block in forgotten for event in block.events)
            self._before, self._taken, self._parent = conditions, carried + self._taken, after

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`: a cut here and a rebuild from its latents, sink included.

        The next block carries a Rebuild before its own events, so that the log shows the cut; it equals, bit for bit,
        that of a session that came this far and took Rebuild. Raises ValueError when the snapshot holds too few latent
        frames.
        """
        blocks = gapless(snapshot.blocks, snapshot.start)
        self._abandon()
        self._stand_on(Conditions(snapshot.words, snapshot.seed, self._in_range(snapshot.dials)))
        self._memory.restart(blocks[0].start if blocks else snapshot.start)
        for block, words in zip(blocks, words_of(blocks, snapshot.words), strict=True):
            block = replace(block, dials=block.dials or self._before.dials)
            conditions = None if words is None else Conditions(words, snapshot.seed, self._in_range(block.dials))
            self._memory.past.add(block, conditions)
        if snapshot.start:
            self._memory.require()
            self._taken = (Rebuild(),)
        self.index, self._parent = snapshot.index, blocks[-1].index if blocks else -1

    def fold(self, blocks: Sequence[Block], words: str | None = None, dials: dict[str, float] | None = None) -> None:
        """Become the session that made `blocks`, bit for bit; for a new session of the same world, seed and prompt.

        blocks: one line without gaps, oldest first, back to the beginning, a hard cut, or to the window before a
            Rebuild. What was taken back is left out of it: each block continues the one before it.
        words, dials: what was in force before the first of them, if not what the session has now. Raises ValueError
        when blocks are missing.
        """
        before = self._before
        line = self._line(blocks, Conditions(words or before.words, before.seed, dials or before.dials))
        self._memory.restart(blocks[0].start if blocks else 0)
        for moment, again in zip(line, passes(line, self._config.cache), strict=True):
            block, conditions = moment.block, moment.boundary.conditions
            if block.start == 0:
                self._memory.empty(conditions.words, block.index)
            for crossed in again.rebuilds:
                self.recache(crossed.boundary)
                self._memory.front = self._memory.rebuilt(crossed.boundary, crossed.block.index)
            self._memory.past.add(block, conditions)
            if again.words is not None:
                self._memory.append(again.words)
            self._stand_on(conditions)
            self.index, self._parent = block.index + 1, block.index

    def again(self, block: Block) -> Block:
        """Make a logged block anew, after its parent: its number, events and cut are read of it, and nothing else."""
        self._abandon()
        self.index = block.index
        boundary = self._take(block.events)
        if block.start and block.cut is not None:
            self._memory.cross(boundary, block.index, block.cut)
        return self.step()

    def recache(self, boundary: Boundary) -> None:
        """Rebuild the back bank from the window's latents under the boundary's words, and swap."""
        self._memory.rebuild(boundary.conditions.words, boundary.renew)
        self._memory.swap()

    @property
    def _seen(self) -> int:
        """The next block's number: while one is in flight, that of the block after it."""
        return self.index + (self._flight is not None)

    def _next(self) -> Boundary:
        """The boundary before that block."""
        conditions, events = (
            (self._flight.conditions, self._ahead) if self._flight is not None else (self._before, self._taken)
        )
        return apply_events(conditions, events, self._seen, self._world.info.dials)

    def _take(self, events: Sequence[Event]) -> Boundary:
        """Let `events` take effect on that block; the caches follow later."""
        apply_events(self.conditions, events, self._seen, self._world.info.dials)  # refuses before anything has changed
        if self._flight is not None:
            self._ahead += tuple(events)
        else:
            self._taken += tuple(events)
        return self._next()

    def _with_sink(self, boundary: Boundary) -> Boundary:
        """The same, or with a Rebuild where the sink to be kept came in with a block that is not of this line."""
        newest = self._parent if self._flight is None else self.index
        return boundary if self._memory.has_sink(boundary, newest) else self._take([Rebuild()])

    def _catch_up(self) -> bool:
        """Bring the front bank under the next block's words and up to the newest block; whether that took a rebuild."""
        memory, boundary = self._memory, self._next()
        if boundary.scene or not memory.past.end:
            memory.empty(boundary.conditions.words, self.index)
            return False
        held = memory.settle(boundary, self.index)
        if held is None:
            boundary = self._with_sink(boundary)
            self.recache(boundary)
            memory.front = memory.rebuilt(boundary, self.index, self.index)
        elif held is memory.back:
            memory.swap()
            memory.front = held
        memory.back = None
        return held is None

    def _denoise(self) -> Iterator[Tensor]:
        """x0 of the block in flight after each pass."""
        block, device, start = self._config.cache.block, self._world.device, self._memory.past.end
        index, conditions, shape = (
            self.index,
            self._flight.conditions,
            self._config.latents.shape(self._config.cache.block),
        )
        with torch.inference_mode():
            words = self._lexicon[conditions.words].words
            condition = self._lexicon.condition(conditions.words, [conditions.dials] * block)

        def predict(x: Tensor, timestep: float) -> Tensor:
            timesteps = torch.full(x.shape[:2], timestep, device=device)
            return self._world.dit(x, timesteps, words, self.banks.front.attend(start, block), condition)

        return self._sampler.run(predict, lambda step: upload(self._noise(conditions.seed, index, step, shape), device))

    def _publish(self, x0: Tensor) -> Block:
        """Round the block to what is stored, before the cache or anyone else sees it, and move on."""
        memory, boundary, start = self._memory, self._flight, self._memory.past.end
        latents = x0.to(getattr(torch, self._config.latents.stored)).cpu().numpy()
        cut = memory.front.cut if start else self.index if boundary.is_cut else None
        seen = None if cut is None else self.index
        dials = self._lexicon.dial_values(boundary.conditions.dials)
        block = Block(self.index, self._parent, start, latents, self._taken, cut, seen, dials)
        memory.past.add(block, boundary.conditions)
        memory.front = replace(memory.front, cut=None)
        self.index, self._parent, self._flight = self.index + 1, self.index, None
        self._stand_on(boundary.conditions, self._ahead)
        return block

    def _settle(self) -> None:
        """The newest block's clean pass, where the next block's words ask for one and a rebuild has not spared it."""
        boundary = self._next()
        if not boundary.scene:
            self._memory.settle(boundary, self._seen)

    def _abandon(self) -> None:
        """Leave the block in flight unmade: what was taken, ahead too, is for the next try."""
        if self._flight is not None:
            self._taken, self._ahead, self._flight = self._taken + self._ahead, (), None
            self._memory.back = None

    def _stand_on(self, conditions: Conditions, taken: tuple[Event, ...] = ()) -> None:
        """Make the next block after one made under `stand`, with these events."""
        self._before, self._taken = conditions, taken
        self._ahead: tuple[Event, ...] = ()  # for the block after the one in flight

    def _line(self, blocks: Sequence[Block], conditions: Conditions) -> list[LoggedBlock]:
        """Each of `blocks` with the boundary before it, from `stand` on."""
        line = []
        for block in blocks:
            boundary = apply_events(conditions, block.events, block.index, self._world.info.dials)
            line.append(LoggedBlock(block, boundary))
            conditions = boundary.conditions
        return line

    def _in_range(self, dials: dict[str, float]) -> dict[str, float]:
        """The world's own of `dials`, within their limits."""
        ranges = self._world.info.dials
        return {name: clamped(value, ranges[name]) for name, value in dials.items() if name in ranges}
