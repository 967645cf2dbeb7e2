"""Characters that nobody sees: they are dropped from every text, wherever it comes from. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

# Unicode's Default_Ignorable_Code_Point, as far as they are letters or marks: a grapheme joiner and Hangul, Khmer and
# Mongolian fillers
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")  # emoji families and Persian words are spelt with them
_TAGS = frozenset(map(chr, range(0xE0020, 0xE0080)))  # the flag of Scotland is a black flag and six of these
_BLACK_FLAG = "\U0001f3f4"
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_VARIED_ASCII = frozenset("#*0123456789\u00a9\u00ae\u2139")  # emoji by a variation selector, though not symbols
_VARIED = frozenset(("So", "Sm", "Sk", "Po", "Pd", "Ps", "Lo", "No"))  # categories of emoji, CJK, mathematics


def without_invisible(text: str) -> str:
    """`text` with each white space as one space, and without control and invisible characters.

    What may join its neighbours is kept (joiners, variation selectors, tags), since a keyboard types it on its own:
    `without_strays` drops those that join nothing, once the text is whole.
    """
    spaced = (" " if char.isspace() else char for char in text)
    return "".join(char for char in spaced if not _is_invisible(char))


def unreadable_as_spaces(text: str) -> str:
    """`text` with a space for every character that has no meaning for everybody: private use, or unassigned."""
    return "".join(" " if unicodedata.category(char) in ("Co", "Cn") else char for char in text)


def without_strays(text: str) -> str:
    """`text` without the joiners, variation selectors and tags that join nothing where they stand."""
    return "".join(_kept(text))


def _is_invisible(char: str) -> bool:
    if char in _FILLERS:
        return True
    return unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in _JOINERS and char not in _TAGS


def _kept(text: str) -> Iterator[str]:
    before = ""
    for i, char in enumerate(text):
        if char in _JOINERS:
            has_meaning = _joins(before) and _joins(text[i + 1 : i + 2])
        elif char in _SELECTORS:
            has_meaning = before in _VARIED_ASCII or (before > "\u203b" and unicodedata.category(before) in _VARIED)
        elif char in _TAGS:
            has_meaning = before == _BLACK_FLAG or before in _TAGS
        else:
            has_meaning = True
        if has_meaning:
            yield char
            before = char


def _joins(char: str) -> bool:
    """Whether a joiner beside this character can mean something: not in Latin, Greek, Cyrillic, nor beside a space."""
    if not char or char.isspace():
        return False
    return char in _SELECTORS or not (char < "\u0590" or "\u1e00" <= char <= "\u203b")
