"""The mode in which the corners of the picture are moved, by keys or by dragging them. No window is needed."""

from __future__ import annotations

import logging
from pathlib import Path

from input.gesture import KeyDown
from loop.screen.pinning.corners import Corners, Point, read_corners, write_corners

log = logging.getLogger(__name__)
KEYS = "Tab: next corner · arrows: move it (Shift: by 10) · drag it · 0: straight · F10: keep · Esc: as before"
_STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_LONG_STEP = 10  # pixels, with Shift


class Pinning:
    """The corners, and the mode in which they are moved. Owned by the window.

    path: the file that keeps them; None: there is no pinning. Raises CornerError. is_on: the mode. chosen: the number
    of the corner that keys move, clockwise from the top left.
    """

    def __init__(self, path: Path | None) -> None:
        self.corners = read_corners(path) if path else Corners()
        self.is_on, self.chosen = False, 0
        self._path, self._before, self._is_dragged = path, self.corners, False

    @property
    def is_possible(self) -> bool:
        """Whether there is a file to keep the corners in."""
        return self._path is not None

    @property
    def text(self) -> str:
        """What the operator is told; empty unless the mode is on."""
        return f"corner {self.chosen + 1} · {KEYS}" if self.is_on else ""

    def toggle(self) -> None:
        """Begin to move corners, or keep them as they are now."""
        if self.is_on:
            self._end()
            self._keep()
        elif self.is_possible:
            self.is_on, self._before = True, self.corners

    def press(self, key: KeyDown, size: tuple[int, int]) -> bool:
        """Whether the key was for this mode; then it is done. size: (width, height) of the display in pixels."""
        if not self.is_on:
            return False
        if key.key in _STEPS:
            pixels = _LONG_STEP if "shift" in key.mods else 1
            x, y = self.corners.points[self.chosen]
            right, down = _STEPS[key.key]
            self._move((x + right * pixels / size[0], y + down * pixels / size[1]))
        elif key.key == "tab":
            self.chosen = (self.chosen + (-1 if "shift" in key.mods else 1)) % 4
        elif key.key in ("0", "kp_0"):
            self.corners = Corners()
        elif key.key == "escape":
            self.corners = self._before
            self._end()
        else:
            return False
        return True

    def grab(self, at: Point) -> None:
        """The mouse button went down there: the corner that is nearest follows the mouse from now on."""
        distances = [(x - at[0]) ** 2 + (y - at[1]) ** 2 for x, y in self.corners.points]
        self.chosen, self._is_dragged = distances.index(min(distances)), True
        self._move(at)

    def drag(self, at: Point) -> None:
        """The mouse is there."""
        if self._is_dragged:
            self._move(at)

    def release(self) -> None:
        """The mouse button was released."""
        self._is_dragged = False

    def _move(self, at: Point) -> None:
        self.corners = self.corners.moved(self.chosen, at)

    def _end(self) -> None:
        self.is_on = self._is_dragged = False

    def _keep(self) -> None:
        assert self._path is not None, "the mode begins only with a file"
        try:
            write_corners(self._path, self.corners)
        except OSError as error:
            log.warning("the corners cannot be kept in %s: %s", self._path, error.strerror or error)
        else:
            log.info("corners kept in %s", self._path)
