"""What an operator with a window of their own sees at its right side: the cues, and what became of the newest events.

A click on a cue makes it the next; a click on the one that is the next by hand fires it. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from input.action import FireCue
from loop.screen.marks import AMBER, DIM, WHITE, Color, Label, Mark, Panel, Spot
from loop.screen.text_fit import Measure, elide

_WIDTH = 0.27  # of the window
_CUES_HEIGHT = 0.5  # of the window, at most


@dataclass(frozen=True)
class OperatorLists:
    """cues: their names. playing, next_cue: their indices, or None. armed: the one that was made the next by hand.

    receipts: (what became of it, its name) of the newest events, the oldest first.
    """

    cues: Sequence[str] = ()
    playing: int | None = None
    next_cue: int | None = None
    armed: int | None = None
    receipts: Sequence[tuple[str, str]] = ()


def operator_lists(lists: OperatorLists, size: tuple[int, int], measure: Measure) -> tuple[Mark, ...]:
    """The marks for a window of `size` = (width, height) in drawable pixels."""
    column = _Column(size, measure)
    marks = _cue_marks(lists, column, int(size[1] * _CUES_HEIGHT) // column.row)
    return (*marks, *column.panel([(f"{state} · {name}", DIM) for state, name in lists.receipts]))


def _cue_marks(lists: OperatorLists, column: _Column, most: int) -> list[Mark]:
    """As many cues as there is room for, with the next one among them; each can be clicked."""
    focus = next((index for index in (lists.next_cue, lists.playing) if index is not None), 0)
    first = max(0, min(focus - most // 2, len(lists.cues) - most))
    shown = range(first, min(first + most, len(lists.cues)))
    top = column.top
    marks = column.panel([_cue_line(lists, index) for index in shown])
    for place, index in enumerate(shown):
        action = FireCue(index, only_arm=index != lists.armed)
        marks.append(Spot(column.x, top + column.pad + place * column.row, column.width, column.row, action))
    return marks


def _cue_line(lists: OperatorLists, index: int) -> tuple[str, Color]:
    sign = "armed" if index == lists.armed else "next" if index == lists.next_cue else ""
    line = " · ".join(filter(None, (f"{index + 1} {lists.cues[index]}", sign)))
    return line, AMBER if index == lists.armed else WHITE if index in (lists.playing, lists.next_cue) else DIM


class _Column:
    """Panels one below the other. top: where the next one begins."""

    def __init__(self, size: tuple[int, int], measure: Measure) -> None:
        unit = min(size[1], size[0] * 9 // 16)
        self._measure, self._text = measure, max(12, round(unit * 0.022))
        margin = max(8, round(unit * 0.03))
        self.pad, self.row = self._text // 2, self._text * 8 // 5
        self.width = round(size[0] * _WIDTH)
        self.x, self.top = size[0] - margin - self.width, margin + 3 * self._text  # below the sign of a recording

    def panel(self, lines: Sequence[tuple[str, Color]]) -> list[Mark]:
        """A panel with these lines of text; nothing if there are none."""
        if not lines:
            return []
        height = len(lines) * self.row + 2 * self.pad
        marks: list[Mark] = [Panel(self.x, self.top, self.width, height, 0.66, self._text // 2)]
        for place, (line, color) in enumerate(lines):
            y = self.top + self.pad + place * self.row + (self.row - self._text) // 2
            shown = elide(line, self._text, self.width - 2 * self.pad, self._measure)
            marks.append(Label(shown, self.x + self.pad, y, self._text, color))
        self.top += height + self.pad
        return marks
