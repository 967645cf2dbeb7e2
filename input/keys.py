"""What the keys mean: it turns gestures into commands and events, and needs no window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from input.action import SETS, Action, Command, FireCue, StagePrompt
from input.gesture import Closed, Composing, Gesture, KeyDown, KeyUp, Pasted, Text
from input.textline import LineView, TextLine
from world.event import Dial, Event, Prompt, Scene, clean_text
from world.info import DialRange

STEPS = 20  # key presses that take a dial from one end of its range to the other
_SHORTCUT_MODS = frozenset({"ctrl", "alt", "meta"})  # without shift, which belongs to typing


_ENTER = ("enter", "kp_enter")
_SLASH = ("/", "kp_/")
_ALWAYS = {
    "f1": Command.STATISTICS,
    "f2": Command.SWITCH,
    "f3": Command.FIT,
    "f4": Command.TRANSITION,
    "f12": Command.LEARN,
    "f9": Command.RECORD,
    "f10": Command.PIN,
    "f11": Command.FULLSCREEN,
}
_LINE_CLOSED_ONLY = {
    "h": Command.HELP,
    "space": Command.FREEZE,
    "b": Command.BLACKOUT,
    "escape": Command.CANCEL,
    "q": Command.QUANTISE,
    "v": Command.WAY,
    "y": Command.LET_IN,
    "x": Command.REFUSE,
    ";": Command.NUDGE_EARLIER,
    "'": Command.NUDGE_LATER,
    "r": Command.ANOTHER_TURN,
    "backspace": Command.REWIND,
}
_CUE_STEPS = {"pagedown": Command.NEXT, "pageup": Command.PREVIOUS}  # zoom where there are no cues
_CUE_NUMBERS = {f"{prefix}{number}": number - 1 for number in range(1, 10) for prefix in ("", "kp_")}
_BOOKMARKS = tuple(key.lower() for key in SETS.values())
_HELD = {  # key -> (dial, direction): at the end of its range while the key is down
    **dict.fromkeys(("right", "d"), ("pan_x", 1)),
    **dict.fromkeys(("left", "a"), ("pan_x", -1)),
    **dict.fromkeys(("up", "w"), ("pan_y", 1)),
    **dict.fromkeys(("down", "s"), ("pan_y", -1)),
}
_STEPPED = {  # key -> (dial, direction): one step for each press or repeat
    **dict.fromkeys(("]", "pageup"), ("zoom", 1)),
    **dict.fromkeys(("[", "pagedown"), ("zoom", -1)),
    **dict.fromkeys(("=", "+", "kp_+"), ("energy", 1)),
    **dict.fromkeys(("-", "kp_-"), ("energy", -1)),
    ".": ("brightness", 1),
    ",": ("brightness", -1),
}
_STANDS_IN = {"zoom": "magnify"}  # a dial of the display, in a world that does not have its own
_SHIFTED = {"n": "hue", "z": "magnify"}  # one step up; with Shift one step down
_CYCLED = {"m": "mirror", "p": "poster", "g": "guard"}  # to the next whole number
_CIRCULAR = ("hue",)  # after the highest value comes the lowest
_RESET = ("0", "kp_0")
_NOT_RESET = ("guard",)  # it protects others, so this must not end it


class Keyboard:
    """Turns gestures into commands and events. Owns the prompt line, the keys held down and the values of the dials.

    words: called for the current prompt, which a hard cut repeats while the line is closed; empty while there is none.
    dials: those of the world and the display, by name. ask_clipboard: called for the text to paste, which must come as
    Pasted. vocabulary: called for the words that can be completed, each time a world is opened. has_next: whether there
    are cues or a staged prompt, which Page Down, Page Up, the numbers and Enter on an empty line then fire.
    pressed: the dials that the newest gesture set, also where one was at its limit already. awaits_paste: the clipboard
    was asked for and has not come yet; until then later keys should wait, so that they act on the pasted text.
    """

    def __init__(
        self,
        words: Callable[[], str],
        dials: Mapping[str, DialRange],
        ask_clipboard: Callable[[], object],
        vocabulary: Callable[[], Sequence[str]] = tuple,
        has_next: Callable[[], bool] = lambda: False,
    ) -> None:
        self.line = TextLine()
        self.is_open = False
        self.pressed: tuple[Dial, ...] = ()
        self.awaits_paste = self._lists_words = False
        self._ask_clipboard = ask_clipboard
        self._vocabulary, self._has_next = vocabulary, has_next
        self._held: list[str] = []
        self._opener = ""  # the character of the key that opened the line: it also arrives as Text, to be ignored once
        self._rewinds = False  # the key that goes back is down
        self._words = words
        self.meet(dials)

    def meet(self, dials: Mapping[str, DialRange]) -> None:
        """Switch to a newly opened world, whose `dials` are at rest. An open line stays open."""
        self.line.know(self._vocabulary())
        self._dials = dials
        self._values = {name: limits.rest for name, limits in dials.items()}

    @property
    def dials(self) -> Mapping[str, DialRange]:
        """The ranges of all dials."""
        return self._dials

    @property
    def values(self) -> Mapping[str, float]:
        """Where all dials are, as far as is known here."""
        return self._values

    def view(self) -> LineView | None:
        """What to draw of the prompt line; None while it is closed."""
        return self.line.view() if self.is_open else None

    @property
    def lists_words(self) -> bool:
        """Whether to show the vocabulary: Tab on an empty line asks for it, until something is typed or Tab again."""
        return self._lists_words and self.line.is_empty

    def note(self, event: Event) -> None:
        """Take over the dial value of an event from any source, so that the next key continues from it."""
        if isinstance(event, Dial) and event.name in self._values:
            self._values[event.name] = self._dials[event.name].clamped(event.value)

    def handle(self, gesture: Gesture) -> list[Action]:
        """The commands and events that `gesture` causes, in order; none if it only edits the line or has no meaning."""
        self.pressed = ()
        if isinstance(gesture, KeyDown):
            return self._key_down(gesture)
        if isinstance(gesture, KeyUp):
            return self._key_up(gesture.key)
        if isinstance(gesture, Text):
            return self._text(gesture.text)
        if isinstance(gesture, Pasted):
            self._paste(gesture.text)
        if isinstance(gesture, Composing) and self.is_open:
            self.line.compose(gesture.text, gesture.start)
        return [Command.QUIT] if isinstance(gesture, Closed) else []

    def _key_down(self, press: KeyDown) -> list[Action]:
        self._opener = ""
        mods = press.mods & _SHORTCUT_MODS
        # some systems report AltGr as Ctrl+Alt, and AltGr+Q types an @, so only Ctrl without Alt quits
        if press.key == "q" and mods == {"ctrl"}:
            return [Command.QUIT]
        if press.key in _ALWAYS or (press.key in _ENTER and mods == {"alt"}):
            return [] if press.repeat else [_ALWAYS.get(press.key, Command.FULLSCREEN)]
        if press.key in _BOOKMARKS and mods <= {"ctrl"}:
            verb = "RECALL" if mods else "SET" if "shift" in press.mods else "BACK"
            return [] if press.repeat else [Command[f"{verb}_{press.key.upper()}"]]
        if self.is_open:
            return self._line_key(press)
        return [] if mods else self._shortcut(press)

    def _line_key(self, press: KeyDown) -> list[Action]:
        """A key that goes down while the line is open; the characters it types arrive separately, as Text."""
        if press.key in _ENTER:
            return [] if press.repeat or self.line.is_composing else self._submit(press.mods)
        if press.key == "escape":
            return self._escape()
        if (press.key, press.mods & _SHORTCUT_MODS) in (("v", {"ctrl"}), ("v", {"meta"})) or (
            press.key == "insert" and press.mods == {"shift"}
        ):
            self.awaits_paste = True
            self._ask_clipboard()
        elif press.key == "tab" and not (press.mods & _SHORTCUT_MODS) and self.line.is_empty:
            self._lists_words = not self._lists_words
        else:
            self.line.press(press.key, press.mods)
        return []

    def _paste(self, text: str) -> None:
        """Type what the clipboard holds; the line that it was asked for may have been closed meanwhile."""
        if self.awaits_paste and self.is_open:
            self.line.insert(text)
        self.awaits_paste = False

    def _shortcut(self, press: KeyDown) -> list[Action]:
        """A key that goes down while the line is closed."""
        if press.key in _CUE_STEPS and self._has_next():
            return [] if press.repeat else [_CUE_STEPS[press.key]]
        if press.key in _STEPPED:
            name, direction = _STEPPED[press.key]
            return self._step(name if name in self._dials else _STANDS_IN.get(name, name), direction)
        if press.key in _SHIFTED:
            return self._step(_SHIFTED[press.key], -1 if "shift" in press.mods else 1)
        if press.repeat:
            return []
        if press.key in _CYCLED:
            return self._cycle(_CYCLED[press.key])
        if press.key in _RESET:
            return self._reset()
        if press.key in _CUE_NUMBERS:
            return [FireCue(_CUE_NUMBERS[press.key], "shift" in press.mods)] if self._has_next() else []
        if press.key == "t":
            return [Command.RESYNC if "shift" in press.mods else Command.TAP]
        if press.key in _ENTER and "shift" in press.mods:
            return _cut_to(self._words())
        if press.key in _ENTER + _SLASH:
            self._opener = "/" if press.key in _SLASH else ""
            return self._open()
        if press.key in _HELD:
            self._held.append(press.key)
            return self._pan(_HELD[press.key][0])
        self._rewinds |= press.key == "backspace"
        return [_LINE_CLOSED_ONLY[press.key]] if press.key in _LINE_CLOSED_ONLY else []

    def _text(self, text: str) -> list[Action]:
        if text == self._opener:
            self._opener = ""
        elif self.is_open:
            self.line.insert(text)
        elif text == "/":  # on layouts where / needs Shift or AltGr, no key is called "/"
            return self._open()
        return []

    def _key_up(self, key: str) -> list[Action]:
        self._opener = ""
        if key == "backspace" and self._rewinds:
            self._rewinds = False
            return [Command.REWIND_ENDED]
        if key not in self._held:
            return []
        self._held.remove(key)
        return self._pan(_HELD[key][0])

    def _open(self) -> list[Action]:
        """Open the line. Held dials go back to rest, because from now on the keys that hold them type."""
        self.is_open, self._lists_words = True, False
        names = dict.fromkeys(_HELD[key][0] for key in self._held)
        self._held.clear()
        return [Command.LINE_OPENED, *(event for name in names for event in self._pan(name))]

    def _close(self) -> list[Action]:
        self.line.cancel()
        self.is_open = self.awaits_paste = self._lists_words = False
        return [Command.LINE_CLOSED]

    def _escape(self) -> list[Action]:
        if not self.line.is_composing:
            return self._close()
        self.line.compose("", 0)
        return []

    def _submit(self, mods: frozenset[str]) -> list[Action]:
        """Close the line and send its words, or keep them for later (Ctrl).

        An empty line is the next cue, if there is one; as a hard cut (Shift) it keeps the current words.
        """
        words = _clean_or_empty(self.line.submit())
        if "shift" in mods:
            return [*self._close(), *_cut_to(words or self._words())]
        if not words:
            return [*self._close(), *([Command.NEXT] if self._has_next() else [])]
        return [*self._close(), StagePrompt(words) if "ctrl" in mods else Prompt(words)]

    def _pan(self, name: str) -> list[Action]:
        """Set the held dial `name` to the end that the newest of its keys stands for; to rest if none is down."""
        if name not in self._dials:
            return []
        limits = self._dials[name]
        signs = [_HELD[key][1] for key in self._held if _HELD[key][0] == name]
        value = limits.rest if not signs else limits.high if signs[-1] > 0 else limits.low
        return self._set(name, value)

    def _step(self, name: str, sign: int) -> list[Action]:
        """Move dial `name` one step up or down, within its range."""
        if name not in self._dials:
            return []
        limits = self._dials[name]
        width = limits.high - limits.low
        value = self._values[name] + sign * width / STEPS
        if name in _CIRCULAR:
            value = limits.low + (value - limits.low) % width
        return self._set(name, round(limits.clamped(value), 6))

    def _cycle(self, name: str) -> list[Action]:
        """Set dial `name` to the next whole number; after the highest comes the lowest."""
        if name not in self._dials:
            return []
        limits, value = self._dials[name], round(self._values[name]) + 1.0
        return self._set(name, value if value <= limits.high else limits.low)

    def _reset(self) -> list[Action]:
        """Set every dial to rest, but for those in _NOT_RESET."""
        turned = [
            name for name in self._dials if name not in _NOT_RESET and self._values[name] != self._dials[name].rest
        ]
        return [event for name in turned for event in self._set(name, self._dials[name].rest)]

    def _set(self, name: str, value: float) -> list[Action]:
        """The event that sets dial `name` to `value`; none if it already has that value."""
        self.pressed += (Dial(name, value),)
        if self._values[name] == value:
            return []
        self._values[name] = value
        return [Dial(name, value)]


def _cut_to(words: str) -> list[Action]:
    """A hard cut to a new scene under `words`, if there are any."""
    return [Scene(words)] if words else []


def _clean_or_empty(text: str) -> str:
    """`text` as a prompt; empty if nothing of it can be read (only private-use characters, say)."""
    try:
        return clean_text(text)
    except ValueError:
        return ""
