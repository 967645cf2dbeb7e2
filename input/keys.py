"""What the keys mean: gestures in, commands and events out. No window system here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from input.gesture import Closed, Composing, Gesture, KeyDown, KeyUp, Text
from input.textline import LineView, TextLine
from world.event import Dial, Event, Prompt, Scene, clean_text
from world.info import DialRange

STEPS = 20  # presses from one end of a stepped dial to the other
_SHORTCUT_MODS = frozenset({"ctrl", "alt", "meta"})  # shift alone still types


class Command(Enum):
    """What the keys ask of the engine itself, not of the world."""

    QUIT = "quit"
    FULLSCREEN = "fullscreen"
    HELP = "help"
    STATISTICS = "statistics"
    SWITCH = "switch"
    FREEZE = "freeze"
    BLACKOUT = "blackout"
    LINE_OPENED = "line opened"  # text input must start
    LINE_CLOSED = "line closed"  # text input must stop, so that an input method leaves the shortcuts alone


_ENTER = ("enter", "kp_enter")
_SLASH = ("/", "kp_/")
_ALWAYS = {"f1": Command.STATISTICS, "f2": Command.SWITCH, "f11": Command.FULLSCREEN}
_LINE_CLOSED_ONLY = {"h": Command.HELP, "space": Command.FREEZE, "b": Command.BLACKOUT}
_HELD = {
    **dict.fromkeys(("right", "d"), ("pan_x", 1)),
    **dict.fromkeys(("left", "a"), ("pan_x", -1)),
    **dict.fromkeys(("up", "w"), ("pan_y", 1)),
    **dict.fromkeys(("down", "s"), ("pan_y", -1)),
}
_STEPPED = {
    **dict.fromkeys(("]", "pageup"), ("zoom", 1)),
    **dict.fromkeys(("[", "pagedown"), ("zoom", -1)),
    **dict.fromkeys(("=", "+", "kp_+"), ("energy", 1)),
    **dict.fromkeys(("-", "kp_-"), ("energy", -1)),
    ".": ("brightness", 1),
    ",": ("brightness", -1),
}
_SHIFTED = {"n": "hue", "z": "magnify"}  # with Shift the other way
_CYCLED = {"m": "mirror", "g": "guard"}  # through whole numbers
_ROUND = ("hue",)  # one end of these is the other
_REST = ("0", "kp_0")
_AT_REST = ("brightness", "hue", "magnify", "mirror")  # not the guard: what keeps others safe is not swept away

_HELP = (
    ("Enter or /", "write what comes next"),
    ("Enter", "go on under these words"),
    ("Shift+Enter", "hard cut to a new scene"),
    ("Up  Down", "earlier lines, while writing"),
    ("Esc", "close the line"),
    ("Space", "freeze, and go on"),
    ("B", "blackout, and back"),
    ("F1", "statistics"),
    ("F2", "next way to switch prompts"),
    ("F11", "full screen"),
    ("H", "these keys"),
    ("Ctrl+Q", "quit"),
)
_COMPLETION_HELP = ("Tab  Shift+Tab", "complete the word, try others")
_DIAL_HELP = (
    (("pan_x", "pan_y"), ("Arrows or WASD", "pan, while held")),
    (("zoom",), ("[  ]", "zoom")),
    (("energy",), ("-  =", "energy")),
)
_DISPLAY_HELP = (
    (",  .", "darker, brighter"),
    ("N  Shift+N", "turn the hues"),
    ("Z  Shift+Z", "magnify, and back"),
    ("M", "mirror: whole, halves, none"),
    ("G", "strobe guard"),
    ("0", "colour, size and mirror as they were"),
)


def help_rows(dials: Mapping[str, DialRange], vocabulary: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """The keys and what they do, for a world that has `dials` and knows the words of `vocabulary` (empty: any)."""
    of_world = tuple(row for names, row in _DIAL_HELP if any(name in dials for name in names))
    of_line = (_COMPLETION_HELP,) if vocabulary else ()
    return _HELP[:4] + of_line + _HELP[4:7] + of_world + _DISPLAY_HELP + _HELP[7:]


class Keyboard:
    """Turns gestures into commands and events; owns the prompt line, the keys held down and the stepped dials.

    words: the prompt the world runs under, for a hard cut with the line closed; empty while no world is open. dials:
    the world's and the display's, by name. clipboard: asked for its text when the user pastes. vocabulary: asked for
    the words to complete to, whenever a world is met.
    """

    def __init__(
        self,
        words: str,
        dials: Mapping[str, DialRange],
        clipboard: Callable[[], str],
        vocabulary: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.line = TextLine()
        self.is_open = False
        self._clipboard = clipboard
        self._vocabulary = vocabulary
        self._held: list[str] = []
        self._opener = ""  # the character that opened the line and must not be typed into it
        self.meet(words, dials)

    def meet(self, words: str, dials: Mapping[str, DialRange]) -> None:
        """Go on with a world that runs under `words` and has `dials`, all at rest; the open line stays."""
        self._words = words
        self.line.know(self._vocabulary())
        self._dials = dials
        self._values = {name: span.rest for name, span in dials.items()}

    def view(self) -> LineView | None:
        """The prompt line as it is to be drawn, None while it is closed."""
        return self.line.view() if self.is_open else None

    def note(self, event: Event) -> None:
        """Learn of an event from another source, so that the keys go on from it."""
        if isinstance(event, Prompt | Scene):
            self._words = event.text
        elif isinstance(event, Dial) and event.name in self._values:
            self._values[event.name] = event.value

    def handle(self, gesture: Gesture) -> list[Command | Event]:
        """What `gesture` asks for, in order; empty when it asks for nothing or only edits the line."""
        if isinstance(gesture, KeyDown):
            return self._key_down(gesture)
        if isinstance(gesture, KeyUp):
            return self._key_up(gesture.key)
        if isinstance(gesture, Text):
            return self._text(gesture.text)
        if isinstance(gesture, Composing) and self.is_open:
            self.line.compose(gesture.text, gesture.start)
        return [Command.QUIT] if isinstance(gesture, Closed) else []

    def _key_down(self, press: KeyDown) -> list[Command | Event]:
        self._opener = ""
        mods = press.mods & _SHORTCUT_MODS
        # AltGr reports as Ctrl+Alt on some systems, and AltGr+Q types an @: only Ctrl alone quits
        if press.key == "q" and mods == {"ctrl"}:
            return [Command.QUIT]
        if press.key in _ALWAYS or (press.key in _ENTER and mods == {"alt"}):
            return [] if press.repeat else [_ALWAYS.get(press.key, Command.FULLSCREEN)]
        if self.is_open:
            return self._line_key(press)
        return [] if mods else self._shortcut(press)

    def _line_key(self, press: KeyDown) -> list[Command | Event]:
        """A key while the line is open; letters arrive as Text."""
        if press.key in _ENTER:
            return [] if press.repeat or self.line.is_composing else self._submit("shift" in press.mods)
        if press.key == "escape":
            return self._escape()
        if (press.key, press.mods & _SHORTCUT_MODS) in (("v", {"ctrl"}), ("v", {"meta"})) or (
            press.key == "insert" and press.mods == {"shift"}
        ):
            self.line.insert(self._clipboard())
        else:
            self.line.press(press.key, press.mods)
        return []

    def _shortcut(self, press: KeyDown) -> list[Command | Event]:
        """A key while the line is closed."""
        if press.key in _STEPPED:
            return self._step(*_STEPPED[press.key])
        if press.key in _SHIFTED:
            return self._step(_SHIFTED[press.key], -1 if "shift" in press.mods else 1)
        if press.repeat:
            return []
        if press.key in _CYCLED:
            return self._cycle(_CYCLED[press.key])
        if press.key in _REST:
            return self._to_rest()
        if press.key in _ENTER and "shift" in press.mods:
            return self._cut()
        if press.key in _ENTER + _SLASH:
            self._opener = "/" if press.key in _SLASH else ""
            return self._open()
        if press.key in _HELD:
            self._held.append(press.key)
            return self._pan(_HELD[press.key][0])
        return [_LINE_CLOSED_ONLY[press.key]] if press.key in _LINE_CLOSED_ONLY else []

    def _text(self, text: str) -> list[Command | Event]:
        if text == self._opener:
            self._opener = ""
        elif self.is_open:
            self.line.insert(text)
        elif text == "/":  # where / needs Shift or AltGr, no key is called "/"
            return self._open()
        return []

    def _key_up(self, key: str) -> list[Command | Event]:
        self._opener = ""
        if key not in self._held:
            return []
        self._held.remove(key)
        return self._pan(_HELD[key][0])

    def _open(self) -> list[Command | Event]:
        """Open the line; held dials come to rest, since the same keys type from now on."""
        self.is_open = True
        names = dict.fromkeys(_HELD[key][0] for key in self._held)
        self._held.clear()
        return [Command.LINE_OPENED, *(event for name in names for event in self._pan(name))]

    def _close(self) -> list[Command | Event]:
        self.line.cancel()
        self.is_open = False
        return [Command.LINE_CLOSED]

    def _escape(self) -> list[Command | Event]:
        if not self.line.is_composing:
            return self._close()
        self.line.compose("", 0)
        return []

    def _submit(self, is_hard_cut: bool) -> list[Command | Event]:
        """Close the line and send its words; an empty line sends nothing, or cuts to the current words."""
        words = _clean_or_empty(self.line.submit())
        self._words = words or self._words
        if is_hard_cut:
            return [*self._close(), *self._cut()]
        return [*self._close(), Prompt(words)] if words else self._close()

    def _cut(self) -> list[Command | Event]:
        return [Scene(self._words)] if self._words else []

    def _pan(self, name: str) -> list[Command | Event]:
        """Set the held dial `name` as the newest of its keys says, at rest without one."""
        if name not in self._dials:
            return []
        span = self._dials[name]
        signs = [_HELD[key][1] for key in self._held if _HELD[key][0] == name]
        value = span.rest if not signs else span.high if signs[-1] > 0 else span.low
        return self._turn(name, value)

    def _step(self, name: str, sign: int) -> list[Command | Event]:
        if name not in self._dials:
            return []
        span = self._dials[name]
        width = span.high - span.low
        value = self._values[name] + sign * width / STEPS
        if name in _ROUND:
            value = span.low + (value - span.low) % width
        return self._turn(name, round(min(max(value, span.low), span.high), 6))

    def _cycle(self, name: str) -> list[Command | Event]:
        """The next whole number, after the highest the lowest."""
        if name not in self._dials:
            return []
        span, value = self._dials[name], round(self._values[name]) + 1.0
        return self._turn(name, value if value <= span.high else span.low)

    def _to_rest(self) -> list[Command | Event]:
        names = [name for name in _AT_REST if name in self._dials]
        return [event for name in names for event in self._turn(name, self._dials[name].rest)]

    def _turn(self, name: str, value: float) -> list[Command | Event]:
        """Set dial `name`; nothing when it already stands there."""
        if self._values[name] == value:
            return []
        self._values[name] = value
        return [Dial(name, value)]


def _clean_or_empty(text: str) -> str:
    """`text` as a prompt keeps it, empty where it holds nothing that can be read (only private characters, say)."""
    try:
        return clean_text(text)
    except ValueError:
        return ""
