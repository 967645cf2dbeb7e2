"""The events: everything that can happen to a running world, as frozen values. Importing this costs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from world.info import MOST_STEPS
from world.invisible import unreadable_as_spaces, without_invisible, without_strays
from world.past_block import PastBlock
from world.prompt_mix import PromptMix, Words, parse_mix

MAX_TEXT = 2_000  # characters; UMT5 reads 512 tokens, and nobody types more on a stage


@dataclass(frozen=True)
class Prompt:
    """New words for the running world, which goes on from what was shown.

    said: what a person said, where the world made `text` of it by adding what stays; empty where that is `text` itself.
    """

    text: str
    said: str = ""

    def __post_init__(self) -> None:
        _check_words(self)


@dataclass(frozen=True)
class Blend:
    """A step of a transition: as a Prompt, under a mix that was made here, so that no limit for users applies to it."""

    mix: PromptMix


@dataclass(frozen=True)
class Dial:
    """A dial of the world or of the display, set to `value`.

    step: how many denoising steps of its block are made without it; 0: it is in force from the block boundary on.
    """

    name: str
    value: float
    step: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.step, int) or not 0 <= self.step < MOST_STEPS:
            raise ValueError(
                f"dial {self.name!r} enters at step {self.step!r}: expected a number from 0 to {MOST_STEPS - 1}"
            )
        if not math.isfinite(self.value):
            raise ValueError(f"dial {self.name!r} was set to {self.value}: give a finite number")


@dataclass(frozen=True)
class Scene:
    """A hard cut: a new stream from empty caches under these words; without a `seed` it keeps the one in force.

    said: as of a Prompt.
    """

    text: str
    seed: int | None = None
    said: str = ""

    def __post_init__(self) -> None:
        _check_words(self)


@dataclass(frozen=True)
class Rebuild:
    """Rebuild the cache from the latents of the window, under the words in force.

    keeps_averages: a cache that averages what leaves the window goes on from its averages after the block before.
    """

    keeps_averages: bool = False


@dataclass(frozen=True)
class Recall:
    """Blocks of the past come back as memory: the sink is made anew of them under these words, and the stream goes on.

    blocks: oldest first; of more latent frames than the sink holds, the newest count. A session needs their latents.
    said: as of a Prompt.
    """

    blocks: tuple[PastBlock, ...]
    text: str
    said: str = ""

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("a recall names no block: name at least one that was made before")
        _check_words(self)

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of those blocks whose latents are not here, as where only a log was read."""
        return tuple(block.index for block in self.blocks if block.latents is None)


@dataclass(frozen=True)
class Rewind:
    """Go on from block number `block`, as if those after it had never been made."""

    block: int


Event = Prompt | Blend | Dial | Scene | Rebuild | Recall | Rewind

_KINDS: dict[str, type] = {
    "prompt": Prompt,
    "blend": Blend,
    "dial": Dial,
    "scene": Scene,
    "rebuild": Rebuild,
    "recall": Recall,
    "rewind": Rewind,
}

_LEFT_OUT = ("step", "said", "keeps_averages")  # where they say nothing, so that older versions read the event


def words_of(event: Event) -> Words | None:
    """The words that an event puts in force; None if it changes none."""
    return event.mix if isinstance(event, Blend) else text_of(event)


def text_of(event: Event) -> str | None:
    """The words of an event that somebody can ask for; None if it brings none."""
    return event.text if isinstance(event, Prompt | Scene | Recall) else None


def said_of(event: Event) -> str | None:
    """The words of an event as a person said them; None if it brings none that somebody can ask for."""
    return event.said or event.text if isinstance(event, Prompt | Scene | Recall) else None


def without_latents(event: Event) -> Event:
    """A Recall without the latents of its blocks as the words that it brings; any other event as it is."""
    return Prompt(event.text, event.said) if isinstance(event, Recall) and event.missing else event


def at_boundary(event: Event) -> Event:
    """A Dial that is in force from the block boundary on, for one that came between steps; any other event as it is."""
    return replace(event, step=0) if isinstance(event, Dial) and event.step else event


def event_of(words: Words) -> Prompt | Blend:
    """The event that puts these words in force."""
    return Prompt(words) if isinstance(words, str) else Blend(words)


def one_line(text: str) -> str:
    """`text` on one line, with single spaces, and without control and invisible characters; it may be empty."""
    if not (text.isascii() and text.isprintable()):  # of such there is nothing to drop, and a flood of it costs time
        text = without_strays(unreadable_as_spaces(without_invisible(text)))
    return " ".join(text.split())


def clean_text(text: str) -> str:
    """`text` on one line, without control and invisible characters; raises ValueError when empty or over MAX_TEXT."""
    line = one_line(text)
    if not line:
        raise ValueError("the prompt is empty: type at least one word")
    if len(line) > MAX_TEXT:
        raise ValueError(f"the prompt has {len(line):,} characters: {MAX_TEXT:,} is the most a world reads")
    return line


def _check_words(event: Prompt | Scene | Recall) -> None:
    """Make the words of a new event clean; if they are a mix, its weights are numbers that a world can use."""
    if not isinstance(event.text, str) or not isinstance(event.said, str):
        raise TypeError(f"the words {event.text!r}, said as {event.said!r}: expected text")
    object.__setattr__(event, "text", clean_text(event.text))
    object.__setattr__(event, "said", clean_text(event.said) if event.said else "")
    parse_mix(event.text)


def to_json(event: Event) -> dict[str, Any]:
    """`event` as it is written in logs, in traces and on the wire: its type and its fields."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(event, cls))
    if isinstance(event, Blend):
        return {"type": kind, "parts": [list(part) for part in event.mix.parts]}
    fields = {name: value for name, value in vars(event).items() if value or name not in _LEFT_OUT}
    if isinstance(event, Recall):
        fields["blocks"] = [block.index for block in event.blocks]
    return {"type": kind, **fields}


def from_json(fields: Mapping[str, Any]) -> Event:
    """The inverse of `to_json`; raises ValueError that says what is wrong."""
    rest = dict(fields)
    kind = rest.pop("type", None)
    if kind not in _KINDS:
        raise ValueError(f"event type {kind!r}: expected one of {', '.join(_KINDS)}")
    try:
        if kind == "blend":
            return Blend(PromptMix(tuple((str(words), float(weight)) for words, weight in rest.pop("parts")), **rest))
        if kind == "recall":
            return Recall(tuple(PastBlock(int(index)) for index in rest.pop("blocks")), **rest)
        return _KINDS[kind](**rest)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{kind} event with {sorted(rest)}: {error}") from None
