"""A hint about words of a prompt that do not count: the world does not know them, or reads no more of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from world.info import WorldInfo
from world.prompt_mix import Part, parse_mix

_MOST_NAMED = 3  # words; the hint is two lines at most
_LONGEST_MISTYPED = 30  # characters; a longer word is no mistyped one, and is shown shortened


def hint(text: str, info: WorldInfo, is_finished: bool = True) -> str:
    """One line that names the words of `text` that the world does not know, or does not read since they are too many.

    It is empty if every word counts, or if the world has no list of words and takes any. For a finished text it also
    says what plays instead if no word of it is known. A mix with an impossible weight gets what is wrong with it.
    """
    try:
        parts = parse_mix(text)
    except ValueError as error:
        return str(error)
    remarks = [_unknown(text, info), _too_many(parts, info), _fallback(text, info) if is_finished else ""]
    return "; ".join(filter(None, remarks))


def _unknown(text: str, info: WorldInfo) -> str:
    unknown = info.unknown_words(text)
    return f"unknown here: {_named(unknown, lambda word: _with_suggestion(word, info))}" if unknown else ""


def _too_many(parts: Sequence[Part], info: WorldInfo) -> str:
    """Which known words come after those that are read. Each part of a mix is read by itself."""
    most = info.most_words
    unread = [word for part, _ in parts for word in info.known_words(part)[most:]] if most else []
    return f"only {most} words count, left out: {_named(unread)}" if unread else ""


def _fallback(text: str, info: WorldInfo) -> str:
    return (
        ""
        if info.known_words(text) or not (text and info.fallback)
        else f"without a known word it plays {info.fallback!r}"
    )


def _named(words: list[str], shown: Callable[[str], str] = str) -> str:
    """The first few words, each as `shown` gives it, since a search for similar words takes a millisecond each."""
    return ", ".join(map(shown, words[:_MOST_NAMED])) + (" ..." if len(words) > _MOST_NAMED else "")


def _with_suggestion(word: str, info: WorldInfo) -> str:
    similar = get_close_matches(word, info.vocabulary, 1) if len(word) <= _LONGEST_MISTYPED else []
    word = word if len(word) <= _LONGEST_MISTYPED else word[: _LONGEST_MISTYPED - 1] + "…"
    return f"{word} (try {similar[0]})" if similar else word
