"""How pygame's video is started, and a window opened on a display."""

from __future__ import annotations

import os
from contextlib import suppress

import pygame

from loop.screen.display import WindowError, WindowOptions, centred_on
from loop.screen.painter import rounded_panel


def displays() -> list[tuple[int, int]]:
    """The (width, height) of every display, in the order of `--display`; raises WindowError if there is none."""
    if not pygame.display.get_init():
        _start_video()
    return pygame.display.get_desktop_sizes()


def _start_video() -> None:
    """Initialise pygame's display, fonts and key repeat; raises WindowError if there is no display."""
    os.environ.setdefault("SDL_IME_SHOW_UI", "1")
    with suppress(pygame.error):
        pygame.display.init()
    # SDL falls back to a driver without a screen, on which the show would run unseen
    is_unseen = not pygame.display.get_init() or pygame.display.get_driver() == "offscreen"
    if is_unseen and os.environ.get("SDL_VIDEODRIVER") != "offscreen":
        pygame.display.quit()
        raise WindowError("no display was found: set DISPLAY, or play with --headless")
    if pygame.display.get_driver() in ("x11", "windows"):
        # without acceleration a flip costs a thirtieth of one through software OpenGL; Wayland cannot do without
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    pygame.font.init()
    pygame.display.set_allow_screensaver(False)
    pygame.key.set_repeat(400, 33)  # ms until the first repeat, and between repeats


def open_window(options: WindowOptions) -> pygame.Window:
    """The window of a show, not yet full screen; raises WindowError."""
    position = centred_on(options.display, len(displays()))
    window = pygame.Window(options.title, options.size, position, resizable=True, allow_high_dpi=True)
    window.minimum_size = (160, 90)
    icon = rounded_panel(64, 64, 1.0, 14)
    pygame.draw.circle(icon, (246, 246, 248), (32, 32), 22, 11)
    window.set_icon(icon)
    return window
