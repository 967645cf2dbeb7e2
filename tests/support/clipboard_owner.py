"""The owner of an X display's clipboard: `python -m tests.support.clipboard_owner DISPLAY MODE [CHARACTERS]`.

MODE: `mute` never answers; `whole` gives the text at once; `pieces` gives it bit by bit (INCR); `latin` has it only as
STRING; `refuses` has no text. It prints a line once it owns the clipboard.
"""

from __future__ import annotations

import sys

from Xlib import X, display
from Xlib.protocol import event

PIECE = 50_000  # bytes


class Owner:
    """Answers whoever asks for the text."""

    def __init__(self, name: str, mode: str, characters: int) -> None:
        self._server, self._mode = display.Display(name), mode
        self._kind = self._server.intern_atom("STRING" if mode == "latin" else "UTF8_STRING")
        self._text = ("é" * characters).encode("latin-1" if mode == "latin" else "utf-8")
        self._pieces: list[bytes] = []
        window = self._server.screen().root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        window.set_selection_owner(self._server.intern_atom("CLIPBOARD"), X.CurrentTime)
        self._server.sync()

    def run(self) -> None:
        while True:
            asked = self._server.next_event()
            if asked.type == X.PropertyNotify and asked.state == X.PropertyDelete and self._pieces:
                asked.window.change_property(asked.atom, self._kind, 8, self._pieces.pop(0))
            elif asked.type == X.SelectionRequest and self._mode != "mute":
                self._answer(asked)
            self._server.flush()

    def _answer(self, asked) -> None:
        has_it = asked.target == self._kind and self._mode != "refuses"
        if has_it:
            self._give(asked.requestor, asked.property)
        place = asked.property if has_it else X.NONE
        same = {name: getattr(asked, name) for name in ("time", "requestor", "selection", "target")}
        asked.requestor.send_event(event.SelectionNotify(property=place, **same))

    def _give(self, requestor, place: int) -> None:
        pieces = [self._text[i : i + PIECE] for i in range(0, len(self._text), PIECE)] + [b""]
        if self._mode == "pieces":
            self._pieces = pieces
            requestor.change_attributes(event_mask=X.PropertyChangeMask)
            requestor.change_property(place, self._server.intern_atom("INCR"), 32, [len(self._text)])
            return
        requestor.change_property(place, self._kind, 8, b"")
        for piece in pieces:
            requestor.change_property(place, self._kind, 8, piece, X.PropModeAppend)


if __name__ == "__main__":
    owner = Owner(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print("owned", flush=True)
    owner.run()
