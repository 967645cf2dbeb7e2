"""The picture in a window: copied once, scaled once for each size of the window."""

from __future__ import annotations

from math import ceil

import numpy as np
import pygame


class Canvas:
    """Holds the newest picture, in its own size and in the window's. Owned by the window."""

    def __init__(self) -> None:
        self.count = 0  # pictures put so far
        self._picture: pygame.Surface | None = None
        self._scaled: pygame.Surface | None = None

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
        self._scaled = None
        self.count += 1

    def draw(self, target: pygame.Surface, blackout: bool) -> None:
        """Draw the picture in the middle of `target`, its aspect kept, with black around it.

        Everything is black before the first picture and during a blackout.
        """
        target.fill((0, 0, 0))
        if self._picture is None or blackout:
            return
        width, height = self._picture.get_size()
        scale = min(target.get_width() / width, target.get_height() / height)
        size = ceil(width * scale - 0.01), ceil(height * scale - 0.01)  # better a row too many than a black line
        if self._scaled is None or self._scaled.get_size() != size:
            is_same = self._picture.get_size() == size
            self._scaled = self._picture if is_same else pygame.transform.smoothscale(self._picture, size)
        target.blit(self._scaled, self._scaled.get_rect(center=target.get_rect().center))
