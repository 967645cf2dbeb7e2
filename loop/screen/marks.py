"""The marks that an overlay is made of, in drawable pixels of the window. Plain data: `painter.Painter` draws them."""

from __future__ import annotations

from dataclasses import dataclass

from input.action import Action

Color = tuple[int, int, int]  # RGB, 0 to 255

WHITE: Color = (246, 246, 248)
DIM: Color = (172, 174, 184)
AMBER: Color = (255, 204, 120)
GHOST: Color = (144, 146, 158)


@dataclass(frozen=True)
class Label:
    """One line of text in a box `size` pixels high; its capital letters are centred in that height."""

    text: str
    x: int
    y: int
    size: int
    color: Color = WHITE


@dataclass(frozen=True)
class Panel:
    """A dark background with round corners; alpha is 0 (clear) to 1 (solid), radius is that of the corners."""

    x: int
    y: int
    w: int
    h: int
    alpha: float
    radius: int


@dataclass(frozen=True)
class Bar:
    """A solid rectangle: the underline of a composition, or the photodiode's patch."""

    x: int
    y: int
    w: int
    h: int
    color: Color = WHITE


@dataclass(frozen=True)
class Caret:
    """Where the next character goes; an input method opens its window there. It is drawn only while `lit`."""

    x: int
    y: int
    w: int
    h: int
    lit: bool = True
    color: Color = WHITE


@dataclass(frozen=True)
class Spot:
    """What a click means in this rectangle; nothing is drawn."""

    x: int
    y: int
    w: int
    h: int
    action: Action


Mark = Label | Panel | Bar | Caret | Spot
