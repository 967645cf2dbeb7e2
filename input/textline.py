"""The prompt line: a line editor with history, completion and the composition of an input method.

It needs no window: keys arrive as names and text as strings, and `view` gives what to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from input.characters import boundaries, clean_typing
from input.complete import Cycle, complete, word_before
from world.event import MAX_TEXT

HISTORY = 200  # lines; a two-hour show at one prompt every 40 s


@dataclass(frozen=True)
class LineView:
    """What the prompt line shows.

    caret: an index into text. composition: what an input method is still composing; it is shown at the caret and is not
    part of text. composition_caret: an index into composition. ghost: what Tab would add to the word at the caret;
    empty while an input method composes.
    """

    text: str = ""
    caret: int = 0
    composition: str = ""
    composition_caret: int = 0
    ghost: str = ""


class TextLine:
    """The line that is being typed, and the lines submitted before. The caret never stands inside a character.

    Owned by the keyboard (input.keys).
    """

    def __init__(self) -> None:
        self.text = ""
        self.caret = 0
        self._composition = ("", 0)
        self._history: list[str] = []
        self._recalled = 0  # index into the history of the line shown; its length stands for the unfinished line
        self._unfinished = ""
        self._cycle: Cycle | None = None  # valid only while the line is as the completion left it
        self.know(())

    @property
    def is_composing(self) -> bool:
        """Whether an input method is composing text that has not been typed yet."""
        return bool(self._composition[0])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is typed, nor composed by an input method."""
        return not self.text and not self.is_composing

    def view(self) -> LineView:
        """What to draw now."""
        ghost = "" if self.is_composing or self._current_cycle() else next(self._endings(), "")
        return LineView(self.text, self.caret, *self._composition, ghost)

    def know(self, words: Iterable[str]) -> None:
        """Offer `words` as completions from now on; if there are none, nothing is completed."""
        vocabulary = tuple(sorted({word.lower() for word in words}))
        # cached, because every tick asks for the view, and thousands of words may begin with the same letter
        self._candidates = lru_cache(16)(lambda prefix: complete(prefix, vocabulary))

    def insert(self, text: str) -> None:
        """Type or paste `text` at the caret; what would exceed MAX_TEXT characters is dropped."""
        self._composition = ("", 0)
        typed = clean_typing(text[: 2 * MAX_TEXT])  # a megabyte may be pasted, and invisible characters do not count
        room = MAX_TEXT - len(self.text)
        typed = typed[: max(stop for stop in boundaries(typed) if stop <= room)] if room > 0 else ""
        self.text = self.text[: self.caret] + typed + self.text[self.caret :]
        self.caret = self._boundary_from(self.caret + len(typed))

    def compose(self, text: str, start: int) -> None:
        """Show `text` as a composition with its caret at index `start`; an empty `text` ends the composition."""
        shown = clean_typing(text)
        self._composition = (shown, min(max(start, 0), len(shown)))

    def press(self, key: str, mods: frozenset[str]) -> bool:
        """Do what an editing key does; False if `key` is not one.

        During a composition an editing key does nothing here, because it belongs to the input method.
        """
        action = _EDITS.get((key, mods)) or _EDITS.get((key, mods - {"shift"}))
        if action is None:
            return False
        if not self.is_composing:
            action(self)
        return True

    def submit(self) -> str:
        """Empty the line, add its text to the history, and return that text without spaces around it."""
        text = self.text.strip()
        if text and (not self._history or self._history[-1] != text):
            self._history = [*self._history, text][-HISTORY:]
        self.cancel()
        return text

    def cancel(self) -> None:
        """Empty the line without keeping its text."""
        self._set("")
        self._composition = ("", 0)
        self._cycle = None
        self._unfinished = ""
        self._recalled = len(self._history)

    def complete(self) -> None:
        """Complete the word at the caret with its ghost; directly after a completion, replace it by the next one."""
        if cycle := self._current_cycle():
            self._show_completion(cycle.moved(1))
        elif endings := tuple(self._endings()):
            self._show_completion(Cycle(self.text[: self.caret], self.text[self.caret :], endings))

    def complete_back(self) -> None:
        """Directly after a completion, replace it by the one before it."""
        if cycle := self._current_cycle():
            self._show_completion(cycle.moved(-1))

    def _current_cycle(self) -> Cycle | None:
        """The cycle of the last completion; None if the line or the caret has changed since."""
        return self._cycle if self._cycle and self._cycle.line() == (self.text, self.caret) else None

    def _show_completion(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self.text, self.caret = cycle.line()

    def _endings(self) -> Iterator[str]:
        """What each completion that still fits adds to the word at the caret, the best first."""
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
        """Move the caret one character to the left."""
        self.caret = self._before(self.caret)

    def right(self) -> None:
        """Move the caret one character to the right."""
        self.caret = self._after(self.caret)

    def word_left(self) -> None:
        """Move the caret to the start of the word before it."""
        self.caret = self._word_before()

    def word_right(self) -> None:
        """Move the caret to the end of the word after it."""
        self.caret = self._word_after()

    def home(self) -> None:
        """Move the caret to the start of the line."""
        self.caret = 0

    def end(self) -> None:
        """Move the caret to the end of the line."""
        self.caret = len(self.text)

    def older(self) -> None:
        """Show the line submitted before the one shown; the unfinished line is kept for `newer`."""
        if self._recalled == len(self._history):
            self._unfinished = self.text
        self._recall(max(self._recalled - 1, 0))

    def newer(self) -> None:
        """Show the line submitted after the one shown; after the newest, the unfinished line."""
        self._recall(min(self._recalled + 1, len(self._history)))

    def _recall(self, index: int) -> None:
        if index != self._recalled:
            self._recalled = index
            self._set(self._unfinished if index == len(self._history) else self._history[index])

    def _set(self, text: str) -> None:
        self.text, self.caret = text, len(text)

    def _delete(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.caret = self._boundary_from(start)

    def _boundary_from(self, index: int) -> int:
        """The first caret position at or after `index`: after an edit, the texts on both sides may join there."""
        return next(stop for stop in boundaries(self.text) if stop >= index)

    def _before(self, index: int) -> int:
        return max((stop for stop in boundaries(self.text) if stop < index), default=0)

    def _after(self, index: int) -> int:
        return min((stop for stop in boundaries(self.text) if stop > index), default=len(self.text))

    def _word_before(self) -> int:
        return self._boundary_from(self.text[: self.caret].rstrip().rfind(" ") + 1)

    def _word_after(self) -> int:
        rest = self.text[self.caret :]
        word = rest.lstrip().partition(" ")[0]
        return self._boundary_from(self.caret + rest.find(word) + len(word))


_NONE: frozenset[str] = frozenset()
_SHIFT = frozenset({"shift"})
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
