"""Completion of the word being typed: which known words begin with it, and cycling through them. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace

# letters that begin a word: after a digit or an apostrophe they are the rest of a number or of "it's"
_TYPED_WORD = re.compile(r"(?<![\w'’])[^\W\d_]+$")
_WORD_CONTINUES = re.compile(r"[\w'’]")


def complete(prefix: str, vocabulary: tuple[str, ...]) -> tuple[str, ...]:
    """The words of `vocabulary` that begin with `prefix` and are longer, by length and then alphabetically.

    vocabulary: sorted, in lower case. The case of `prefix` does not matter; an empty prefix has no completions.
    """
    start = prefix.lower()
    if not start:
        return ()
    first, last = (bisect_left(vocabulary, bound) for bound in (start, start + "\U0010ffff"))
    return tuple(sorted((word for word in vocabulary[first:last] if word != start), key=lambda word: (len(word), word)))


def word_before(text: str, caret: int) -> str:
    """The word that ends at `caret`; empty if none ends there, or if the caret is inside a word."""
    found = None if _WORD_CONTINUES.match(text, caret) else _TYPED_WORD.search(text[:caret])
    return found[0] if found else ""


@dataclass(frozen=True)
class Cycle:
    """The completions of one typed word, of which one is in the line.

    head, tail: the line before and after the caret when completion began; head ends with what was typed of the word.
    endings: what each known word adds to head. index: the ending that is in the line.
    """

    head: str
    tail: str
    endings: tuple[str, ...]
    index: int = 0

    def moved(self, step: int) -> Cycle:
        """The cycle with the ending `step` places further on; after the last comes the first."""
        return replace(self, index=(self.index + step) % len(self.endings))

    def line(self) -> tuple[str, int]:
        """(text, caret) of the completed line; a space is added if the line would end with the word."""
        start = self.head + self.endings[self.index] + ("" if self.tail else " ")
        return start + self.tail, len(start)
