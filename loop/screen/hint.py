"""A remark on words that the world does not know, with the nearest that it does. Pure."""

from __future__ import annotations

import re
from difflib import get_close_matches

from world.info import WorldInfo

_MOST = 3  # strangers that are named; more would be a lecture


def hint(text: str, info: WorldInfo) -> str:
    """One line on the words of `text` that `info` does not list; empty where it lists them all, or any will do."""
    if not info.vocabulary:
        return ""
    known = {*info.vocabulary, *info.silent}
    strangers = list(dict.fromkeys(w for w in re.findall(r"[^\W\d_]+", text.lower()) if w not in known))
    if not strangers:
        return ""
    named = ", ".join(_name(word, info) for word in strangers[:_MOST])
    return f"unknown here: {named}" + (" ..." if len(strangers) > _MOST else "")


def _name(word: str, info: WorldInfo) -> str:
    near = get_close_matches(word, info.vocabulary, 1)
    return f"{word} (try {near[0]})" if near else word
