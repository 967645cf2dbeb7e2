"""Shortening text to the width there is, always between user-perceived characters. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from input.characters import boundaries

Measure = Callable[[str, int], int]  # (text, font size) -> width; both numbers in pixels


def elide(text: str, size: int, width: int, measure: Measure) -> str:
    """`text` if it fits into `width`, else as much of its beginning as fits together with an ellipsis."""
    if measure(text, size) <= width:
        return text
    stops = boundaries(text)
    count = bisect_right(stops, width, key=lambda stop: measure(text[:stop].rstrip() + "…", size))
    return text[: stops[max(count - 1, 0)]].rstrip() + "…"


def wrap(text: str, size: int, width: int, measure: Measure, most: int) -> list[str]:
    """`text` broken between words into at most `most` lines of at most `width`; the last line is elided if need be."""
    words = text.split()
    lines: list[str] = []
    while words and len(lines) < most - 1:
        count = 1
        while count < len(words) and measure(" ".join(words[: count + 1]), size) <= width:
            count += 1
        lines.append(elide(" ".join(words[:count]), size, width, measure))
        words = words[count:]
    return [*lines, elide(" ".join(words), size, width, measure)] if words else lines


def visible(text: str, caret: int, size: int, width: int, measure: Measure) -> tuple[int, int]:
    """(first, last): the part of a long line to show. It contains the caret and uses the whole `width`."""
    start, end = _near(text, caret, size, width)
    first, last = _visible_near(text[start:end], caret - start, size, width, measure)
    return start + first, start + last


def _near(text: str, caret: int, size: int, width: int) -> tuple[int, int]:
    """A part of `text` around the caret, of more characters than fit, so that a line of thousands need not be measured.

    A character is counted as at least a sixth of its height wide.
    """
    most = 6 * width // size + 1
    stops = boundaries(text)
    if len(stops) <= 2 * most:
        return 0, len(text)
    place = bisect_right(stops, caret) - 1
    return stops[max(place - most, 0)], stops[min(place + most, len(stops) - 1)]


def _visible_near(text: str, caret: int, size: int, width: int, measure: Measure) -> tuple[int, int]:
    if measure(text, size) <= width:
        return 0, len(text)
    stops = boundaries(text)
    # from this stop on, the rest of the text just fits: starting later would leave width unused
    latest = stops[bisect_left(stops, -width, key=lambda stop: -measure(text[stop:], size))]
    before_caret = stops[: bisect_right(stops, caret)]
    # a sixth of the width stays free after the caret, so that one sees what follows while editing in the middle
    nearest = bisect_left(before_caret, -width * 5 // 6, key=lambda stop: -measure(text[stop:caret], size))
    scrolled = before_caret[min(nearest, len(before_caret) - 1)]
    first = min(latest, scrolled)
    after = stops[bisect_left(stops, first) :]
    return first, after[bisect_right(after, width, key=lambda stop: measure(text[first:stop], size)) - 1]
