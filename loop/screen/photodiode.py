"""A patch for a photodiode: a square that changes between black and white with the first frame of every event."""

from __future__ import annotations

from loop.screen.marks import Bar

_PER_HEIGHT = 12  # squares of this size in the height of the window
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


class PhotodiodePatch:
    """The square in the top right corner of the window, drawn over everything else. Owned by the engine."""

    def __init__(self) -> None:
        self.lit = False

    def turn(self) -> None:
        """Change from black to white, or back."""
        self.lit = not self.lit

    def mark(self, size: tuple[int, int]) -> Bar:
        """The square as it is now, for a window of `size` = (width, height) in drawable pixels."""
        side = max(1, round(size[1] / _PER_HEIGHT))
        return Bar(size[0] - side, 0, side, side, _WHITE if self.lit else _BLACK)
