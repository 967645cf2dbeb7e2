"""The test card: a world without a network, whose every frame says which frame it is and how many prompts made it.

Layout of a frame, Y by X pixels: the top eighth holds 16 equal cells with `number mod 65536` in black and white, most
significant bit first; the second eighth likewise the number of prompts applied; the rest is the colour given by the
first three bytes of the SHA-256 of the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from world.block import Block, Clean, Denoised, Made, Pass, Recached, Snapshot
from world.event import Event, Prompt, Rebuild, Scene
from world.info import WorldError, WorldInfo
from world.zoo import ProbeOptions

STEPS = 4  # denoising steps; with the clean pass a block is five equal passes
BITS = 16


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


class ProbeSession:
    """The card's stream. Its whole memory is the words, the prompt count and the next index."""

    def __init__(self, options: ProbeOptions, prompt: str, spend: Callable[[float], None]) -> None:
        self.options = options
        self.words = prompt
        self.prompts = 0
        self.index = 0
        self._start = 0
        self._parent = -1
        self._spend = spend

    def prepare(self, event: Event) -> None:
        """Words need no encoding here."""

    def step(self, events: Sequence[Event] = ()) -> Block:
        """The next block, its costs spent."""
        return next(done.block for done in list(self.begin(events)) if isinstance(done, Made))

    def begin(self, events: Sequence[Event]) -> Iterator[Pass]:
        """Passes of one block: a recache where the words changed, four steps, the block, the clean pass."""
        index, cut = self.index, self._take(events)
        if cut and self._start:
            self._spend(self.options.recache_ms / 1e3)
            yield Recached()
        for step in range(STEPS):
            self._spend(self.options.block_ms / 1e3 / (STEPS + 1))
            yield Denoised(step)
        block = self._block(tuple(events), index if cut else None)
        self.index, self._parent, self._start = index + 1, index, self._start + self.options.frames
        yield Made(block)
        self._spend(self.options.block_ms / 1e3 / (STEPS + 1))
        yield Clean()

    def resume(self, snapshot: Snapshot) -> None:
        """Go on after the snapshot's last block; costs one recache."""
        self.words, self.index, self._start = snapshot.words, snapshot.index, snapshot.start
        if snapshot.blocks:
            self.prompts = int(snapshot.blocks[-1].latents[0, -1, 1, 0, 0])
            self._parent = snapshot.blocks[-1].index
            self._spend(self.options.recache_ms / 1e3)

    def _take(self, events: Sequence[Event]) -> bool:
        """Apply `events`; whether they make a cut."""
        cut = any(isinstance(event, Rebuild) for event in events)
        for event in events:
            if isinstance(event, Scene):
                self._start = 0
            if isinstance(event, Scene) or (isinstance(event, Prompt) and event.text != self.words):
                self.words, self.prompts, cut = event.text, self.prompts + 1, True
        return cut

    def _block(self, events: tuple[Event, ...], cut: int | None) -> Block:
        latents = np.empty((1, self.options.frames, 5, 1, 1), np.float32)
        first = self.index * self.options.frames
        latents[0, :, 0, 0, 0] = np.arange(first, first + self.options.frames) % 65536
        latents[0, :, 1, 0, 0] = self.prompts % 65536
        latents[0, :, 2:, 0, 0] = prompt_colour(self.words)
        return Block(self.index, self._parent, self._start, latents, events, cut, cut)


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
        return ProbeSession(self.options, prompt, self._spend)
