"""The test card: a world without a network, whose every frame says which frame it is and how many prompts made it.

Layout of a frame, Y by X pixels: the top eighth holds 16 equal cells with `number mod 65536` in black and white, most
significant bit first; the second eighth likewise the number of prompts applied; the rest is the colour given by the
first three bytes of the SHA-256 of the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence

import numpy as np

from world.block import Block, Clean, Conditions, Denoised, Made, Pass, Recached, Snapshot
from world.boundary import Boundary
from world.cache_rules import CacheRules
from world.cache_work import Append, Recache, Work
from world.event import Dial, Event
from world.fold import logged_line, passes_to_restore
from world.info import WorldError, WorldInfo
from world.options import ProbeOptions
from world.prompt_mix import Words
from world.switch_state import SPARE, SwitchState

STEPS = 4  # denoising steps; with the clean pass a block is five equal passes
BITS = 16


def prompt_colour(words: Words) -> tuple[int, int, int]:
    """The card's colour under these words: the first three bytes of their SHA-256."""
    red, green, blue = hashlib.sha256(str(words).encode()).digest()[:3]
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
        """latents [1, f, 5, n, 1] float32 (number, prompts, red, green, blue) -> frames uint8 [f * n, Y, X, 3]."""
        cards = latents[0, ..., 0].transpose(0, 2, 1).reshape(-1, latents.shape[2])
        return np.stack([self._card(card) for card in cards]), None

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


