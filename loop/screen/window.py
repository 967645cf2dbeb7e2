"""The window of a show: it gives out gestures and takes pictures and marks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pygame

from input.gesture import Closed, Composing, Gesture, KeyDown, KeyUp, Pasted, Resized, Text, key_name
from loop.screen.canvas import Canvas
from loop.screen.clip.clipboard import ClipboardReader
from loop.screen.clip.x11_clipboard import read_x11_clipboard
from loop.screen.display import FITS, Fit, WindowError, WindowOptions, centred_on, has_window_manager
from loop.screen.gamepad import Gamepads
from loop.screen.marks import Caret, Mark
from loop.screen.painter import Painter, rounded_panel
from loop.screen.programme import Programme

_WAIT_MS = 2  # some video drivers look for input only when a wait begins, so a long wait would be late to see it
# after these the system may have lost what the window held, so it is drawn and flipped again
_DAMAGES = (
    pygame.WINDOWSIZECHANGED,
    pygame.WINDOWEXPOSED,
    pygame.WINDOWSHOWN,
    pygame.WINDOWRESTORED,
    pygame.WINDOWDISPLAYCHANGED,
)
_MODS = {"shift": pygame.KMOD_SHIFT, "ctrl": pygame.KMOD_CTRL, "alt": pygame.KMOD_ALT, "meta": pygame.KMOD_META}


@dataclass(frozen=True)
class _Drawn:
    """What the window shows: the number of the picture (0: black), what lies over it, and how it lies in the window."""

    picture: int
    overlay: tuple[Mark, ...]
    size: tuple[int, int]
    fit: Fit


class Window:
    """The window of a show, the operator's if there is a programme too: a `Screen` for the main thread.

    Raises WindowError if it cannot be opened.

    fit: how the picture lies in the window; `next_fit` changes it.
    """

    def __init__(self, options: WindowOptions) -> None:
        # first, so that on a single display the operator's window lies before it
        self._programme = Programme(options.programme, displays()) if options.programme is not None else None
        self._window = _open(options)
        self._pending: list[tuple[Gesture, int]] = []
        self._clipboard = ClipboardReader(read_x11_clipboard)
        self._keys_down: set[str] = set()
        self._canvas = Canvas()
        self._painter = Painter()
        self._drawn: _Drawn | None = None  # what is on the screen; None: unknown, so the next `show` draws it
        self._composition: pygame.Rect | None = None
        self.is_fullscreen = False
        self.fit = options.fit
        self._display = options.display
        self._windowed_place = self._window.size, self._window.position  # to return to from full screen
        self._gamepads = Gamepads() if options.gamepad else None
        if options.fullscreen:
            self.toggle_fullscreen()
        self.stop_text()

    @property
    def has_programme(self) -> bool:
        """Whether the audience looks at another window, so that this one is the operator's alone."""
        return self._programme is not None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in drawable pixels, which on a HiDPI display are more than the system's points."""
        return self._window.get_surface().get_size()

    def poll(self) -> list[tuple[Gesture, int]]:
        """Gestures since the last call, each with the time (perf_counter_ns) at which it left the window system."""
        for event in pygame.event.get():
            self._keep(event, time.perf_counter_ns())
        if (pasted := self._clipboard.answer()) is not None:
            self._pending.append((Pasted(pasted), time.perf_counter_ns()))
        gestures, self._pending = self._pending, []
        return gestures

    def wait(self, timeout_s: float) -> None:
        """Wait until there is a gesture to poll, for at most `timeout_s`."""
        deadline = time.perf_counter() + timeout_s
        while not self._pending and (left_s := deadline - time.perf_counter()) > 0:
            if left_s < 0.001:  # the system's event wait counts whole milliseconds
                time.sleep(left_s)
            else:
                self._keep(pygame.event.wait(min(_WAIT_MS, int(left_s * 1000))), time.perf_counter_ns())

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Mark] = (), blackout: bool = False) -> int:
        """Show a picture under `overlay`; returns the time (perf_counter_ns) at which the flip returned.

        If the screen shows exactly this already, nothing is flipped, and the time is that of the call. pixels: uint8
        [Y, X, 3] RGB, scaled to the window and copied; None shows the last picture again (black before the first).
        blackout: black instead of the picture; the overlay is still drawn. With a programme, its flip counts.
        """
        target = self._window.get_surface()
        if pixels is not None:
            self._canvas.put(pixels, target)
        shown_ns = None
        if self._programme:
            self._programme.show(self._canvas, self.fit, blackout)
            shown_ns = time.perf_counter_ns()
        is_black = blackout and not self.has_programme  # the operator goes on seeing what will be shown
        wanted = _Drawn(0 if is_black else self._canvas.count, tuple(overlay), target.get_size(), self.fit)
        if wanted != self._drawn:
            self._draw(wanted, target)
            self._window.flip()
            self._drawn = wanted
        return shown_ns or time.perf_counter_ns()

    def next_fit(self) -> None:
        """Lay the picture into the window in the next of the ways that there are."""
        self.fit = FITS[(FITS.index(self.fit) + 1) % len(FITS)]

    def toggle_fullscreen(self) -> None:
        """Fill the display that the window is on, or go back to a window; in full screen the pointer is hidden."""
        self.is_fullscreen = not self.is_fullscreen
        if pygame.display.get_driver() == "x11" and not has_window_manager():
            self._toggle_unmanaged()
        elif self.is_fullscreen:
            self._window.set_fullscreen(desktop=True)
        else:
            self._window.set_windowed()
        pygame.mouse.set_visible(not self.is_fullscreen)
        self._drawn = None

    def start_text(self) -> None:
        """From now on keys also produce Text and Composing, through the input method if there is one."""
        pygame.key.start_text_input()

    def stop_text(self) -> None:
        """From now on keys produce only KeyDown and KeyUp; an input method no longer sees them."""
        pygame.key.stop_text_input()

    def set_composition_rect(self, x: int, y: int, w: int, h: int) -> None:
        """Tell the input method where the caret is, in drawable pixels."""
        points = self._window.size[0] / self.size[0]
        rect = pygame.Rect([round(n * points) for n in (x, y, w, h)])
        if rect != self._composition:  # each call is a message to another process
            self._composition = rect
            pygame.key.set_text_input_rect(rect)

    def ask_clipboard(self) -> None:
        """Ask for the text of the system's clipboard, which comes as Pasted, empty if there is none."""
        if pygame.display.get_driver() == "x11":
            self._clipboard.ask()
        else:  # elsewhere the system keeps the text itself, or gives it only to the window that has the keyboard
            self._pending.append((Pasted(pygame.scrap.get_text()), time.perf_counter_ns()))

    def measure(self, text: str, size: int) -> int:
        """The width of `text` in pixels when drawn `size` pixels high; `overlay.layout` needs it."""
        return self._painter.measure(text, size)

    def close(self) -> None:
        """Close the window and shut down pygame's display and fonts."""
        if self._programme:
            self._programme.close()
        self._window.destroy()
        pygame.font.quit()
        pygame.display.quit()

    def _toggle_unmanaged(self) -> None:
        """Full screen without a window manager: the window has no frame, so it is made as large as the display."""
        if self.is_fullscreen:
            self._windowed_place = self._window.size, self._window.position
            self._window.size = displays()[self._display]
            self._window.position = centred_on(self._display, len(displays()))
        else:
            self._window.size, self._window.position = self._windowed_place

    def _keep(self, event: pygame.Event, t_ns: int) -> None:
        """Keep the gesture that `event` stands for, if any, until the next poll."""
        if event.type in _DAMAGES:
            self._drawn = None
            if self._programme:
                self._programme.damaged()
        if self._gamepads:
            self._pending += [(move, t_ns) for move in self._gamepads.moves(event)]
        if event.type == pygame.WINDOWCLOSE and self._programme:  # of two windows: no QUIT comes for one of them
            self._pending.append((Closed(), t_ns))
        elif event.type == pygame.WINDOWSIZECHANGED:
            self._pending.append((Resized(*self.size), t_ns))
        elif (gesture := _gesture(event, self._keys_down)) is not None:
            self._pending.append((gesture, t_ns))

    def _draw(self, wanted: _Drawn, target: pygame.Surface) -> None:
        """Draw picture and overlay on the window's surface, and beside the picture black where it may be missing."""
        if wanted.picture == 0:
            target.fill((0, 0, 0))
        else:
            if self._may_lack_borders(wanted):
                self._canvas.draw_borders(target, wanted.fit)
            self._canvas.draw(target, wanted.fit)
        for mark in wanted.overlay:
            self._painter.draw(target, mark)
            if isinstance(mark, Caret):
                self.set_composition_rect(mark.x, mark.y, mark.w, mark.h)

    def _may_lack_borders(self, wanted: _Drawn) -> bool:
        """False if only the picture has changed, with nothing over it, so that the borders are still black."""
        before = self._drawn
        return before is None or before.picture == 0 or before.overlay != () or _place(before) != _place(wanted)


