"""The window of a show: it gives out gestures and takes pictures and marks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pygame

from input.gesture import Closed, Composing, Gesture, KeyDown, KeyUp, Pasted, Resized, Text, key_name
from loop.screen.canvas import Canvas, placement
from loop.screen.clip.clipboard import ClipboardReader
from loop.screen.clip.x11_clipboard import read_x11_clipboard
from loop.screen.display import FITS, Fit, WindowError, WindowOptions, centred_on, has_window_manager
from loop.screen.gamepad import Gamepads
from loop.screen.marks import Caret, Mark
from loop.screen.opening import displays, open_window
from loop.screen.painter import Painter
from loop.screen.pinning.corners import CornerError
from loop.screen.pinning.pinning import Pinning
from loop.screen.pinning.projection import Projection
from loop.screen.pointer import Pointer
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
    """What the window shows: the number of the picture (0: black), what lies over it, and how it lies in the window.

    projection: how its corners are pinned, or while they are being pinned in the programme, what that shows.
    """

    picture: int
    overlay: tuple[Mark, ...]
    size: tuple[int, int]
    fit: Fit
    projection: object


class Window:
    """The window of a show, the operator's if there is a programme too: a `Screen` for the main thread.

    Raises WindowError if it cannot be opened.

    fit: how the picture lies in the window; `next_fit` changes it. pinning: the corners that the audience sees.
    """

    def __init__(self, options: WindowOptions) -> None:
        self.pinning = _pinning(options)
        self._projection = Projection(self.pinning)
        # first, so that on a single display the operator's window lies before it
        self._programme = (
            None if options.programme is None else Programme(options.programme, displays(), self._projection)
        )
        self._window = open_window(options)
        self._pointer = Pointer(self._window, self.pinning)
        self._pending: list[tuple[Gesture, int]] = []
        self._clipboard = ClipboardReader(read_x11_clipboard)
        self._keys_down: set[str] = set()
        self._canvas = Canvas()
        self._painter = Painter()
        self._drawn: _Drawn | None = None  # what is on the screen; None: unknown, so the next `show` draws it
        self._composition: pygame.Rect | None = None
        self.is_fullscreen = self._is_typing = False
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
        picture = 0 if is_black else self._canvas.count
        wanted = _Drawn(picture, tuple(overlay), target.get_size(), self.fit, self._projected(target.get_size()))
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
        self._show_pointer()
        self._drawn = None

    def toggle_pinning(self) -> None:
        """Begin to move the corners of the picture that the audience sees, or keep them where they are."""
        self.pinning.toggle()
        self._show_pointer()

    def start_text(self) -> None:
        """From now on keys also produce Text and Composing, through the input method if there is one."""
        self._is_typing = True
        pygame.key.start_text_input()

    def stop_text(self) -> None:
        """From now on keys produce only KeyDown and KeyUp; an input method no longer sees them."""
        self._is_typing = False
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
        overlay = self._drawn.overlay if self._drawn else ()
        if (click := self._pointer.move(event, self._pinned_place(), overlay)) is not None:
            self._pending.append((click, t_ns))
        self._show_pointer()
        if self._gamepads:
            self._pending += [(move, t_ns) for move in self._gamepads.moves(event)]
        if event.type == pygame.WINDOWCLOSE and self._programme:  # of two windows: no QUIT comes for one of them
            self._pending.append((Closed(), t_ns))
        elif event.type == pygame.WINDOWSIZECHANGED:
            self._pending.append((Resized(*self.size), t_ns))
        elif (gesture := _gesture(event, self._keys_down)) is not None and not self._pins(gesture):
            self._pending.append((gesture, t_ns))

    def _pins(self, gesture: Gesture) -> bool:
        """Whether a key was meant for the corners, and not for the prompt line or the show; then they have moved."""
        if self._is_typing or not isinstance(gesture, KeyDown):
            return False
        return self.pinning.press(gesture, self._audience_size())

    def _audience_size(self) -> tuple[int, int]:
        """(width, height) of what the audience sees, in drawable pixels."""
        return self._programme.surface.get_size() if self._programme else self.size

    def _pinned_place(self) -> pygame.Rect:
        """Where in this window the display lies whose corners are pinned."""
        return placement(self._audience_size(), self.size, "contain")[1]

    def _show_pointer(self) -> None:
        """Over a full screen that the audience sees the pointer is hidden, but for pinning."""
        self._pointer.show(not self.is_fullscreen or self.has_programme or self.pinning.is_on)

    def _projected(self, size: tuple[int, int]) -> object:
        if self._programme:
            return self._programme.shown if self.pinning.is_on else None
        return self._projection.prepare(size)

    def _draw(self, wanted: _Drawn, target: pygame.Surface) -> None:
        """Draw picture and overlay on the window's surface."""
        if wanted.picture == 0:
            target.fill((0, 0, 0))
        elif self._programme is None:
            self._projection.draw(target, lambda surface: self._canvas.draw_whole(surface, wanted.fit))
        elif self.pinning.is_on:
            target.fill((0, 0, 0))
            place = target.subsurface(self._pinned_place())
            pygame.transform.smoothscale(self._programme.surface, place.get_size(), place)
        else:
            self._canvas.draw_whole(target, wanted.fit)
        for mark in wanted.overlay:
            self._painter.draw(target, mark)
            if isinstance(mark, Caret):
                self.set_composition_rect(mark.x, mark.y, mark.w, mark.h)


def _pinning(options: WindowOptions) -> Pinning:
    try:
        return Pinning(options.corners)
    except CornerError as error:
        raise WindowError(str(error)) from None


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
