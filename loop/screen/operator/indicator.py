"""The sign that a recording runs: a red dot and the length of the film, on the operator's side. Pure."""

from __future__ import annotations

from loop.screen.marks import Color, Label, Mark, Panel
from loop.screen.text_fit import Measure

_RED: Color = (255, 72, 64)
_DOT = "•"


def recording_indicator(seconds: float | None, size: tuple[int, int], measure: Measure) -> tuple[Mark, ...]:
    """The marks at the top right of a window of `size` = (width, height) in drawable pixels.

    seconds: the length of the film so far; None: nothing is recorded, and nothing is drawn.
    """
    if seconds is None:
        return ()
    text = max(12, round(min(size[1], size[0] * 9 / 16) * 0.025))
    pad, margin, length = text // 2, max(8, round(text * 1.2)), _minutes(seconds)
    dot = 3 * text  # a font's bullet is small
    dot_width, width = measure(_DOT, dot), measure(length, text)
    x, y = size[0] - margin - width - pad, margin + pad
    left = x - dot_width - pad // 2
    return (
        Panel(left - pad, margin, size[0] - margin - left + pad, text + 2 * pad, 0.66, (text + 2 * pad) // 2),
        Label(_DOT, left, y - text * 115 // 100, dot, _RED),
        Label(length, x, y, text),
    )


def _minutes(seconds: float) -> str:
    """Minutes and seconds, or hours too: 0:12, 1:00:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
