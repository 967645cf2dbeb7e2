"""A hint about words that the world does not know, with the most similar word that it does know. Pure."""

from __future__ import annotations

import re
from difflib import get_close_matches

from world.info import WorldInfo

_MOST_NAMED = 3  # unknown words; the hint is one line


def hint(text: str, info: WorldInfo) -> str:
    """One line that names the words of `text` which the world does not know.

    It is empty if the world knows them all, or if it has no list of words and takes any.
    """
    if not info.vocabulary:
        return ""
    known = {*info.vocabulary, *info.silent}
    unknown = list(dict.fromkeys(word for word in re.findall(r"[^\W\d_]+", text.lower()) if word not in known))
    if not unknown:
        return ""
    named = ", ".join(_with_suggestion(word, info) for word in unknown[:_MOST_NAMED])
    return f"unknown here: {named}" + (" ..." if len(unknown) > _MOST_NAMED else "")


def _with_suggestion(word: str, info: WorldInfo) -> str:
    similar = get_close_matches(word, info.vocabulary, 1)
    return f"{word} (try {similar[0]})" if similar else word
