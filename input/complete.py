"""Known words for the one being typed: which complete it, and going through them. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace

# letters that stand alone: not behind a digit or an apostrophe, where the rest of a number or of "it's" is typed
_TYPED = re.compile(r"(?<![\w'’])[^\W\d_]+$")
_GOES_ON = re.compile(r"[\w'’]")


def complete(prefix: str, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    """The words of `vocabulary` that are longer than `prefix` and begin with it, the shortest first, then by alphabet.

    vocabulary: sorted, in lower case; the case of `prefix` does not matter. An empty prefix has no completions.
    """
    start = prefix.lower()
    if not start:
        return ()
    first, last = (bisect_left(vocabulary, bound) for bound in (start, start + "\U0010ffff"))
    return tuple(sorted((word for word in vocabulary[first:last] if word != start), key=lambda word: (len(word), word)))


def word_before(text: str, caret: int) -> str:
    """The word that ends at `caret`; empty inside a word and where none ends."""
    found = None if _GOES_ON.match(text, caret) else _TYPED.search(text[:caret])
    return found[0] if found else ""


@dataclass(frozen=True)
class Cycle:
    """Known words tried in turn for one that was typed.

    head, tail: the line before and after the caret when it began, head with what was typed of the word. endings: what
    each known word adds to that. place: the ending in force.
    """

    head: str
    tail: str
    endings: tuple[str, ...]
    place: int = 0

    def turned(self, step: int) -> Cycle:
        """`step` endings further on, around the end."""
        return replace(self, place=(self.place + step) % len(self.endings))

    def line(self) -> tuple[str, int]:
        """(text, caret) of the completed line; a space follows where the line would end."""
        start = self.head + self.endings[self.place] + ("" if self.tail else " ")
        return start + self.tail, len(start)
