"""What is said of a pair of clips: sentences as token tables, made once, so that no step waits for a text.

A sentence need not name every attribute. What it leaves out stays as it was; in a stream that begins with it, it is
as a story begins (`world.train.tale.words.START`). So every sentence has one right answer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from world.compact.text import PAD, token_numbers
from world.train.story.form import TALE
from world.train.tale.sentences import sentence
from world.train.tale.words import ATTRIBUTES, SceneWords, must_name

VARIANTS = 3  # sentences of each kind for each clip


@dataclass(frozen=True)
class Sentences:
    """Tokens of P pairs, uint8 [P, 2, VARIANTS, most_words]; the second axis is the clip that a sentence is said of.

    running: they say some of what is seen. turning: they name what differs from the other clip of the pair, and little
    else.
    """

    running: Tensor
    turning: Tensor

    @classmethod
    def empty(cls, pairs: int) -> Sentences:
        """Tables without a sentence."""
        shape = (pairs, 2, VARIANTS, TALE.language.most_words)
        return cls(*(torch.full(shape, PAD, dtype=torch.uint8) for _ in fields(cls)))

    def write(self, at: int, first: Sequence[SceneWords], second: Sequence[SceneWords], rng: random.Random) -> None:
        """Fill in the sentences of pairs from number `at` on."""
        for number, pair in enumerate(zip(first, second, strict=True), at):
            for side, scene in enumerate(pair):
                for variant in range(VARIANTS):
                    place = number, side, variant
                    before = pair[1 - side]
                    _put(self.running[place], sentence(scene, running_attributes(scene, rng), rng))
                    _put(self.turning[place], sentence(scene, turning_attributes(scene, before, rng), rng, before))


def opening_tokens(scenes: Sequence[SceneWords], rng: random.Random) -> Tensor:
    """Sentences that say all of a scene in which a stream begins: tokens uint8 [B, VARIANTS, most_words]."""
    tokens = torch.full((len(scenes), VARIANTS, TALE.language.most_words), PAD, dtype=torch.uint8)
    for rows, scene in zip(tokens, scenes, strict=True):
        for row in rows:
            _put(row, sentence(scene, opening_attributes(scene, rng), rng))
    return tokens


def _put(row: Tensor, text: str) -> None:
    numbers = token_numbers(text, TALE.language)
    row[: len(numbers)] = torch.tensor(numbers, dtype=torch.uint8)


def opening_attributes(scene: SceneWords, rng: random.Random, more: float = 0.4) -> set[str]:
    """What a first sentence must name of a scene so that it is this one and no other; and sometimes more."""
    return _sayable(scene, must_name(scene) | {name for name in ATTRIBUTES if rng.random() < more})


def running_attributes(scene: SceneWords, rng: random.Random) -> set[str]:
    """Some of what is to be seen: one attribute or more."""
    share = rng.choice((0.2, 0.45, 0.8))
    named = {name for name in ATTRIBUTES if rng.random() < share}
    return _sayable(scene, named or {rng.choice(("place", "time", "weather", "subject"))})


def turning_attributes(scene: SceneWords, before: SceneWords, rng: random.Random) -> set[str]:
    """What differs from the scene before, and now and then one thing that does not."""
    named = must_name(scene, before)
    if rng.random() < 0.2 or not named:
        named = named | {rng.choice(("place", "time", "weather"))}
    return _sayable(scene, named)


def _sayable(scene: SceneWords, named: set[str]) -> set[str]:
    """The attributes as they can be told: of no subject no colour is told, and something must be."""
    if scene["subject"] == "none":
        named = named - {"colour"}
    return named or {"place"}
