"""The prompt line: a pure line editor with history and input-method composition.

It knows no window: keys come as names, text as strings, and `view` says what to draw.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from input.complete import Cycle, complete, word_before
from world.event import MAX_TEXT

HISTORY = 200  # lines; a two-hour show at one prompt every 40 s
_JOINER = "\u200d"
_NON_JOINER = "\u200c"


@dataclass(frozen=True)
class LineView:
    """What the prompt line shows: `text`, the caret as an index into it, and the words an input method still composes.

    `composition` stands at the caret and is not part of `text`; `composition_caret` is an index into it. `ghost` is
    what Tab would add to the word at the caret; there is none while an input method composes.
    """

    text: str = ""
    caret: int = 0
    composition: str = ""
    composition_caret: int = 0
    ghost: str = ""


def clean_typing(text: str) -> str:
    """`text` with line breaks and tabs as spaces and without other control or invisible formatting characters.

    The two joiners stay: emoji families and Persian words are spelt with them.
    """
    spaced = "".join(" " if c.isspace() else c for c in text.replace("\r\n", "\n"))
    hidden = ("Cc", "Cf", "Cs")
    return "".join(c for c in spaced if c in (_JOINER, _NON_JOINER) or unicodedata.category(c) not in hidden)


def _extends(previous: str, char: str, flags: int) -> bool:
    """Whether `char` belongs to the cluster that ends in `previous`, after `flags` regional indicators in a row."""
    if previous == _JOINER or char in (_JOINER, _NON_JOINER) or unicodedata.category(char).startswith("M"):
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\u1160" <= char <= "\u11ff":  # skin tones; vowels and finals of Hangul
        return True
    return _is_flag(char) and flags % 2 == 1


def _is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def boundaries(text: str) -> list[int]:
    """The indices where the caret may stand: 0, between user-perceived characters, and the end."""
    if text.isascii():
        return list(range(len(text) + 1))
    stops, flags = [0], 0
    for i, char in enumerate(text):
        if i and not _extends(text[i - 1], char, flags):
            stops.append(i)
        flags = flags + 1 if _is_flag(char) else 0
    return [*stops, len(text)]


class TextLine:
    """A line that is being typed. The caret always stands between user-perceived characters."""

    def __init__(self) -> None:
        self.text = ""
        self.caret = 0
        self._composition = ("", 0)
        self._history: list[str] = []
        self._place = 0  # index into the history; its length is the unfinished line
        self._unfinished = ""
        self._cycle: Cycle | None = None  # in force while the line is as it left it
        self.know(())

    @property
    def is_composing(self) -> bool:
        """Whether an input method holds words that are not yet text."""
        return bool(self._composition[0])

    def view(self) -> LineView:
        """What to draw now."""
        ghost = "" if self.is_composing or self._is_cycling() else next(self._endings(), "")
        return LineView(self.text, self.caret, *self._composition, ghost)

    def know(self, words: Iterable[str]) -> None:
        """Complete to `words` from now on; without any, nothing is completed."""
        vocabulary = tuple(sorted({word.lower() for word in words}))
        # the view is asked for at every tick, and a letter may begin thousands of words
        self._candidates = lru_cache(16)(lambda prefix: complete(prefix, vocabulary))

    def insert(self, text: str) -> None:
        """Type or paste `text` at the caret; what does not fit into MAX_TEXT characters is left out."""
        self._composition = ("", 0)
        typed = clean_typing(text)
        room = MAX_TEXT - len(self.text)
        typed = typed[: max(stop for stop in boundaries(typed) if stop <= room)] if room > 0 else ""
        self.text = self.text[: self.caret] + typed + self.text[self.caret :]
        self.caret = self._settle(self.caret + len(typed))

    def compose(self, text: str, start: int) -> None:
        """Show `text` as not yet typed, its own caret at `start`; an empty one ends the composition."""
        shown = clean_typing(text)
        self._composition = (shown, min(max(start, 0), len(shown)))

    def press(self, key: str, mods: frozenset[str]) -> bool:
        """Edit by a key; False when this key is no editing key. While composing the input method owns the keys."""
        action = _EDITS.get((key, mods)) or _EDITS.get((key, mods - {"shift"}))
        if action is None:
            return False
        if not self.is_composing:
            action(self)
        return True

    def submit(self) -> str:
        """Empty the line and return what it held, which the history keeps."""
        text = self.text.strip()
        if text and (not self._history or self._history[-1] != text):
            self._history = [*self._history, text][-HISTORY:]
        self.cancel()
        return text

    def cancel(self) -> None:
        """Empty the line and forget what it held."""
        self._set("")
        self._composition = ("", 0)
        self._cycle = None
        self._unfinished = ""
        self._place = len(self._history)

    def complete(self) -> None:
        """Complete the word at the caret by its ghost; again at once, by the next known word instead."""
        if self._is_cycling():
            self._turn(self._cycle.turned(1))
        elif endings := tuple(self._endings()):
            self._turn(Cycle(self.text[: self.caret], self.text[self.caret :], endings))

    def complete_back(self) -> None:
        """Go back to the known word before, after `complete`."""
        if self._is_cycling():
            self._turn(self._cycle.turned(-1))

    def _is_cycling(self) -> bool:
        """Whether nothing has happened to the line since it was completed."""
        return self._cycle is not None and self._cycle.line() == (self.text, self.caret)

    def _turn(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self.text, self.caret = cycle.line()

    def _endings(self) -> Iterator[str]:
        """What the known words that fit add to the one at the caret, the best first."""
        prefix = word_before(self.text, self.caret)
        room = MAX_TEXT - len(self.text) - 1
        endings = (word[len(prefix.lower()) :] for word in self._candidates(prefix))
        return (ending for ending in endings if len(ending) <= room)

    def backspace(self) -> None:
        """Delete the character before the caret."""
        self._delete(self._before(self.caret), self.caret)

    def delete(self) -> None:
        """Delete the character after the caret."""
        self._delete(self.caret, self._after(self.caret))

    def backspace_word(self) -> None:
        """Delete the word before the caret and the spaces after it."""
        self._delete(self._word_before(), self.caret)

    def delete_word(self) -> None:
        """Delete the word after the caret and the spaces before it."""
        self._delete(self.caret, self._word_after())

    def delete_to_start(self) -> None:
        """Delete everything before the caret."""
        self._delete(0, self.caret)

    def delete_to_end(self) -> None:
        """Delete everything after the caret."""
        self._delete(self.caret, len(self.text))

    def left(self) -> None:
        """Step over the character before the caret."""
        self.caret = self._before(self.caret)

    def right(self) -> None:
        """Step over the character after the caret."""
        self.caret = self._after(self.caret)

    def word_left(self) -> None:
        """Step to the start of the word before the caret."""
        self.caret = self._word_before()

    def word_right(self) -> None:
        """Step to the end of the word after the caret."""
        self.caret = self._word_after()

    def home(self) -> None:
        """Step to the start of the line."""
        self.caret = 0

    def end(self) -> None:
        """Step to the end of the line."""
        self.caret = len(self.text)

    def older(self) -> None:
        """Show the line submitted before this one; the unfinished line is kept."""
        if self._place == len(self._history):
            self._unfinished = self.text
        self._recall(max(self._place - 1, 0))

    def newer(self) -> None:
        """Show the line submitted after this one, at last the unfinished one."""
        self._recall(min(self._place + 1, len(self._history)))

    def _recall(self, place: int) -> None:
        if place != self._place:
            self._place = place
            self._set(self._unfinished if place == len(self._history) else self._history[place])

    def _set(self, text: str) -> None:
        self.text, self.caret = text, len(text)

    def _delete(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.caret = self._settle(start)

    def _settle(self, index: int) -> int:
        """The first place at or after `index` where the caret may stand: what meets there may have joined."""
        return next(stop for stop in boundaries(self.text) if stop >= index)

    def _before(self, index: int) -> int:
        return max((stop for stop in boundaries(self.text) if stop < index), default=0)

    def _after(self, index: int) -> int:
        return min((stop for stop in boundaries(self.text) if stop > index), default=len(self.text))

    def _word_before(self) -> int:
        return self._settle(self.text[: self.caret].rstrip().rfind(" ") + 1)

    def _word_after(self) -> int:
        rest = self.text[self.caret :]
        word = rest.lstrip().partition(" ")[0]
        return self._settle(self.caret + rest.find(word) + len(word))


_NONE, _SHIFT = frozenset(), frozenset({"shift"})
_CTRL, _ALT, _META = frozenset({"ctrl"}), frozenset({"alt"}), frozenset({"meta"})

_EDITS: dict[tuple[str, frozenset[str]], Callable[[TextLine], None]] = {
    ("tab", _NONE): TextLine.complete,
    ("tab", _SHIFT): TextLine.complete_back,
    ("backspace", _NONE): TextLine.backspace,
    ("delete", _NONE): TextLine.delete,
    ("left", _NONE): TextLine.left,
    ("right", _NONE): TextLine.right,
    ("home", _NONE): TextLine.home,
    ("end", _NONE): TextLine.end,
    ("up", _NONE): TextLine.older,
    ("down", _NONE): TextLine.newer,
    ("backspace", _CTRL): TextLine.backspace_word,
    ("backspace", _ALT): TextLine.backspace_word,
    ("w", _CTRL): TextLine.backspace_word,
    ("delete", _CTRL): TextLine.delete_word,
    ("left", _CTRL): TextLine.word_left,
    ("right", _CTRL): TextLine.word_right,
    ("left", _ALT): TextLine.word_left,
    ("right", _ALT): TextLine.word_right,
    ("left", _META): TextLine.home,
    ("right", _META): TextLine.end,
    ("home", _CTRL): TextLine.home,
    ("end", _CTRL): TextLine.end,
    ("a", _CTRL): TextLine.home,
    ("e", _CTRL): TextLine.end,
    ("u", _CTRL): TextLine.delete_to_start,
    ("k", _CTRL): TextLine.delete_to_end,
    ("p", _CTRL): TextLine.older,
    ("n", _CTRL): TextLine.newer,
}
