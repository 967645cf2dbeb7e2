"""What lies over the picture: from the state of the show to marks, without a window.

Everything is in drawable pixels of the window it was laid out for. Type and margins grow with the window, so the prompt
line reads the same on a laptop and on a 4K wall.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from input.textline import LineView, boundaries

Color = tuple[int, int, int]
Rows = tuple[tuple[str, str], ...]
Measure = Callable[[str, int], int]  # (text, size) -> width, both in pixels

WHITE: Color = (246, 246, 248)
DIM: Color = (172, 174, 184)
AMBER: Color = (255, 204, 120)
GHOST: Color = (144, 146, 158)
_LINE_KEYS = "Enter  go on        Shift+Enter  new scene        Esc  close"
_GHOST_KEYS = _LINE_KEYS + "        Tab  complete"


@dataclass(frozen=True)
class Label:
    """One line of type, `size` pixels high from `y`; its capitals stand in the middle of that height."""

    text: str
    x: int
    y: int
    size: int
    color: Color = WHITE


@dataclass(frozen=True)
class Panel:
    """A dark translucent ground with round corners; alpha is 0 (clear) to 1 (solid)."""

    x: int
    y: int
    w: int
    h: int
    alpha: float
    radius: int


@dataclass(frozen=True)
class Bar:
    """A solid bar: the line under a composition."""

    x: int
    y: int
    w: int
    h: int
    color: Color = WHITE


@dataclass(frozen=True)
class Caret:
    """Where the next character goes, and so where an input method opens its window; drawn only while `lit`."""

    x: int
    y: int
    w: int
    h: int
    lit: bool = True
    color: Color = WHITE


Mark = Label | Panel | Bar | Caret


@dataclass(frozen=True)
class OverlayState:
    """All that may be said over the picture. Empty means not shown.

    line: the open prompt line. status: what the show waits for; in the middle of the window until there is a picture.
    toast: the words just submitted. hint: a remark on them. help, statistics: rows of two columns.
    blackout: the audience sees nothing, so only what the performer has opened is drawn.
    """

    line: LineView | None = None
    caret_lit: bool = True
    placeholder: str = "what comes next?"
    status: str = ""
    has_picture: bool = True
    toast: str = ""
    hint: str = ""
    help: Rows = ()
    statistics: Rows = ()
    blackout: bool = False


def layout(state: OverlayState, size: tuple[int, int], measure: Measure) -> tuple[Mark, ...]:
    """The marks for a window of `size` = (width, height) drawable pixels, in drawing order."""
    page = _Page(size, measure)
    marks = page.statistics(state.statistics)
    if not state.blackout:
        marks += page.status(state.status, state.has_picture)
    line = page.line(state.line, state.caret_lit, state.placeholder) if state.line is not None else []
    floor = _top(line) - page.gap if line else size[1] - page.margin
    if state.help:
        return tuple(marks + line + page.help(state.help, floor))
    return tuple(marks + line + page.messages(state, floor))


def elide(text: str, size: int, width: int, measure: Measure) -> str:
    """`text`, or as much of its beginning as fits `width` with an ellipsis after it."""
    if measure(text, size) <= width:
        return text
    stops = boundaries(text)
    count = bisect_right(stops, width, key=lambda stop: measure(text[:stop].rstrip() + "…", size))
    return text[: stops[max(count - 1, 0)]].rstrip() + "…"


def wrap(text: str, size: int, width: int, measure: Measure, most: int) -> list[str]:
    """`text` in at most `most` lines no wider than `width`; what is left over is elided."""
    words, lines = text.split(), []
    while words and len(lines) < most - 1:
        count = 1
        while count < len(words) and measure(" ".join(words[: count + 1]), size) <= width:
            count += 1
        lines.append(elide(" ".join(words[:count]), size, width, measure))
        words = words[count:]
    return [*lines, elide(" ".join(words), size, width, measure)] if words else lines


def visible(text: str, caret: int, size: int, width: int, measure: Measure) -> tuple[int, int]:
    """(first, last): the part of a line to show so that `caret` is in view and the width is used."""
    if measure(text, size) <= width:
        return 0, len(text)
    stops = boundaries(text)
    filled = stops[bisect_left(stops, -width, key=lambda stop: -measure(text[stop:], size))]
    upto = stops[: bisect_right(stops, caret)]
    # a sixth of the width stays free after the caret, so that one sees what follows while editing in the middle
    nearest = bisect_left(upto, -width * 5 // 6, key=lambda stop: -measure(text[stop:caret], size))
    centred = upto[min(nearest, len(upto) - 1)]
    first = min(filled, centred)
    after = stops[bisect_left(stops, first) :]
    return first, after[bisect_right(after, width, key=lambda stop: measure(text[first:stop], size)) - 1]


def _top(marks: list[Mark]) -> int:
    return min(mark.y for mark in marks)


class _Page:
    """The measures of one window, and each thing that can lie on it."""

    def __init__(self, size: tuple[int, int], measure: Measure) -> None:
        self.w, self.h = size
        self.measure = measure
        unit = min(self.h, self.w * 9 // 16)  # a tall window has no room for tall type
        self.big = max(14, round(unit * 0.036))
        self.small = max(12, round(unit * 0.025))
        self.margin = max(8, round(unit * 0.03))
        self.gap = self.margin // 2
        self.column = max(self.w - 2 * self.margin, 4 * self.big)  # a window of a few pixels still has a width

    def line(self, view: LineView, caret_lit: bool, placeholder: str) -> list[Mark]:
        """The prompt line at the bottom: what is typed, and under it the keys that end it."""
        size, pad = self.big, self.big * 2 // 3
        width = self.column
        has_keys, has_tab = (self.measure(keys, self.small) <= width - 2 * pad for keys in (_LINE_KEYS, _GHOST_KEYS))
        height = size + 2 * pad + (self.small + pad // 2 if has_keys else 0)
        x, y = self.margin + pad, self.h - self.margin - height + pad
        marks: list[Mark] = [Panel(self.margin, y - pad, width, height, 0.72, size // 2)]
        if has_keys:
            keys = _GHOST_KEYS if view.ghost and has_tab else _LINE_KEYS
            marks.append(Label(keys, x, y + size + pad, self.small, DIM))
        if not view.text and not view.composition:
            marks.append(Label(placeholder, x + size // 3, y, size, DIM))
        return marks + self._typed(view, caret_lit, x, y, width - 2 * pad)

    def _typed(self, view: LineView, caret_lit: bool, x: int, y: int, width: int) -> list[Mark]:
        """The visible part of the line in up to three labels (the middle one is composed or offered), and the caret."""
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
        """The submitted words above `floor`, unless a line is being typed there, and the hint above them."""
        toast, hint = ("" if state.blackout or state.line is not None else state.toast), state.hint
        shown = self._pill(toast, WHITE, floor)
        if state.blackout and state.line is None:
            return shown
        return shown + self._pill(hint, AMBER, _top(shown) - self.gap if shown else floor)

    def _pill(self, text: str, color: Color, floor: int) -> list[Mark]:
        return self._message(text, self.big, color, 2, lambda height: floor - height)

    def status(self, text: str, has_picture: bool) -> list[Mark]:
        """What the show waits for: in the middle of an empty window, at the top of a picture."""
        if has_picture:
            return self._message(text, self.small, AMBER, 2, lambda height: self.margin)
        return self._message(text, self.big, WHITE, 4, lambda height: (self.h - height) // 2)

    def _message(self, text: str, size: int, color: Color, most: int, place: Callable[[int], int]) -> list[Mark]:
        """Centred lines on a panel whose top is `place(height)`."""
        pad, step = size * 2 // 3, size * 4 // 3
        lines = wrap(text, size, max(self.column - 4 * pad, size), self.measure, most)
        if not lines:
            return []
        widths = [self.measure(line, size) for line in lines]
        width, height = max(widths) + 4 * pad, 2 * pad + size + step * (len(lines) - 1)
        top = place(height)
        marks: list[Mark] = [Panel((self.w - width) // 2, top, width, height, 0.66, (size + 2 * pad) // 2)]
        for row, (line, wide) in enumerate(zip(lines, widths, strict=True)):
            marks.append(Label(line, (self.w - wide) // 2, top + pad + row * step, size, color))
        return marks

    def help(self, rows: Rows, floor: int) -> list[Mark]:
        """The keys, in the middle above `floor`: each in white, what it does beside it."""
        size = self._fitting(rows, floor)
        left, width, height = self._extent(rows, size)
        x, y = (self.w - width) // 2, max((floor - height) // 2, 0)
        marks: list[Mark] = [Panel(x, y, width, height, 0.86, size * 3 // 4)]
        for number, (key, what) in enumerate(rows):
            top = y + size + number * _step(size)
            marks.append(Label(key, x + size, top, size))
            marks.append(Label(what, x + left + 3 * size, top, size, DIM))
        return marks

    def statistics(self, rows: Rows) -> list[Mark]:
        """Figures at the top left: names to the left, values flush right."""
        if not rows:
            return []
        size = self._fitting(rows, self.h - self.margin)
        _, width, height = self._extent(rows, size)
        marks: list[Mark] = [Panel(self.margin, self.margin, width, height, 0.72, size * 3 // 4)]
        for number, (name, value) in enumerate(rows):
            top = self.margin + size + number * _step(size)
            marks.append(Label(name, self.margin + size, top, size, DIM))
            marks.append(Label(value, self.margin + width - size - self.measure(value, size), top, size))
        return marks

    def _extent(self, rows: Rows, size: int) -> tuple[int, int, int]:
        """(width of the left column, width, height) of a table with its padding."""
        left, right = (max(self.measure(row[side], size) for row in rows) for side in (0, 1))
        return left, left + right + 4 * size, _step(size) * (len(rows) - 1) + 3 * size

    def _fitting(self, rows: Rows, floor: int) -> int:
        """The size of type at which all rows fit above `floor`: small, or smaller where there is no room."""
        _, width, height = self._extent(rows, self.small)
        return max(6, int(self.small * min(1.0, self.column / width, (floor - self.margin) / height)))


def _step(size: int) -> int:
    """From one row of a table to the next."""
    return size * 8 // 5
