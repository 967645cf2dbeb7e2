"""What a window reports, in our own words.

The window translates its system's events into these, so that keys can be tested and replayed without one.
"""

from __future__ import annotations

from dataclasses import dataclass

# by USB scancode: the letters and signs that have a meaning for us, where a US keyboard has them
_US_KEYS = {4 + i: chr(ord("a") + i) for i in range(26)} | {45: "-", 46: "=", 47: "[", 48: "]", 56: "/"}


@dataclass(frozen=True)
class KeyDown:
    """A key went down, or repeats because it is held.

    key: "a", "1", "[", "enter", "kp_enter", "escape", "backspace", "space", "left", "pageup", "f1" ...: the label of
    the key without modifiers. mods: of "shift", "ctrl", "alt", "meta".
    """

    key: str
    mods: frozenset[str] = frozenset()
    repeat: bool = False


@dataclass(frozen=True)
class KeyUp:
    """A key was released, or the window lost the keyboard while it was down."""

    key: str


@dataclass(frozen=True)
class Text:
    """Text that was typed, after the layout, dead keys and the input method had their say."""

    text: str


@dataclass(frozen=True)
class Composing:
    """Text that an input method still composes, its caret at index `start`; empty when the composition ended."""

    text: str
    start: int = 0


@dataclass(frozen=True)
class Closed:
    """The user or the system asked the window to close."""


@dataclass(frozen=True)
class Resized:
    """The picture area now has `w` x `h` drawable pixels."""

    w: int
    h: int


Gesture = KeyDown | KeyUp | Text | Composing | Closed | Resized


def key_name(label: str, scancode: int) -> str:
    """The name of a key whose unshifted label is `label`, as the window system spells it ("Return", "Keypad 1", "A").

    A key of a layout without Latin letters is called by its place, so that the shortcuts stay under the same fingers.
    """
    name = label.lower()
    if len(name) == 1 and not name.isascii():
        name = _US_KEYS.get(scancode, name)
    return "enter" if name == "return" else name.replace("keypad ", "kp_").replace(" ", "_")
