"""Text with mistakes in it, by chance."""

from __future__ import annotations

import random


def changed(chance: random.Random, text: str) -> str:
    """The text with one to three characters exchanged for others."""
    found = list(text)
    for _ in range(chance.randrange(1, 4)):
        found[chance.randrange(len(found))] = chr(chance.randrange(32, chance.choice((127, 127, 0x300))))
    return "".join(found)
