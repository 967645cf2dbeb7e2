"""The mouse: it belongs to the operator's window, clicks what can be clicked there, and drags pinned corners."""

from __future__ import annotations

from collections.abc import Sequence

import pygame

from input.gesture import Clicked
from loop.screen.marks import Mark, Spot
from loop.screen.pinning.pinning import Pinning

_LEFT = 1  # button


class Pointer:
    """What the mouse does over `window`; over every other window of the show it is hidden. Owned by the window."""

    def __init__(self, window: pygame.Window, pinning: Pinning) -> None:
        self._window, self._pinning = window, pinning
        self._is_here = self._is_visible = True

    def show(self, is_wanted: bool) -> None:
        """Show it if it is wanted over the window, and is there."""
        is_visible = is_wanted and self._is_here
        if is_visible != self._is_visible:
            self._is_visible = is_visible
            pygame.mouse.set_visible(is_visible)

    def move(self, event: pygame.Event, display: pygame.Rect, overlay: Sequence[Mark]) -> Clicked | None:
        """What an event of the mouse asks for, if it is one and asks for anything.

        display: where the display whose corners are pinned is seen in the window. overlay: the marks in it; both in
        drawable pixels.
        """
        if event.type in (pygame.WINDOWENTER, pygame.WINDOWLEAVE):
            self._is_here = (event.type == pygame.WINDOWENTER) == (event.window is self._window)
        if event.type == pygame.MOUSEBUTTONUP:
            self._pinning.release()  # wherever that was
        if event.type not in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEMOTION) or event.window is not self._window:
            return None
        pixels = self._window.get_surface().get_size()[0] / self._window.size[0]
        at = event.pos[0] * pixels, event.pos[1] * pixels
        share = (at[0] - display.x) / display.w, (at[1] - display.y) / display.h
        if event.type == pygame.MOUSEMOTION:
            self._pinning.drag(share)
        elif event.button == _LEFT and self._pinning.is_on:
            self._pinning.grab(share)
        elif event.button == _LEFT:
            return _clicked(overlay, *at)
        return None


def _clicked(overlay: Sequence[Mark], x: float, y: float) -> Clicked:
    spots = [mark for mark in overlay if isinstance(mark, Spot)]
    hit = [spot for spot in spots if 0 <= x - spot.x < spot.w and 0 <= y - spot.y < spot.h]
    return Clicked(hit[-1].action if hit else None)
