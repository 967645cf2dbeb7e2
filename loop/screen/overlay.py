"""The layout of what is drawn over the picture: from the state of the show to marks. Pure; no window is needed.

All positions are drawable pixels of one window. Text and margins grow with the window, so the prompt line reads the
same on a laptop and on a 4K wall.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from input.textline import LineView
from loop.screen.marks import AMBER, DIM, GHOST, WHITE, Bar, Caret, Color, Label, Mark, Panel
from loop.screen.text_fit import Measure, visible, wrap

Rows = tuple[tuple[str, str], ...]

_LINE_KEYS = "Enter  go on        Shift+Enter  new scene        Esc  close"
_GHOST_KEYS = _LINE_KEYS + "        Tab  complete"
_WORDS_KEYS = _LINE_KEYS + "        Tab  the words"


@dataclass(frozen=True)
class OverlayState:
    """Everything that can be drawn over the picture. What is empty is not drawn.

    line: the open prompt line. placeholder: shown in it while nothing is typed. status: what the show waits for; in the
    middle of the window until the first picture is shown. desk: the beat, and what comes next on the stage. toast: the
    words just submitted. hint: a note on words that the world does not know. welcome: the keys to begin with; it gives
    way to the toast. help, statistics, words: rows of two columns. can_list_words: Tab on an empty line lists the
    words. blackout: the audience must see nothing, so only what the performer has opened (line, help, statistics,
    words) is drawn.
    """

    line: LineView | None = None
    caret_lit: bool = True
    placeholder: str = "what comes next?"
    status: str = ""
    desk: str = ""
    has_picture: bool = True
    toast: str = ""
    hint: str = ""
    welcome: str = ""
    help: Rows = ()
    statistics: Rows = ()
    words: Rows = ()
    can_list_words: bool = False
    blackout: bool = False


def layout(state: OverlayState, size: tuple[int, int], measure: Measure) -> tuple[Mark, ...]:
    """The marks for a window of `size` = (width, height) in drawable pixels, in the order in which to draw them."""
    page = _Page(size, measure)
    marks = page.statistics(state.statistics)
    if not state.blackout:
        status = page.status(state.status, state.has_picture)
        marks += status + page.desk(state.desk, status if state.has_picture else [])
    line = page.line(state.line, state) if state.line is not None else []
    floor = _top(line) - page.gap if line else size[1] - page.margin
    if table := state.words or state.help:
        return tuple(marks + line + page.table(table, floor))
    return tuple(marks + line + page.messages(state, floor))


def _top(marks: list[Mark]) -> int:
    """The y of the highest mark."""
    return min(mark.y for mark in marks)


class _Page:
    """The text sizes and margins of one window, and where each part of the overlay goes in it."""

    def __init__(self, size: tuple[int, int], measure: Measure) -> None:
        self.w, self.h = size
        self.measure = measure
        unit = min(self.h, self.w * 9 // 16)  # a tall, narrow window has no room for large text
        self.big = max(14, round(unit * 0.036))
        self.small = max(12, round(unit * 0.025))
        self.margin = max(8, round(unit * 0.03))
        self.gap = self.margin // 2
        self.column = max(self.w - 2 * self.margin, 4 * self.big)  # never 0, even in a window of a few pixels

    def line(self, view: LineView, state: OverlayState) -> list[Mark]:
        """The prompt line at the bottom of the window: the typed text, and under it the keys that close the line."""
        size, pad = self.big, self.big * 2 // 3
        width = self.column
        is_empty = not view.text and not view.composition
        tab_keys = _GHOST_KEYS if view.ghost else _WORDS_KEYS if is_empty and state.can_list_words else _LINE_KEYS
        has_keys, has_tab = (self.measure(keys, self.small) <= width - 2 * pad for keys in (_LINE_KEYS, tab_keys))
        height = size + 2 * pad + (self.small + pad // 2 if has_keys else 0)
        x, y = self.margin + pad, self.h - self.margin - height + pad
        marks: list[Mark] = [Panel(self.margin, y - pad, width, height, 0.72, size // 2)]
        if has_keys:
            marks.append(Label(tab_keys if has_tab else _LINE_KEYS, x, y + size + pad, self.small, DIM))
        if is_empty:
            marks.append(Label(state.placeholder, x + size // 3, y, size, DIM))
        return marks + self._typed(view, state.caret_lit, x, y, width - 2 * pad)

    def _typed(self, view: LineView, caret_lit: bool, x: int, y: int, width: int) -> list[Mark]:
        """The visible part of the typed text, and the caret.

        The text is up to three labels: before the caret, a composition or a completion at it, and after it.
        """
        size, inset = self.big, view.composition or view.ghost
        text = view.text[: view.caret] + inset + view.text[view.caret :]
        caret = view.caret + view.composition_caret
        first, last = visible(text, caret, size, width, self.measure)
        cuts = sorted(min(max(cut, first), last) for cut in (view.caret, view.caret + len(inset)))
        edges = [first, *(cuts if inset else ()), last]
        spans = [(a, b) for a, b in pairwise(edges) if a < b]
        across = {stop: x + self.measure(text[first:stop], size) for stop in {*edges, caret}}
        ghost = tuple(cuts) if view.ghost else None
        marks: list[Mark] = [
            Label(text[a:b], across[a], y, size, GHOST if (a, b) == ghost else WHITE) for a, b in spans
        ]
        thin = max(2, size // 12)
        if view.composition:
            marks.append(Bar(across[cuts[0]], y + size + thin, across[cuts[1]] - across[cuts[0]], thin, AMBER))
        return [*marks, Caret(across[caret], y - size // 8, thin, size + size // 4, caret_lit)]

    def messages(self, state: OverlayState, floor: int) -> list[Mark]:
        """The submitted words above `floor`, but not while a line is open there, and the hint above them."""
        if state.blackout and state.line is None:
            return []
        toast = (state.toast or state.welcome) if state.line is None else ""
        marks = self._message(toast, self.big, WHITE, 2, lambda height: floor - height)
        base = _top(marks) - self.gap if marks else floor
        return marks + self._message(state.hint, self.big, AMBER, 2, lambda height: base - height)

    def status(self, text: str, has_picture: bool) -> list[Mark]:
        """What the show waits for: at the top of the picture, or in the middle of a window that has none yet."""
        if has_picture:
            return self._message(text, self.small, AMBER, 2, lambda height: self.margin)
        return self._message(text, self.big, WHITE, 4, lambda height: (self.h - height) // 2)

    def desk(self, text: str, above: list[Mark]) -> list[Mark]:
        """The beat and what comes next, at the top of the window, below what stands there."""
        top = max((mark.y + mark.h for mark in above if isinstance(mark, Panel)), default=self.margin - self.gap)
        return self._message(text, self.small, WHITE, 1, lambda height: top + self.gap)

    def _message(self, text: str, size: int, color: Color, most: int, top_of: Callable[[int], int]) -> list[Mark]:
        """At most `most` centred lines on a panel; `top_of` gives the y of the panel's top from its height."""
        pad, step = size * 2 // 3, size * 4 // 3
        lines = wrap(text, size, max(self.column - 4 * pad, size), self.measure, most)
        if not lines:
            return []
        widths = [self.measure(line, size) for line in lines]
        width, height = max(widths) + 4 * pad, 2 * pad + size + step * (len(lines) - 1)
        top = top_of(height)
        marks: list[Mark] = [Panel((self.w - width) // 2, top, width, height, 0.66, (size + 2 * pad) // 2)]
        for row, (line, wide) in enumerate(zip(lines, widths, strict=True)):
            marks.append(Label(line, (self.w - wide) // 2, top + pad + row * step, size, color))
        return marks

    def table(self, rows: Rows, floor: int) -> list[Mark]:
        """The table of keys or words, centred above `floor`: the left column in white, and beside it what it means.

        A window with little height has it in up to three parts side by side, whichever makes the text larger.
        """
        parts = max((_in_parts(rows, count) for count in (1, 2, 3)), key=lambda of: self._table_text_size(of, floor))
        size = self._table_text_size(parts, floor)
        left, width, height = self._table_extent(parts, size)
        x, y = (self.w - width * len(parts)) // 2, max((floor - height) // 2, 0)
        marks: list[Mark] = [Panel(x, y, width * len(parts), height, 0.86, size * 3 // 4)]
        for place, part in enumerate(parts):
            for number, (key, what) in enumerate(part):
                across, top = x + place * width + size, y + size + number * _row_height(size)
                marks += [Label(key, across, top, size), Label(what, across + left + 2 * size, top, size, DIM)]
        return marks

    def statistics(self, rows: Rows) -> list[Mark]:
        """The table of statistics at the top left: the names on the left, the values flush right."""
        if not rows:
            return []
        size = self._table_text_size([rows], self.h - self.margin)
        _, width, height = self._table_extent([rows], size)
        marks: list[Mark] = [Panel(self.margin, self.margin, width, height, 0.72, size * 3 // 4)]
        for number, (name, value) in enumerate(rows):
            top = self.margin + size + number * _row_height(size)
            marks.append(Label(name, self.margin + size, top, size, DIM))
            marks.append(Label(value, self.margin + width - size - self.measure(value, size), top, size))
        return marks

    def _table_extent(self, parts: Sequence[Rows], size: int) -> tuple[int, int, int]:
        """(width of the left column, width of a part, height) of a table of text of this size; the last two padded."""
        left, right = (max(self.measure(row[side], size) for part in parts for row in part) for side in (0, 1))
        return left, left + right + 4 * size, _row_height(size) * (len(parts[0]) - 1) + 3 * size

    def _table_text_size(self, parts: Sequence[Rows], floor: int) -> int:
        """The text size at which all rows fit above `floor`: `small`, or less where there is too little room."""
        _, width, height = self._table_extent(parts, self.small)
        across, up = self.column / (width * len(parts)), (floor - self.margin) / height
        return max(5, int(self.small * min(1.0, across, up)))


def _in_parts(rows: Rows, count: int) -> list[Rows]:
    """The rows in up to `count` parts, the first of them the longest."""
    most = -(-len(rows) // count)
    return [rows[first : first + most] for first in range(0, len(rows), most)]


def _row_height(size: int) -> int:
    """The distance from one row of a table to the next."""
    return size * 8 // 5
