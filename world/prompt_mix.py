"""Prompts mixed by weight, `a neon tunnel:0.7 | blue rain:0.3`, and the way from one prompt to another. No torch."""

from __future__ import annotations

import re

Part = tuple[str, float]  # words and their weight

_WEIGHTED = re.compile(r"^(.*\S)\s*:\s*(\d+(?:\.\d+)?|\.\d+)$")
_LEAST = 0.02  # a smaller share cannot be seen and is left out


def parse(text: str) -> tuple[Part, ...]:
    """The parts of a prompt, their weights adding up to 1; a part without a weight counts 1.

    Without a bar the prompt is one part, colons and all: `chapter 2: 1984` stays what it is.
    """
    if "|" not in text:
        return ((text, 1.0),)
    weighted = [_part(piece.strip()) for piece in text.split("|") if piece.strip()]
    whole = sum(weight for _, weight in weighted)
    if not whole:
        return ((text, 1.0),)
    return tuple((words, weight / whole) for words, weight in weighted if weight)


def blend(old: str, new: str, share: float) -> str:
    """The prompt that is `share` (0 to 1) new and the rest old, either of them a mix already."""
    parts: dict[str, float] = {}
    for text, weight in ((old, 1 - share), (new, share)):
        for words, part in parse(text):
            parts[words] = parts.get(words, 0.0) + weight * part
    kept = {words: weight for words, weight in parts.items() if weight >= _LEAST}
    return " | ".join(f"{words}:{weight:.3g}" for words, weight in kept.items())


def steps(old: str, new: str, blocks: int) -> list[str]:
    """The prompts of a transition over `blocks` blocks; the last one is `new` itself."""
    return [blend(old, new, number / blocks) for number in range(1, blocks)] + [new]


def _part(piece: str) -> Part:
    match = _WEIGHTED.match(piece)
    return (match[1], float(match[2])) if match else (piece, 1.0)
