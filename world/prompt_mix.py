"""Prompts mixed by weight, `a neon tunnel:0.7 | blue rain:0.3`, and transitions made of such mixes. No torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

Part = tuple[str, float]  # words and their weight
MAX_WEIGHT = 1000.0

_WEIGHTED = re.compile(r"^(.*\S)\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf(?:inity)?|nan)$", re.IGNORECASE)
_LEAST = 0.02  # a smaller weight makes no visible difference and is left out


@dataclass(frozen=True)
class PromptMix:
    """A mix that a transition made: prompts with weights above 0 that add up to 1. It is never parsed.

    As text it looks like what a user would type, for people to read. Raises ValueError for other weights.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        weights = [weight for _, weight in self.parts]
        if not all(0 < weight <= 1 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
            raise ValueError(f"a mix with the weights {weights}: expected numbers above 0 that add up to 1")

    def __str__(self) -> str:
        return " | ".join(f"{words}:{weight:.3g}" for words, weight in self.parts)


Words = str | PromptMix  # what a block is made under: what a user typed, or what a transition made of it


def parts_of(words: Words) -> tuple[Part, ...]:
    """The parts of words in force, with weights that add up to 1."""
    return parse_mix(words) if isinstance(words, str) else words.parts


def parse_mix(text: str) -> tuple[Part, ...]:
    """The parts of a prompt, with weights that add up to 1. A part without a weight counts as 1.

    A prompt without a bar is one part, even if it ends in a colon and a number: `chapter 2: 1984`. Raises ValueError
    for a weight that is no number from 0 to MAX_WEIGHT.
    """
    if "|" not in text:
        return ((text, 1.0),)
    weighted = [_part(piece.strip()) for piece in text.split("|") if piece.strip()]
    total = sum(weight for _, weight in weighted)
    if not total:
        return ((text, 1.0),)
    return tuple((words, weight / total) for words, weight in weighted if weight)


def blend_prompts(old: Words, new: Words, share: float) -> Words:
    """A mix with weight `share` (0 to 1) for the new prompt and the rest for the old one; both may be mixes.

    What would not be seen is left out; where one prompt is left, it is that prompt.
    """
    weights: dict[str, float] = {}
    for words, weight in ((old, 1 - share), (new, share)):
        for text, part in parts_of(words):
            weights[text] = weights.get(text, 0.0) + weight * part
    least = min(_LEAST, max(weights.values()))
    kept = {text: weight for text, weight in weights.items() if weight >= least}
    if len(kept) == 1:
        return next(iter(kept))
    total = sum(kept.values())
    return PromptMix(tuple((text, weight / total) for text, weight in kept.items()))


def transition_steps(old: Words, new: str, blocks: int) -> list[Words]:
    """The words of a transition from `old` to `new`, one for each of `blocks` blocks; the last are `new` itself."""
    return [*(blend_prompts(old, new, number / blocks) for number in range(1, blocks)), new]


def _part(piece: str) -> Part:
    match = _WEIGHTED.match(piece)
    if match is None:
        return piece, 1.0
    words, weight = match[1], float(match[2])
    if not (math.isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
        given = match[2] if len(match[2]) <= 20 else match[2][:17] + "..."
        raise ValueError(f"the weight {given} of {_short(words)!r}: give a number from 0 to {MAX_WEIGHT:g}")
    return words, weight


def _short(words: str) -> str:
    return words if len(words) <= 40 else words[:37] + "..."
