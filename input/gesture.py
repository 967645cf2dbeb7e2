"""Gestures: what the user does at a window, as plain data.

The window translates the events of its system into these, so that the keys can be tested and replayed without a window.
"""

from __future__ import annotations

from dataclasses import dataclass

from input.action import Action, ControlMoved

# USB scancode -> the character that a US keyboard has there, for the keys that can be shortcuts
_US_KEYS = {4 + i: chr(ord("a") + i) for i in range(26)} | {45: "-", 46: "=", 47: "[", 48: "]", 56: "/"}


@dataclass(frozen=True)
class KeyDown:
    """A key went down, or repeats because it is held down.

    key: its label without modifiers: "a", "1", "[", "enter", "kp_enter", "escape", "backspace", "space", "left",
    "pageup", "f1" and so on. mods: the modifiers held down, out of "shift", "ctrl", "alt" and "meta".
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
    """Text that was typed, as the keyboard layout, dead keys and the input method made it."""

    text: str


@dataclass(frozen=True)
class Pasted:
    """The text of the clipboard, some time after the keyboard asked for it; empty if there is none."""

    text: str


@dataclass(frozen=True)
class Composing:
    """Text that an input method is still composing, with its caret at index `start`; empty when that has ended."""

    text: str
    start: int = 0


@dataclass(frozen=True)
class Closed:
    """The user or the system asked the window to close."""


@dataclass(frozen=True)
class Clicked:
    """A click on what stands for `action` in the operator's window; None: on nothing."""

    action: Action | None


@dataclass(frozen=True)
class Resized:
    """The picture area now has `w` x `h` drawable pixels."""

    w: int
    h: int


Gesture = KeyDown | KeyUp | Text | Pasted | Composing | Closed | Clicked | Resized | ControlMoved


def key_name(label: str, scancode: int) -> str:
    """Our name ("enter", "kp_1", "a") of the key that the window system labels `label` ("Return", "Keypad 1", "A").

    A key whose label is not a Latin character is named after its position on a US keyboard, so that the shortcuts are
    where they are for everybody else. scancode: the USB scancode, which gives the position.
    """
    name = label.lower()
    if len(name) == 1 and not name.isascii():
        name = _US_KEYS.get(scancode, name)
    return "enter" if name == "return" else name.replace("keypad ", "kp_").replace(" ", "_")
