"""A patch for a photodiode: it changes its colour with the first sign of every event."""

from __future__ import annotations

from loop.screen.overlay import Bar

_SHARE = 12  # of the window's height
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


class Patch:
    """A square in the top right corner of the window, over everything else. Owned by the engine."""

    def __init__(self) -> None:
        self.lit = False

    def turn(self) -> None:
        """From black to white, or back."""
        self.lit = not self.lit

    def mark(self, size: tuple[int, int]) -> Bar:
        """The square in a window of `size` = (width, height) drawable pixels."""
        side = max(1, round(size[1] / _SHARE))
        return Bar(size[0] - side, 0, side, side, _WHITE if self.lit else _BLACK)
