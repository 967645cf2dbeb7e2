"""The picture in a window: copied once, and scaled straight into the window's surface whenever it is drawn."""

from __future__ import annotations

from math import ceil

import numpy as np
import pygame

from loop.screen.display import Fit

Size = tuple[int, int]  # (width, height) in pixels


class Canvas:
    """Holds the newest picture and draws it. Owned by the window.

    count: pictures put so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._picture: pygame.Surface | None = None

    def put(self, pixels: np.ndarray, target: pygame.Surface) -> None:
        """Copy a picture, uint8 [Y, X, 3] RGB, into the pixel format of `target`.

        Raises ValueError for an array of another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"picture {pixels.dtype} {list(pixels.shape)}: expected uint8 [Y, X, 3]")
        size = pixels.shape[1], pixels.shape[0]
        if self._picture is None or self._picture.get_size() != size:
            self._picture = pygame.Surface(size, 0, target)
        self._picture.blit(pygame.image.frombuffer(np.ascontiguousarray(pixels).data, size, "RGB"), (0, 0))
        self.count += 1

    def draw(self, target: pygame.Surface, fit: Fit) -> None:
        """Draw the picture on `target`; what lies beside it stays as it is. Nothing is drawn before the first picture.

        At 3840x2160 this costs 8 ms of one core. A surface of that size to scale into and to copy from, new for each
        picture, would cost 15.
        """
        if self._picture is None:
            return
        part, place = placement(self._picture.get_size(), target.get_size(), fit)
        source, destination = self._picture.subsurface(part), target.subsurface(place)
        if source.get_size() == destination.get_size():
            destination.blit(source, (0, 0))
        else:
            pygame.transform.smoothscale(source, destination.get_size(), destination)

    def draw_whole(self, target: pygame.Surface, fit: Fit) -> None:
        """Draw the picture on `target`, and black beside it."""
        self.draw_borders(target, fit)
        self.draw(target, fit)

    def draw_borders(self, target: pygame.Surface, fit: Fit) -> None:
        """Fill what the picture leaves of `target` with black: all of it before the first picture."""
        place = pygame.Rect(0, 0, 0, 0)
        if self._picture is not None:
            place = placement(self._picture.get_size(), target.get_size(), fit)[1]
        width, height = target.get_size()
        target.fill((0, 0, 0), (0, 0, width, place.top))
        target.fill((0, 0, 0), (0, place.bottom, width, height - place.bottom))
        target.fill((0, 0, 0), (0, place.top, place.left, place.height))
        target.fill((0, 0, 0), (place.right, place.top, width - place.right, place.height))


def placement(picture: Size, window: Size, fit: Fit) -> tuple[pygame.Rect, pygame.Rect]:
    """(the part of the picture that is seen, where it lies in the window).

    "contain" shows all of the picture and keeps its aspect. "fill" fills the window and cuts off the sides, or the top
    and the bottom, to whole pixels of the picture, so the aspect is kept to half a pixel. "stretch" fills the window
    with all of the picture, whatever the aspect.
    """
    whole, everywhere = pygame.Rect((0, 0), picture), pygame.Rect((0, 0), window)
    if fit == "stretch":
        return whole, everywhere
    ratios = window[0] / picture[0], window[1] / picture[1]
    if fit == "fill":
        seen = [min(max(round(side / max(ratios)), 1), most) for side, most in zip(window, picture, strict=True)]
        return _centred(seen, whole), everywhere
    # better a row too many than a black line
    shown = [max(ceil(side * min(ratios) - 0.01), 1) for side in picture]
    return whole, _centred(shown, everywhere)


def _centred(size: list[int], outer: pygame.Rect) -> pygame.Rect:
    inner = pygame.Rect((0, 0), size)
    inner.center = outer.center
    return inner.clamp(outer)