class ProbeSession:
    """Implements world.block.Session: spends what the work that a SwitchState asks for would cost.

    A latent frame describes one pixel frame, or as many as the options say: [1, f, 5, n, 1].

    rules: those of the cache that the card pretends to have; a stream of one block's memory needs no latents. steps: in
    how many a block is made.
    """

    slow_words = is_recaching = takes_dials = False
    steps = STEPS

    def __init__(
        self,
        options: ProbeOptions,
        seed: int,
        prompt: str,
        spend: Callable[[float], None],
        rules: CacheRules | None = None,
        spare: int = SPARE,
    ) -> None:
        self._rules = rules or CacheRules(options.latent_frames, 0, options.latent_frames, keep_sink=False)
        self.state = SwitchState(self._rules, {}, Conditions(prompt, seed), spare)
        self.options = options
        self._spend = spend
        self._prompts: dict[int, int] = {}  # the number of prompts applied, of each block that is remembered

    @property
    def index(self) -> int:
        """The number of the next block, or of the block in flight."""
        return self.state.index

    @property
    def conditions(self) -> Conditions:
        """What the next block is made under; while one is in flight, the block after it."""
        return self.state.conditions

    def completed(self, event: Event, after: Words | None = None) -> Event:
        """Words are read as they are."""
        return event

    def encode(self, event: Event) -> None:
        """Words need no encoding here."""

    def prepare(self, event: Event, encoded: None = None) -> None:
        """Words need no encoding here."""

    def step(self, events: Sequence[Event] = ()) -> Block:
        """Make the next block, clean pass included."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event] = ()) -> Generator[Pass, None, None]:
        """Make the next block under `events`, one pass at a time."""
        work = self.state.begin(events)
        self._do(work)
        boundary, begun = self.state.flight, self.state.begun
        assert boundary is not None
        try:
            if any(isinstance(piece, Recache) for piece in work):
                yield Recached()
            for step in range(self.steps):
                self._spend_ms(self.options.block_ms / (STEPS + 1), self.index)
                yield Denoised(step)
            block = self._publish(boundary)
        finally:
            if self.state.begun == begun:
                self.state.abandon()
        yield Made(block)
        self._do(self.state.after_block())
        yield Clean()

    def turn(self, dials: Sequence[Dial]) -> Conditions:
        """The card has no dials: nothing may enter its block in flight."""
        raise ValueError("the test card has no dials")

    def ahead(self, events: Sequence[Event]) -> None:
        """Take `events` for the next block now, and spend the recache they need."""
        self._do(self.state.ahead(events))

    def take_back(self, after: int, latents: int | None = None) -> None:
        """Forget the blocks newer than `after`; the next block carries their events and begins with a recache."""
        self.state.take_back(after, latents)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on after the snapshot's last block; the next one carries a Rebuild, which costs a recache."""
        self.state.resume(snapshot)
        self._prompts = {block.index: _prompts_of(block) for block in snapshot.blocks}

    def fold(self, blocks: Sequence[Block], words: Words | None = None, dials: dict[str, float] | None = None) -> None:
        """Become the session that made `blocks`; the card has no dials."""
        now = self.state.conditions
        line = logged_line(blocks, Conditions(words or now.words, now.seed), {})
        for logged, passes in zip(line, passes_to_restore(line, self._rules), strict=True):
            self.state.restore(logged, passes)
            self._prompts[logged.block.index] = _prompts_of(logged.block)

    def skip_to(self, index: int) -> None:
        """Let the next block have the number `index`, and so its noise; those before it stay unused."""
        self.state.skip_to(index)

    def again(self, block: Block) -> Block:
        """Make a logged block anew, after its parent."""
        self._do(self.state.again(block))
        return self.step()

    def rehearse(self, block: Block) -> Block:
        """Make a logged block anew, after its parent, and be where the session was before."""
        before = self.state.copy(), dict(self._prompts)
        made = self.again(block)
        self.state, self._prompts = before
        return made

    def follow(self, block: Block) -> None:
        """Take a logged block for the one after its parent."""
        self._do(self.state.again(block))
        self._do(self.state.begin(()))
        self.state.made(block.latents.shape[1])
        self._do(self.state.after_block())
        self._prompts[block.index] = _prompts_of(block)

    def _do(self, work: Sequence[Work]) -> None:
        """Spend what each piece costs; emptying a bank and changing places are free."""
        for piece in work:
            if isinstance(piece, Recache) and piece.end:
                self._spend_ms(self.options.recache_ms, self.index)
            elif isinstance(piece, Append):
                self._spend_ms(self.options.block_ms / (STEPS + 1), piece.block)

    def _spend_ms(self, cost_ms: float, block: int) -> None:
        self._spend(cost_ms * self.options.slowness(block) / 1e3)

    def _publish(self, boundary: Boundary) -> Block:
        """The block in flight, whose latents say which block it is and how many prompts made it."""
        made = self.state.made(self.options.latent_frames)
        prompts = self._prompts.get(made.parent, 0) + (boundary.scene or boundary.switch)
        self._prompts[made.index] = prompts
        self._prompts = {block.index: self._prompts[block.index] for block in self.state.line}
        shape = self.options.latent_frames, self.options.frames // self.options.latent_frames
        latents = np.empty((1, shape[0], 5, shape[1], 1), np.float32)
        first = made.index * self.options.frames
        latents[0, :, 0, :, 0] = np.arange(first, first + self.options.frames).reshape(shape) % 65536
        latents[0, :, 1] = prompts % 65536
        latents[0, :, 2:] = np.array(prompt_colour(boundary.conditions.words)).reshape(3, 1, 1)
        return Block(made.index, made.parent, made.start, latents, made.events, made.cut, made.seen)


def _prompts_of(block: Block) -> int:
    """The number of prompts that had been applied when a card's block was made."""
    return int(block.latents[0, -1, 1, 0, 0])


class ProbeWorld:
    """The test card as a World. `spend(seconds)` pretends that the one serial device worked that long."""

    def __init__(self, options: ProbeOptions, picture: tuple[int, int] | None, spend: Callable[[float], None]) -> None:
        width, height = picture or (256, 144)
        if width < BITS or height < 16:
            raise WorldError(f"probe picture {width}x{height}: expected at least {BITS}x16, one pixel for each cell")
        self.options = options
        self.decoder = ProbeDecoder((width, height))
        size = options.frames, (width, height)
        cut_from = options.latents or None
        self.info = WorldInfo("probe", options.fps, *size, "a test card", memory_blocks=1, cut_from=cut_from)
        self._spend = spend

    def session(self, seed: int, prompt: str, spare: int = SPARE) -> ProbeSession:
        """A new stream; the card draws no random numbers, so `seed` changes nothing."""
        return ProbeSession(self.options, seed, prompt, self._spend, spare=spare)
