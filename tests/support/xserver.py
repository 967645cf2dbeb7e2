"""An X server of the tests' own, and somebody else at its screen: presses keys, looks at pixels."""

from __future__ import annotations

import os
import select
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest

Xlib = pytest.importorskip("Xlib", reason="python-xlib is not installed: pip install 'neverblink[dev]'")

from Xlib import XK, X, display  # noqa: E402
from Xlib.ext import xtest  # noqa: E402

SCREEN = (1280, 720)
DEADLINE_S = 20.0
KEYSYMS = {"/": "slash", " ": "space", "enter": "Return", "ctrl": "Control_L", "shift": "Shift_L", "escape": "Escape"}


@contextmanager
def serve():
    """The name of an X display with one empty screen, for as long as it is needed."""
    reader, writer = os.pipe()
    # without -noreset it restarts between two tests, whenever nobody is connected
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-noreset"]
    process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        if not select.select([reader], [], [], DEADLINE_S)[0]:
            pytest.skip(f"Xvfb gave no display within {DEADLINE_S:g} s")
        yield f":{os.read(reader, 16).decode().strip()}"
    finally:
        os.close(reader)
        process.terminate()
        process.wait(DEADLINE_S)


class Observer:
    """Somebody else at the same screen: presses keys and looks at pixels."""

    def __init__(self, name: str) -> None:
        self.display = display.Display(name)
        self.root = self.display.screen().root

    def key(self, name: str, kind: int) -> None:
        """Press (X.KeyPress) or release (X.KeyRelease) a key, as a keyboard would."""
        code = self.display.keysym_to_keycode(XK.string_to_keysym(KEYSYMS.get(name, name)))
        xtest.fake_input(self.display, kind, code)
        self.display.sync()

    def press(self, *names: str) -> None:
        """Hold the keys `names` down together, the last for a moment."""
        for name in names:
            self.key(name, X.KeyPress)
        for name in reversed(names):
            self.key(name, X.KeyRelease)

    def look(self) -> np.ndarray:
        """uint8 [Y, X, 3] RGB of the whole screen."""
        raw = self.root.get_image(0, 0, *SCREEN, X.ZPixmap, 0xFFFFFFFF).data
        return np.frombuffer(raw, np.uint8).reshape(SCREEN[1], SCREEN[0], 4)[:, :, 2::-1]

    def window(self):
        """The application's window."""
        found = {child.get_wm_class(): child for child in self.root.query_tree().children}
        return found["neverblink", "neverblink"]

    def place(self) -> tuple[slice, slice]:
        """(rows, columns) of the application's window on the screen."""
        where = self.window().get_geometry()
        return slice(where.y, where.y + where.height), slice(where.x, where.x + where.width)
