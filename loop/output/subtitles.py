"""Subtitles in the WebVTT format (W3C): which words a film was made under, and when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def webvtt(cues: Sequence[tuple[float, str]], end_s: float) -> str:
    """A WebVTT file. cues: when words begin, in seconds of the film, and the words; each lasts until the next one."""
    lines = ["WEBVTT", ""]
    for (begin_s, words), (until_s, _) in pairwise([*cues, (end_s, "")]):
        if until_s > begin_s:
            lines += [f"{_stamp(begin_s)} --> {_stamp(until_s)}", _escaped(words), ""]
    return "\n".join(lines) + "\n"


def _stamp(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _escaped(words: str) -> str:
    """Text that WebVTT does not read as markup."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
