"""What an open world says of itself: sizes, rates, dials, words. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from world.invisible import without_invisible, without_strays

STEPS_DIAL = "steps"  # the dial that says in how many denoising steps a block is made
GRIP_DIAL = "grip"  # the dial that says how much of the window survives new words
PRESS_DIAL = "press"  # the dial that says how strongly new words are pressed on
SESSION_DIALS = (STEPS_DIAL, GRIP_DIAL, PRESS_DIAL)  # no inputs of the model, which may jump
MOST_STEPS = 8  # that anybody can ask for
MOST_PRESS = 4.0
PRESSED_BLOCKS = 4  # that new words are pressed on for

WordGroups = tuple[tuple[str, tuple[str, ...]], ...]  # headings with their words


class WorldError(ValueError):
    """A world cannot be opened or used as asked; the message is one line for the user."""


def split_words(text: str) -> list[str]:
    """The words of `text`, runs of letters, in lower case. An invisible character does not end a word."""
    return re.findall(r"[^\W\d_]+", without_strays(without_invisible(text)).lower())


@dataclass(frozen=True)
class DialRange:
    """The limits of a world dial, and the value it has until somebody turns it."""

    low: float = -1.0
    high: float = 1.0
    rest: float = 0.0

    def clamped(self, value: float) -> float:
        """`value`, or the nearest limit if it lies outside."""
        return min(max(value, self.low), self.high)


def steps_dial(count: int) -> dict[str, DialRange]:
    """The dial of a world that makes its blocks in `count` denoising steps unless somebody turns it, by its name."""
    return {STEPS_DIAL: DialRange(1, max(MOST_STEPS, count), count)}


def grip_dial(carry: int | None, window: int) -> dict[str, DialRange]:
    """The dial of a world whose new words keep `carry` of the `window` latent frames unless somebody turns it.

    None: all of them. Raises WorldError for more than there are.
    """
    if carry is not None and carry > window:
        raise WorldError(f"carry {carry}: this world's window holds {window} latent frames")
    return {GRIP_DIAL: DialRange(0.0, 1.0, 1.0 if carry is None else carry / window)}


def grip_of(dials: Mapping[str, float], ranges: Mapping[str, DialRange]) -> float:
    """How much of the window new words keep under these dials, 0 to 1; all of it in a world without the dial."""
    return dials.get(GRIP_DIAL, ranges[GRIP_DIAL].rest) if GRIP_DIAL in ranges else 1.0


def press_dial(rest: float) -> dict[str, DialRange]:
    """The dial of a world that presses new words on by `rest` unless somebody turns it."""
    return {PRESS_DIAL: DialRange(0.0, MOST_PRESS, rest)}


def press_of(dials: Mapping[str, float], ranges: Mapping[str, DialRange]) -> float:
    """How strongly new words are pressed on under these dials; 0 in a world without the dial."""
    return dials.get(PRESS_DIAL, ranges[PRESS_DIAL].rest) if PRESS_DIAL in ranges else 0.0


@dataclass(frozen=True)
class WorldInfo:
    """Everything the rest of the engine knows of a world.

    fps: frames a second of its video. picture: width and height in pixels. showpiece: a prompt to begin with.
    block_frames: pixel frames of a block once the stream runs; the first block may hold fewer.
    cut_from: from which latent frame of a scene on a block can be cut after any of its latent frames; None: never.
    memory_blocks: past blocks whose latents must be kept, so that the window and the decoder can be rebuilt from them.
    late_steps: how many denoising steps of a block may be done when a dial still enters it; 0: at its boundary only.
    sink_blocks: how many blocks of the past come back at a time: as many as the sink holds, or as were asked for.
    vocabulary: the words that mean something to this world; empty if any word may.
    silent: words like `the` that mean nothing here and are no reason for a remark.
    word_groups: the vocabulary under headings, each with its words. examples: prompts to show beside it.
    most_words: how many known words of a prompt are read; None if there is no limit that anybody meets.
    fallback: the prompt that plays instead of one without a known word; empty if any word is known, or if one without
        a known word changes nothing.
    """

    name: str
    fps: float
    block_frames: int
    picture: tuple[int, int]
    showpiece: str
    memory_blocks: int
    dials: dict[str, DialRange] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    word_groups: WordGroups = ()
    examples: tuple[str, ...] = ()
    most_words: int | None = None
    fallback: str = ""
    sink_blocks: int = 1
    late_steps: int = 0
    cut_from: int | None = None

    def knows(self, word: str) -> bool:
        """Whether this word, in lower case, means something to the world. A world without a vocabulary knows any."""
        return not self.vocabulary or word in self.vocabulary

    def known_words(self, text: str) -> list[str]:
        """The words of `text` that mean something to the world, in order and in lower case."""
        return [word for word in split_words(text) if self.knows(word)]

    def unknown_words(self, text: str) -> list[str]:
        """The words of `text` that the world does not know, each once; those in `silent` are not among them."""
        return [word for word in dict.fromkeys(split_words(text)) if not self.knows(word) and word not in self.silent]

    @property
    def block_s(self) -> float:
        """Seconds of video in one block."""
        return self.block_frames / self.fps
