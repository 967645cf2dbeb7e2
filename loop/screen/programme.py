"""The programme: what the audience sees, and never anything but the picture."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pygame

from loop.screen.canvas import Canvas
from loop.screen.display import Fit, centred_on, has_window_manager
from loop.screen.pinning.projection import Projection


@dataclass(frozen=True)
class _Shown:
    picture: int  # 0: black
    size: tuple[int, int]
    fit: Fit
    projection: object


class Programme:
    """A window without a border that fills a display. Owned by the operator's window. Raises WindowError.

    display: counted from 0, of those whose sizes are `displays`. projection: how the picture lies on it.
    """

    def __init__(self, display: int, displays: list[tuple[int, int]], projection: Projection) -> None:
        position = centred_on(display, len(displays), "--programme")
        # it must stay where it is when the operator's window gets the keyboard
        os.environ.setdefault("SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS", "0")
        self._window = pygame.Window("neverblink programme", displays[display], position, borderless=True)
        if pygame.display.get_driver() != "x11" or has_window_manager():
            self._window.set_fullscreen(desktop=True)
        self._projection = projection
        self._shown: _Shown | None = None

    @property
    def surface(self) -> pygame.Surface:
        """What it is drawn on."""
        return self._window.get_surface()

    @property
    def shown(self) -> object:
        """What it shows: another one after each flip."""
        return self._shown

    def damaged(self) -> None:
        """The system may have lost what the window held: it is drawn again with the next `show`."""
        self._shown = None

    def show(self, canvas: Canvas, fit: Fit, blackout: bool) -> None:
        """Show the newest picture of `canvas`, or black; flips only if that changes anything."""
        target = self._window.get_surface()
        projection = self._projection.prepare(target.get_size())
        wanted = _Shown(0 if blackout else canvas.count, target.get_size(), fit, projection)
        if wanted == self._shown:
            return
        if wanted.picture == 0:
            target.fill((0, 0, 0))
        else:
            self._projection.draw(target, lambda surface: canvas.draw_whole(surface, fit))
        self._window.flip()
        self._shown = wanted

    def close(self) -> None:
        self._window.destroy()
