"""What a session hands out: blocks of latents, the passes that make them, and what is needed to go on from them.

Plain data, no torch: the window's process reads these too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from world.event import Dial, Event, words_of
from world.info import WorldInfo
from world.past_block import PastBlock
from world.prompt_mix import Words

AVERAGES_BYTES = 64 << 10  # larger averages do not travel with their block: Wan 1.3B's are 720 KiB, its latents 585


@dataclass(frozen=True)
class Block:
    """One block as it is stored and shown.

    index: never reused, not even by a taken-back or rewound stretch.
    parent: the block it continues (index - 1 in a straight run, -1 at the beginning).
    start: its first latent frame, counted since the last hard cut. Where its parent was cut within, so that the later
        part was never shown, this lies before the end of the parent's latents.
    latents: [1, F, C, h, w] in the world's stored dtype; exactly these were decoded and cached.
    events: what was taken at its boundary.
    cut, seen: set where this block was the first made under new state: the first block that was not re-encoded, and the
        first one made under the new words (both None otherwise).
    dials: the world dials it was made under; a rebuild needs them beside the latents.
    averages: where a cache averages what leaves its window, those after this block, so that another process can go on
        from them: float32 [2, layers, B, 2, heads, head_dim], keys and values. None where nothing has left the window
        yet, and where they would take more than AVERAGES_BYTES.
    """

    index: int
    parent: int
    start: int
    latents: np.ndarray
    events: tuple[Event, ...] = ()
    cut: int | None = None
    seen: int | None = None
    dials: dict[str, float] = field(default_factory=dict)
    averages: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the latents, in hex: two runs agree on a block when they agree on this."""
        return hashlib.sha256(np.ascontiguousarray(self.latents).tobytes()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Of its arrays."""
        return self.latents.nbytes + (0 if self.averages is None else self.averages.nbytes)

    def until(self, end: int) -> Block:
        """The block with only its latents before latent frame `end`, which lies behind its first one."""
        frames = end - self.start
        is_whole = frames >= self.latents.shape[1]
        return self if is_whole else replace(self, latents=self.latents[:, :frames], averages=None)

    @property
    def past(self) -> PastBlock:
        """The block as a Recall brings it back."""
        return PastBlock(self.index, self.latents, self.dials)


@dataclass(frozen=True)
class Recached:
    """The cache now holds the window under the new words."""


@dataclass(frozen=True)
class Denoised:
    """One of the few denoising steps is done."""

    step: int


@dataclass(frozen=True)
class Remade:
    """Block `index` came out with latents that are not finite: it is made again, from a cache made of older latents.

    without_events: the first such try failed too, so it is made without the events that were taken for it.
    """

    index: int
    without_events: bool

    def __str__(self) -> str:
        how = "without the events that it was to be made under" if self.without_events else "from older latents"
        return f"block {self.index} came out with numbers that are not finite: it is made again {how}"


@dataclass(frozen=True)
class Made:
    """The block's latents are final: they can be decoded and shown before the cache is refreshed.

    latents: the same latents where the model has them, for a decoder on its device; None: nowhere else than in `block`.
    """

    block: Block
    latents: Any = None


@dataclass(frozen=True)
class Clean:
    """The clean pass has written the block into the cache: the next block may begin."""


Pass = Recached | Denoised | Remade | Made | Clean


@dataclass(frozen=True)
class Conditions:
    """What a block is made under: words, seed, and the world dials that were ever touched.

    left: the words that were left for these, while these are pressed on; pressed_until: the first block at which they
    are not pressed on any more.
    """

    words: Words
    seed: int
    dials: dict[str, float] = field(default_factory=dict)
    left: Words | None = None
    pressed_until: int = 0


@dataclass(frozen=True)
class Snapshot:
    """All that is needed to go on after `blocks` on another model process: latents and words, never keys and values.

    index: the number the next block gets; start: its first latent frame since the last hard cut, which may lie within
        the newest block.
    blocks: the newest blocks, oldest first (WorldInfo.memory_blocks of them, or all there are since the last hard cut).
    """

    seed: int
    index: int
    start: int
    words: Words
    dials: dict[str, float]
    blocks: tuple[Block, ...] = ()

    def line(self) -> list[tuple[Block, Words | None]]:
        """Those blocks that follow one another up to `start`, oldest first, and the words each was made under.

        Of each there is only what comes before the next one, or before `start`. The words are None where no block up to
        it tells them. Without a block that changed them, they are the newest.
        """
        line: list[Block] = []
        end = self.start
        for block in reversed(self.blocks):
            if not block.start < end <= block.start + block.latents.shape[1]:
                break
            line.insert(0, block.until(end))
            end = block.start
        changes = [[words for event in block.events if (words := words_of(event)) is not None] for block in line]
        words = None if any(changes) else self.words
        told: list[tuple[Block, Words | None]] = []
        for block, texts in zip(line, changes, strict=True):
            words = texts[-1] if texts else words
            told.append((block, words))
        return told


def without_cut_latents(blocks: Sequence[Block]) -> list[Block]:
    """Blocks that follow one another, each with only what comes before the next one; before a hard cut all of it."""
    return [
        block.until(after.start) if after is not None and after.start > block.start else block
        for block, after in zip_longest(blocks, blocks[1:])
    ]


def latent_frames(blocks: Sequence[Block]) -> int:
    """How many latent frames such blocks have, without those that were cut away."""
    return sum(block.latents.shape[1] for block in without_cut_latents(blocks))


class Session(Protocol):
    """A running world: events in, blocks out. It asks for no clock, thread or device."""

    @property
    def index(self) -> int:
        """The number of the next block, or of the block in flight."""

    @property
    def conditions(self) -> Conditions:
        """What the next block is made under; while one is in flight, the block after it."""

    @property
    def slow_words(self) -> bool:
        """Whether encoding a prompt takes so long that blocks should go on meanwhile."""

    @property
    def is_recaching(self) -> bool:
        """Whether the recache that `ahead` began is still under way on the device."""

    def completed(self, event: Event, after: Words | None = None) -> Event:
        """`event` with words that say all that is to be seen, where the world adds what stays; else as it is.

        after: the words that it follows, if not those in force. `begin` and `ahead` do the same.
        """

    def encode(self, event: Event) -> Any:
        """The event's words encoded, for `prepare`. The session is not touched: another thread may do this."""

    def prepare(self, event: Event, encoded: Any = None) -> None:
        """Have the event's words ready, encoded here if they do not come so: the block boundary need not do it then."""

    def begin(self, events: Sequence[Event]) -> Generator[Pass, None, None]:
        """Make the next block under `events`, one model pass at a time. Closed early, the block is abandoned."""

    def step(self, events: Sequence[Event] = ()) -> Block:
        """`begin` run to its end."""

    @property
    def takes_dials(self) -> bool:
        """Whether `turn` may be called: dials may enter the block in flight before its next denoising step."""

    def turn(self, dials: Sequence[Dial]) -> Conditions:
        """Let `dials` enter the block in flight at its next denoising step; what the block is made under now.

        They are among its events, each with the number of steps that were made without it.
        """

    def ahead(self, events: Sequence[Event]) -> None:
        """Take `events` for the next block now, and recache behind the present words, which go on until it begins.

        A block in flight is finished as it was begun; its clean pass goes under the new words. The next block then has
        the block in flight as its `cut`; without one in flight, itself. `begin` may add to the events.
        """

    def take_back(self, after: int, latents: int | None = None) -> None:
        """Forget the blocks newer than `after`, unseen; the next block continues `after` and carries their events.

        latents: of `after` itself only so many latent frames are kept, and the next block continues those; None: all of
        it. A block in flight is abandoned. The next block begins with a recache, unless it is a hard cut; numbers are
        not used again. Raises ValueError where `after` is not known any more: too old, or before the last hard cut; and
        where it cannot be cut there.
        """

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`: a cut here and a rebuild from its latents."""

    def fold(self, blocks: Sequence[Block], words: Words | None = None, dials: dict[str, float] | None = None) -> None:
        """Become the session that made `blocks`, one line without gaps; for a new session of the same world and seed.

        A Recall among their events must come with the latents of the blocks that it names. words, dials: what was in
        force before the first of them. Raises ValueError when blocks are missing.
        """

    def skip_to(self, index: int) -> None:
        """Let the next block have the number `index`, and so its noise; those before it stay unused."""

    def again(self, block: Block) -> Block:
        """Make a logged block anew, after its parent; only its number, start, events and cut are read."""

    def rehearse(self, block: Block) -> Block:
        """Make a logged block anew, as `again` does, and be where the session was before."""

    def follow(self, block: Block) -> None:
        """Take a logged block, which was made elsewhere, for the one after its parent: what `fold` does for one more.

        The state comes from its latents, words and cut alone.
        """


class Decoder(Protocol):
    """Latents to pixels, as a function of a state that the caller keeps."""

    @property
    def memory(self) -> int:
        """How many latent frames before the next one its pixels depend on."""

    def start(self) -> Any:
        """The state before the first latent frame of a stream."""

    def decode(self, state: Any, latents: Any) -> tuple[np.ndarray, Any]:
        """latents [1, f, C, h, w] -> frames uint8 [n, Y, X, 3] RGB, and the next state."""


class World(Protocol):
    """An open world: weights loaded, ready to run sessions."""

    @property
    def info(self) -> WorldInfo:
        """What everybody may know of it."""

    @property
    def decoder(self) -> Decoder:
        """From its latents to pixels."""

    def session(self, seed: int, prompt: str, spare: int = 8) -> Session:
        """A new stream that begins with `prompt`; its newest `spare` blocks can be taken back."""
