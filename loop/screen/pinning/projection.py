"""The projection: brings the picture to the corners that are pinned on a display, and shows where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pygame

from loop.screen.pinning.corners import Corners, Point, projected
from loop.screen.pinning.pinning import Pinning
from loop.screen.pinning.warp_map import warp_map

Size = tuple[int, int]  # (width, height) in pixels

_BANDS_A_TICK = 2  # of a map, while corners move: at 1920x1080 under 1 ms of a tick, and the map takes 17 ticks
_GRID = 8  # fields of the pattern, each way
_OUTLINE, _LINES, _CHOSEN = (255, 255, 255), (150, 150, 150), (255, 204, 120)


class Projection:
    """Draws pictures on the surface of a display, as its corners are pinned; costs nothing while they are straight.

    Owned by the window. BENCHMARKS.md has what it adds to each picture, and what other means would add.
    """

    def __init__(self, pinning: Pinning) -> None:
        self.pinning = pinning
        self._map: np.ndarray | None = None  # None: straight
        self._of: tuple[Corners, Size] = Corners(), (0, 0)  # what the map is for
        self._next: Iterator[np.ndarray] | None = None
        self._bands: list[np.ndarray] = []
        self._straight: pygame.Surface | None = None  # the picture before it is warped, with a black rim of one pixel

    def prepare(self, size: Size) -> object:
        """Follow the corners; the result is another one whenever the same picture must be drawn anew.

        While corners are being moved a map is made over many ticks, so that none comes late.
        """
        wanted = self.pinning.corners, size
        if wanted != self._of and (self._next is None or not self.pinning.is_on or size != self._of[1]):
            self._of, self._bands = wanted, []
            self._next = iter(()) if wanted[0].are_straight else warp_map(*wanted)
        if self._next is not None:
            self._go_on(_BANDS_A_TICK if self.pinning.is_on else size[1])
        shown = (self.pinning.corners, self.pinning.chosen) if self.pinning.is_on else None
        return shown, self._of, self._next is None

    def draw(self, target: pygame.Surface, draw_picture: Callable[[pygame.Surface], None]) -> None:
        """Draw on `target` what `draw_picture` draws on a surface of its size, at the pinned corners."""
        if self._map is None or self._map.shape != target.get_size()[::-1]:
            draw_picture(target)
        else:
            self._warp(target, self._map, draw_picture)
        if self.pinning.is_on:
            _draw_pattern(target, self.pinning.corners, self.pinning.chosen)

    def _go_on(self, bands: int) -> None:
        """Make so many bands of the map, and use it once it is complete."""
        assert self._next is not None
        for _ in range(bands):
            band = next(self._next, None)
            if band is None:
                self._map = None if self._of[0].are_straight else np.concatenate(self._bands)
                self._next, self._bands = None, []
                return
            self._bands.append(band)

    def _warp(self, target: pygame.Surface, places: np.ndarray, draw: Callable[[pygame.Surface], None]) -> None:
        width, height = target.get_size()
        if self._straight is None or self._straight.get_size() != (width + 2, height + 2):
            self._straight = pygame.Surface((width + 2, height + 2), 0, target)
        draw(self._straight.subsurface((1, 1, width, height)))
        source = pygame.surfarray.pixels2d(self._straight).T.ravel()
        # every place is valid; "clip" only saves the look at it, which would take half of the time
        np.take(source, places, out=pygame.surfarray.pixels2d(target).T, mode="clip")


def _draw_pattern(target: pygame.Surface, corners: Corners, chosen: int) -> None:
    """The outline of the picture and a grid in it, with a ring around the corner that keys move."""
    ends: list[Point] = []
    for number in range(_GRID + 1):
        share = number / _GRID
        ends += [(share, 0.0), (share, 1.0), (0.0, share), (1.0, share)]
    size = target.get_size()
    at = [(x * (size[0] - 1), y * (size[1] - 1)) for x, y in projected(corners.homography(), ends)]
    lines = list(zip(at[::2], at[1::2], strict=True))
    for begin, end in lines[2:-2]:
        pygame.draw.aaline(target, _LINES, begin, end)
    for begin, end in lines[:2] + lines[-2:]:
        pygame.draw.line(target, _OUTLINE, begin, end, 3)
    middle = [share * (side - 1) for share, side in zip(corners.points[chosen], size, strict=True)]
    pygame.draw.circle(target, _CHOSEN, middle, size[1] / 30, 5)
