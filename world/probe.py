"""The test card: a world without a network, whose every frame says which frame it is and how many prompts made it.

Layout of a frame, Y by X pixels: the top eighth holds 16 equal cells with `number mod 65536` in black and white, most
significant bit first; the second eighth likewise the number of prompts applied; the rest is the colour given by the
first three bytes of the SHA-256 of the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from world.block import Block, Clean, Conditions, Denoised, Made, Pass, Recached, Snapshot
from world.event import Event, Prompt, Rebuild, Rewind, Scene
from world.info import WorldError, WorldInfo
from world.options import ProbeOptions

STEPS = 4  # denoising steps; with the clean pass a block is five equal passes
BITS = 16
KEPT = 8  # blocks that can be taken back


def prompt_colour(text: str) -> tuple[int, int, int]:
    """The card's colour under these words: the first three bytes of their SHA-256."""
    red, green, blue = hashlib.sha256(text.encode()).digest()[:3]
    return red, green, blue


def read_frame(pixels: np.ndarray) -> tuple[int, int]:
    """pixels uint8 [Y, X, 3], a card or a scaled picture of one -> (frame number, prompts applied), both mod 65536."""
    height, width = pixels.shape[:2]
    columns = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    rows = [int(height / 16), int(3 * height / 16)]
    number, prompts = (
        sum(int(pixels[y, x].mean() > 127) << (BITS - 1 - b) for b, x in enumerate(columns)) for y in rows
    )
    return number, prompts


class ProbeDecoder:
    """Draws the card that a latent describes. It has no memory: the state is None."""

    memory = 0

    def __init__(self, picture: tuple[int, int]) -> None:
        self.width, self.height = picture

    def start(self) -> None:
        return None

    def decode(self, state: None, latents: np.ndarray) -> tuple[np.ndarray, None]:
        """latents [1, f, 5, 1, 1] float32 (number, prompts, red, green, blue) -> frames uint8 [f, Y, X, 3]."""
        return np.stack([self._card(latent.reshape(-1)) for latent in latents[0]]), None

    def _card(self, latent: np.ndarray) -> np.ndarray:
        frame = np.empty((self.height, self.width, 3), np.uint8)
        frame[:] = latent[2:5].astype(np.uint8)
        edges = [round(cell * self.width / BITS) for cell in range(BITS + 1)]
        eighth = self.height // 8
        for row, value in enumerate(latent[:2].astype(np.int64)):
            for bit in range(BITS):
                lit = (int(value) >> (BITS - 1 - bit)) & 1
                frame[row * eighth : (row + 1) * eighth, edges[bit] : edges[bit + 1]] = 255 * lit
        return frame


@dataclass(frozen=True)
class _Boundary:
    """What a block is made under, and what its boundary asks of the cache that a card pretends to have."""

    conditions: Conditions
    prompts: int
    scene: bool = False
    renew: bool = False

    def then(self, events: Sequence[Event]) -> _Boundary:
        """The next boundary, which takes `events`. Whatever they are, they count as one prompt at most."""
        words, seed, scene, renew = self.conditions.words, self.conditions.seed, False, False
        for event in events:
            if isinstance(event, Rewind):
                raise ValueError(f"rewind to block {event.block}: resume from a snapshot of that block instead")
            if isinstance(event, Prompt | Scene):
                words = event.text
            if isinstance(event, Scene):
                seed, scene, renew = seed if event.seed is None else event.seed, True, False
            renew = renew or (isinstance(event, Rebuild) and not scene)
        applied = scene or words != self.conditions.words
        return _Boundary(Conditions(words, seed), self.prompts + applied, scene, renew)


@dataclass(frozen=True)
class _Card:
    """A block that was made: its number, the latent frame after it, its boundary and what that took."""

    index: int
    end: int
    boundary: _Boundary
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class _Bank:
    """The stream up to latent frame `end` under `words`; None: nothing of use. cut: where it was rebuilt, if lately."""

    words: str | None
    end: int = 0
    cut: int | None = None
    renewed: bool = False

    def matches(self, boundary: _Boundary) -> bool:
        return self.words == boundary.conditions.words and (self.renewed or not boundary.renew)


