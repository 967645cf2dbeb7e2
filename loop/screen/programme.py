"""The programme: what the audience sees, and never anything but the picture."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pygame

from loop.screen.canvas import Canvas
from loop.screen.display import Fit, centred_on, has_window_manager


@dataclass(frozen=True)
class _Shown:
    picture: int  # 0: black
    size: tuple[int, int]
    fit: Fit


class Programme:
    """A window without a border that fills a display. Owned by the operator's window. Raises WindowError.

    display: counted from 0, of those whose sizes are `displays`.
    """

    def __init__(self, display: int, displays: list[tuple[int, int]]) -> None:
        position = centred_on(display, len(displays), "--programme")
        # it must stay where it is when the operator's window gets the keyboard
        os.environ.setdefault("SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS", "0")
        self._window = pygame.Window("neverblink programme", displays[display], position, borderless=True)
        if pygame.display.get_driver() != "x11" or has_window_manager():
            self._window.set_fullscreen(desktop=True)
        self._shown: _Shown | None = None

    @property
    def surface(self) -> pygame.Surface:
        """What it is drawn on."""
        return self._window.get_surface()

    def damaged(self) -> None:
        """The system may have lost what the window held: it is drawn again with the next `show`."""
        self._shown = None

    def show(self, canvas: Canvas, fit: Fit, blackout: bool) -> None:
        """Show the newest picture of `canvas`, or black; flips only if that changes anything."""
        target = self._window.get_surface()
        wanted = _Shown(0 if blackout else canvas.count, target.get_size(), fit)
        if wanted == self._shown:
            return
        if wanted.picture == 0:
            target.fill((0, 0, 0))
        else:
            if self._shown is None or (self._shown.picture == 0) or self._shown.fit != fit:
                canvas.draw_borders(target, fit)
            canvas.draw(target, fit)
        self._window.flip()
        self._shown = wanted

    def close(self) -> None:
        self._window.destroy()
