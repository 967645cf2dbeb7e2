"""Prompts mixed by weight, `a neon tunnel:0.7 | blue rain:0.3`, and transitions made of such mixes. No torch."""

from __future__ import annotations

import re

Part = tuple[str, float]  # words and their weight

_WEIGHTED = re.compile(r"^(.*\S)\s*:\s*(\d+(?:\.\d+)?|\.\d+)$")
_LEAST = 0.02  # a smaller weight makes no visible difference and is left out


def parse(text: str) -> tuple[Part, ...]:
    """The parts of a prompt, with weights that add up to 1. A part without a weight counts as 1.

    A prompt without a bar is one part, even if it ends in a colon and a number: `chapter 2: 1984`.
    """
    if "|" not in text:
        return ((text, 1.0),)
    weighted = [_part(piece.strip()) for piece in text.split("|") if piece.strip()]
    total = sum(weight for _, weight in weighted)
    if not total:
        return ((text, 1.0),)
    return tuple((words, weight / total) for words, weight in weighted if weight)


def blend_prompts(old: str, new: str, share: float) -> str:
    """A mix with weight `share` (0 to 1) for the new prompt and the rest for the old one; both may be mixes."""
    parts: dict[str, float] = {}
    for text, weight in ((old, 1 - share), (new, share)):
        for words, part in parse(text):
            parts[words] = parts.get(words, 0.0) + weight * part
    kept = {words: weight for words, weight in parts.items() if weight >= _LEAST}
    return " | ".join(f"{words}:{weight:.3g}" for words, weight in kept.items())


def steps(old: str, new: str, blocks: int) -> list[str]:
    """The prompts of a transition from `old` to `new`, one for each of `blocks` blocks; the last is `new` itself."""
    return [blend_prompts(old, new, number / blocks) for number in range(1, blocks)] + [new]


def _part(piece: str) -> Part:
    match = _WEIGHTED.match(piece)
    return (match[1], float(match[2])) if match else (piece, 1.0)