class ProbeSession:
    """The card's stream: it takes, abandons and forgets as every session does, and spends what that would cost."""

    slow_words = is_recaching = False

    def __init__(self, options: ProbeOptions, seed: int, prompt: str, spend: Callable[[float], None]) -> None:
        self.options = options
        self.index = 0
        self._spend = spend
        self._made = [_Card(-1, 0, _Boundary(Conditions(prompt, seed), 0))]  # the newest, back to the last hard cut
        self._taken: tuple[Event, ...] = ()
        self._ahead: tuple[Event, ...] = ()  # for the block after the one in flight
        self._flight: _Boundary | None = None
        self._front, self._back = _Bank(prompt), _Bank(None)

    @property
    def conditions(self) -> Conditions:
        """In force for the next block: while one is in flight, for the block after it."""
        return self._next().conditions

    def encode(self, event: Event) -> None:
        """Words need no encoding here."""

    def prepare(self, event: Event, encoded: None = None) -> None:
        """Nor do they here."""

    def step(self, events: Sequence[Event] = ()) -> Block:
        """The next block, its costs spent."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event] = ()) -> Iterator[Pass]:
        """Passes of one block: a recache where the words changed, four steps, the block, the clean pass."""
        self._abandon()
        self._take(events)
        is_recached = self._catch_up()
        flight = self._flight = self._next()
        try:
            if is_recached:
                yield Recached()
            for step in range(STEPS):
                self._spend_ms(self.options.block_ms / (STEPS + 1), self.index)
                yield Denoised(step)
            block = self._publish(flight)
        finally:
            if self._flight is flight:
                self._abandon()
        yield Made(block)
        self._settle(self._next())
        yield Clean()

    def ahead(self, events: Sequence[Event]) -> None:
        """Take `events` for the next block now, and spend the recache they need."""
        self._take(events)
        boundary = self._next()
        if boundary.scene:
            self._back = _Bank(None)
        elif not (self._in_front().matches(boundary) or self._back.matches(boundary)):
            self._back = self._rebuilt(boundary)

    def take_back(self, after: int) -> None:
        """Forget the blocks newer than `after`; the next block carries their events and begins with a recache."""
        self._abandon()
        known = [card.index for card in self._made if card.index >= 0]
        if after not in known:
            which = ", ".join(map(str, known)) or "none"
            raise ValueError(f"block {after} cannot be gone back to: those that can be are {which}")
        kept = len(self._made) - len(known) + known.index(after) + 1
        forgotten = self._made[kept:]
        if forgotten:
            self._made = self._made[:kept]
            self._taken = tuple(event for card in forgotten for event in card.events) + self._taken
            self._front = self._back = _Bank(None)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on after the snapshot's last block; the next one carries a Rebuild, which costs a recache."""
        self._abandon()
        conditions, last = Conditions(snapshot.words, snapshot.seed), snapshot.blocks[-1] if snapshot.blocks else None
        prompts = int(last.latents[0, -1, 1, 0, 0]) if last else 0
        self._made = [_Card(last.index if last else -1, snapshot.start, _Boundary(conditions, prompts))]
        self._taken = (Rebuild(),) if snapshot.start else ()
        self._front = self._back = _Bank(None)
        self.index = snapshot.index

    def _next(self) -> _Boundary:
        """The boundary before the next block: while one is in flight, before the block after it."""
        if self._flight is not None:
            return self._flight.then(self._ahead)
        return self._made[-1].boundary.then(self._taken)

    def _take(self, events: Sequence[Event]) -> None:
        self._next().then(events)  # refuses before anything has changed
        if self._flight is None:
            self._taken += tuple(events)
        else:
            self._ahead += tuple(events)

    def _end(self) -> int:
        """The latent frame after the newest block; a hard cut in flight leaves none behind it."""
        return 0 if self._flight is not None and self._flight.scene else self._made[-1].end

    def _in_front(self) -> _Bank:
        """The front bank as the next block will find it: what was renewed for a block in flight is old by then."""
        return self._front if self._flight is None else replace(self._front, renewed=False)

    def _catch_up(self) -> bool:
        """Make ready for the next block; whether that took a recache now."""
        boundary, end = self._next(), self._end()
        if boundary.scene or not end:
            self._front, self._back = _Bank(boundary.conditions.words), _Bank(None)
            return False
        bank = self._settle(boundary)
        self._front, self._back = bank or self._rebuilt(boundary), _Bank(None)
        return bank is None

    def _rebuilt(self, boundary: _Boundary) -> _Bank:
        """A recache, spent unless there is nothing to encode."""
        end = self._end()
        if end:
            self._spend_ms(self.options.recache_ms, self.index)
        return _Bank(boundary.conditions.words, end, self.index, boundary.renew)

    def _settle(self, boundary: _Boundary) -> _Bank | None:
        """Spend the newest block's clean pass if the bank that suits the next block lacks it; that bank, if any."""
        if boundary.scene:
            return None
        if self._front.matches(boundary):
            self._front = self._cleaned(self._front)
            return self._front
        if self._back.matches(boundary):
            self._back = self._cleaned(self._back)
            return self._back
        return None

    def _cleaned(self, bank: _Bank) -> _Bank:
        if bank.end != self._end():
            self._spend_ms(self.options.block_ms / (STEPS + 1), self._made[-1].index)
        return replace(bank, end=self._end())

    def _publish(self, flight: _Boundary) -> Block:
        index, parent, start = self.index, self._made[-1].index, self._end()
        changed = flight.scene or flight.renew or flight.conditions.words != self._made[-1].boundary.conditions.words
        cut = self._front.cut if start else index if changed else None
        block = self._block(flight, parent, start, cut)
        card = _Card(index, start + self.options.frames, flight, self._taken)
        self._made = [card] if flight.scene else [*self._made, card][-1 - KEPT :]
        self._front = replace(self._front, cut=None, renewed=False)
        self._taken, self._ahead, self._flight = self._ahead, (), None
        self.index += 1
        return block

    def _abandon(self) -> None:
        """Leave the block in flight unmade: what was taken, ahead too, is for the next try."""
        if self._flight is not None:
            self._taken, self._ahead, self._flight = self._taken + self._ahead, (), None
            self._back = _Bank(None)

    def _spend_ms(self, cost_ms: float, block: int) -> None:
        self._spend(cost_ms * self.options.slowness(block) / 1e3)

    def _block(self, boundary: _Boundary, parent: int, start: int, cut: int | None) -> Block:
        latents = np.empty((1, self.options.frames, 5, 1, 1), np.float32)
        first = self.index * self.options.frames
        latents[0, :, 0, 0, 0] = np.arange(first, first + self.options.frames) % 65536
        latents[0, :, 1, 0, 0] = boundary.prompts % 65536
        latents[0, :, 2:, 0, 0] = prompt_colour(boundary.conditions.words)
        return Block(self.index, parent, start, latents, self._taken, cut, None if cut is None else self.index)


class ProbeWorld:
    """The test card as a World. `spend(seconds)` pretends that the one serial device worked that long."""

    def __init__(self, options: ProbeOptions, picture: tuple[int, int] | None, spend: Callable[[float], None]) -> None:
        width, height = picture or (256, 144)
        if width < BITS or height < 16:
            raise WorldError(f"probe picture {width}x{height}: expected at least {BITS}x16, one pixel for each cell")
        self.options = options
        self.decoder = ProbeDecoder((width, height))
        self.info = WorldInfo("probe", options.fps, options.frames, (width, height), "a test card", memory_blocks=1)
        self._spend = spend

    def session(self, seed: int, prompt: str) -> ProbeSession:
        """A new stream; the card draws no random numbers, so `seed` changes nothing."""
        return ProbeSession(self.options, seed, prompt, self._spend)