def _place(drawn: _Drawn) -> tuple[tuple[int, int], Fit]:
    return drawn.size, drawn.fit


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


def _open(options: WindowOptions) -> pygame.Window:
    position = centred_on(options.display, len(displays()))
    window = pygame.Window(options.title, options.size, position, resizable=True, allow_high_dpi=True)
    window.minimum_size = (160, 90)
    icon = rounded_panel(64, 64, 1.0, 14)
    pygame.draw.circle(icon, (246, 246, 248), (32, 32), 22, 11)
    window.set_icon(icon)
    return window


def _gesture(event: pygame.Event, keys_down: set[str]) -> Gesture | None:
    """The gesture that a pygame event stands for; None if it means nothing to us. Keeps `keys_down` up to date."""
    if event.type in (pygame.KEYDOWN, pygame.KEYUP):
        key = key_name(pygame.key.name(event.key, use_compat=False), event.scancode)
        is_repeat = key in keys_down
        (keys_down.add if event.type == pygame.KEYDOWN else keys_down.discard)(key)
        mods = frozenset(name for name, mask in _MODS.items() if event.mod & mask)
        return KeyDown(key, mods, is_repeat) if event.type == pygame.KEYDOWN else KeyUp(key)
    if event.type == pygame.TEXTINPUT:
        return Text(event.text)
    if event.type == pygame.TEXTEDITING:
        return Composing(event.text, event.start)
    return Closed() if event.type == pygame.QUIT else None
