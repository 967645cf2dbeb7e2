"""User-perceived characters: what a typist sees as one, though it may be many code points. Pure.

A small part of Unicode's grapheme clusters (UAX 29): combining marks, joined emoji, skin tones, flags and Hangul.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from world.event import without_invisible

_JOINER = "\u200d"
_NON_JOINER = "\u200c"


def clean_typing(text: str) -> str:
    """`text` with line breaks and tabs replaced by spaces, without control or invisible characters.

    What may join its neighbours is kept, because emoji families and Persian words are spelt with it;
    `world.event.clean_text` drops it where it joins nothing.
    """
    return without_invisible(text.replace("\r\n", "\n"))


def _extends(previous: str, char: str, flags: int) -> bool:
    """Whether `char` continues the user-perceived character that `previous` belongs to.

    flags: how many regional indicators (a flag is two of them) come directly before `char`.
    """
    if previous == _JOINER or char in (_JOINER, _NON_JOINER) or unicodedata.category(char).startswith("M"):
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\u1160" <= char <= "\u11ff":  # skin tones; vowels and finals of Hangul
        return True
    return _is_flag(char) and flags % 2 == 1


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def boundaries(text: str) -> list[int]:
    """The indices at which the caret may be: 0, between two user-perceived characters, and the end of `text`."""
    return list(range(len(text) + 1)) if text.isascii() else list(_boundaries(text))


@lru_cache(16)  # every tick asks for those of the same line
def _boundaries(text: str) -> tuple[int, ...]:
    stops, flags = [0], 0
    for i, char in enumerate(text):
        if i and not _extends(text[i - 1], char, flags):
            stops.append(i)
        flags = flags + 1 if _is_flag(char) else 0
    return (*stops, len(text))
