"""The window: the only file that knows pygame. Gestures out, pictures and marks in."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import product
from math import ceil

import numpy as np

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would print into the output of every command
os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "neverblink")  # the import sets it too: to the name of the script

import pygame

from input.gesture import Closed, Composing, Gesture, KeyDown, KeyUp, Resized, Text, key_name
from loop.screen.display import WindowError, WindowOptions, has_window_manager, middle_of
from loop.screen.fonts import Fonts
from loop.screen.overlay import Bar, Caret, Color, Label, Mark, Panel

_SLICE_MS = 2  # drivers without a descriptor to wait on look for input only between two waits
_MODS = {"shift": pygame.KMOD_SHIFT, "ctrl": pygame.KMOD_CTRL, "alt": pygame.KMOD_ALT, "meta": pygame.KMOD_META}


class Window:
    """The one window of a show. Lives in the main thread; raises WindowError when it cannot open."""

    def __init__(self, options: WindowOptions) -> None:
        self._window = _open(options)
        self._pending: list[tuple[Gesture, int]] = []
        self._down: set[str] = set()
        self._canvas = _Canvas()
        self._ink = _Ink()
        self._drawn: object = None  # what the window holds, so that an unchanged picture is only flipped
        self._composition: pygame.Rect | None = None
        self.is_fullscreen = False
        self._display = options.display
        self._place = self._window.size, self._window.position  # to come back to from full screen
        if options.fullscreen:
            self.toggle_fullscreen()
        self.stop_text()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in drawable pixels, which on a HiDPI display are more than the system's points."""
        return self._window.get_surface().get_size()

    def poll(self) -> list[tuple[Gesture, int]]:
        """Gestures since the last call, each with the time (perf_counter_ns) at which it left the window system."""
        for event in pygame.event.get():
            self._keep(event, time.perf_counter_ns())
        gestures, self._pending = self._pending, []
        return gestures

    def wait(self, timeout_s: float) -> None:
        """Return when there is a gesture to poll, at the latest after `timeout_s`."""
        deadline = time.perf_counter() + timeout_s
        while not self._pending and (left_s := deadline - time.perf_counter()) > 0:
            if left_s < 0.001:  # the system's event wait counts whole milliseconds
                time.sleep(left_s)
            else:
                self._keep(pygame.event.wait(min(_SLICE_MS, int(left_s * 1000))), time.perf_counter_ns())

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Mark] = (), blackout: bool = False) -> int:
        """Show a picture under `overlay` and return the time (perf_counter_ns) at which the flip returned.

        pixels: uint8 [Y, X, 3] RGB, scaled to the window with its aspect kept; None is the last picture again (black
        before the first). Nothing of it is referenced after the return. blackout: black instead of the picture.
        """
        if pixels is not None:
            self._canvas.take(pixels, self._window.get_surface())
        self._draw(tuple(overlay), blackout)
        self._window.flip()
        return time.perf_counter_ns()

    def toggle_fullscreen(self) -> None:
        """To the whole of the display the window is on, or back; the pointer is hidden there."""
        self.is_fullscreen = not self.is_fullscreen
        if pygame.display.get_driver() == "x11" and not has_window_manager():
            self._fill_display()
        elif self.is_fullscreen:
            self._window.set_fullscreen(desktop=True)
        else:
            self._window.set_windowed()
        pygame.mouse.set_visible(not self.is_fullscreen)
        self._drawn = None

    def start_text(self) -> None:
        """Let keys become Text and Composing, through the input method if there is one."""
        pygame.key.start_text_input()

    def stop_text(self) -> None:
        """Let keys be keys: an input method no longer sees them."""
        pygame.key.stop_text_input()

    def set_composition_rect(self, x: int, y: int, w: int, h: int) -> None:
        """Tell the input method where the caret is, in drawable pixels."""
        points = self._window.size[0] / self.size[0]
        rect = pygame.Rect([round(n * points) for n in (x, y, w, h)])
        if rect != self._composition:  # every call goes to another process
            self._composition = rect
            pygame.key.set_text_input_rect(rect)

    def clipboard(self) -> str:
        """The text of the system's clipboard, empty when it holds none."""
        return pygame.scrap.get_text()

    def measure(self, text: str, size: int) -> int:
        """The width of `text` in pixels when drawn `size` pixels high: what `overlay.layout` asks for."""
        return self._ink.measure(text, size)

    def close(self) -> None:
        """Close the window and let go of the display."""
        self._window.destroy()
        pygame.font.quit()
        pygame.display.quit()

    def _fill_display(self) -> None:
        """Full screen without a manager: nothing frames a window, so one as large as the display covers it; or back."""
        if self.is_fullscreen:
            self._place = self._window.size, self._window.position
            self._window.size = displays()[self._display]
            self._window.position = middle_of(self._display, len(displays()))
        else:
            self._window.size, self._window.position = self._place

    def _keep(self, event: pygame.Event, t_ns: int) -> None:
        if event.type in (pygame.WINDOWSIZECHANGED, pygame.WINDOWEXPOSED):
            self._drawn = None
        if event.type == pygame.WINDOWSIZECHANGED:
            self._pending.append((Resized(*self.size), t_ns))
        elif (gesture := _gesture(event, self._down)) is not None:
            self._pending.append((gesture, t_ns))

    def _draw(self, overlay: tuple[Mark, ...], blackout: bool) -> None:
        """Bring the window's surface up to date, unless it already is."""
        target = self._window.get_surface()
        if self._drawn == (wanted := (self._canvas.count, target.get_size(), overlay, blackout)):
            return
        self._canvas.draw(target, blackout)
        for mark in overlay:
            self._ink.draw(target, mark)
            if isinstance(mark, Caret):
                self.set_composition_rect(mark.x, mark.y, mark.w, mark.h)
        self._drawn = wanted


def displays() -> list[tuple[int, int]]:
    """The size of every display, in the order in which `--display` counts them; raises WindowError without one."""
    if not pygame.display.get_init():
        _start_video()
    return pygame.display.get_desktop_sizes()


def _start_video() -> None:
    os.environ.setdefault("SDL_IME_SHOW_UI", "1")
    with suppress(pygame.error):
        pygame.display.init()
    # SDL's last resort is a driver without a screen, where a show would play and nobody see it
    is_blind = not pygame.display.get_init() or pygame.display.get_driver() == "offscreen"
    if is_blind and os.environ.get("SDL_VIDEODRIVER") != "offscreen":
        pygame.display.quit()
        raise WindowError("no display was found: set DISPLAY, or play with --headless")
    if pygame.display.get_driver() in ("x11", "windows"):
        # a plain flip costs a thirtieth of one through software OpenGL; Wayland has no plain one
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    pygame.font.init()
    pygame.display.set_allow_screensaver(False)
    pygame.key.set_repeat(400, 33)  # milliseconds: the first, then each


def _open(options: WindowOptions) -> pygame.Window:
    place = middle_of(options.display, len(displays()))
    window = pygame.Window(options.title, options.size, place, resizable=True, allow_high_dpi=True)
    window.minimum_size = (160, 90)
    icon = _panel(64, 64, 1.0, 14)
    pygame.draw.circle(icon, (246, 246, 248), (32, 32), 22, 11)
    window.set_icon(icon)
    return window


def _gesture(event: pygame.Event, down: set[str]) -> Gesture | None:
    """`event` in our words, None when it means nothing to us; `down` follows which keys are held."""
    if event.type in (pygame.KEYDOWN, pygame.KEYUP):
        key = key_name(pygame.key.name(event.key, use_compat=False), event.scancode)
        is_repeat = key in down
        (down.add if event.type == pygame.KEYDOWN else down.discard)(key)
        mods = frozenset(name for name, mask in _MODS.items() if event.mod & mask)
        return KeyDown(key, mods, is_repeat) if event.type == pygame.KEYDOWN else KeyUp(key)
    if event.type == pygame.TEXTINPUT:
        return Text(event.text)
    if event.type == pygame.TEXTEDITING:
        return Composing(event.text, event.start)
    return Closed() if event.type == pygame.QUIT else None


class _Canvas:
    """The picture, in its own size and in the window's. Owned by the window."""

    def __init__(self) -> None:
        self.count = 0  # pictures taken so far
        self._source: pygame.Surface | None = None
        self._scaled: pygame.Surface | None = None

    def take(self, pixels: np.ndarray, target: pygame.Surface) -> None:
        """Copy uint8 [Y, X, 3] RGB into the format of `target`."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"picture {pixels.dtype} {list(pixels.shape)}: expected uint8 [Y, X, 3]")
        size = pixels.shape[1], pixels.shape[0]
        if self._source is None or self._source.get_size() != size:
            self._source = pygame.Surface(size, 0, target)
        self._source.blit(pygame.image.frombuffer(np.ascontiguousarray(pixels), size, "RGB"), (0, 0))
        self._scaled = None
        self.count += 1

    def draw(self, target: pygame.Surface, blackout: bool) -> None:
        """The picture in the middle of `target` with black around it; all black without one."""
        target.fill((0, 0, 0))
        if self._source is None or blackout:
            return
        scale = min(a / b for a, b in zip(target.get_size(), self._source.get_size(), strict=True))
        size = tuple(ceil(n * scale - 0.01) for n in self._source.get_size())  # rather a row more than a black line
        if self._scaled is None or self._scaled.get_size() != size:
            is_same = self._source.get_size() == size
            self._scaled = self._source if is_same else pygame.transform.smoothscale(self._source, size)
        target.blit(self._scaled, self._scaled.get_rect(center=target.get_rect().center))


class _Ink:
    """Measures and draws the marks of an overlay. Owned by the window."""

    def __init__(self) -> None:
        self.measure = lru_cache(4096)(self._measure)
        self._type = lru_cache(128)(self._set_type)
        self._panel = lru_cache(16)(_panel)
        self._font = lru_cache(64)(pygame.font.Font)
        self._faces = Fonts(pygame.font.get_default_font(), pygame.font.match_font, self._has)

    def draw(self, target: pygame.Surface, mark: Mark) -> None:
        """Draw one mark."""
        if isinstance(mark, Label):
            drawn, baseline = self._type(mark.text, mark.size, mark.color)
            # the capitals of the bundled font are 0.73 of its size high: so they stand in the middle of it
            target.blit(drawn, (mark.x, mark.y + round(mark.size * 0.865) - baseline))
        elif isinstance(mark, Panel):
            target.blit(self._panel(mark.w, mark.h, mark.alpha, mark.radius), (mark.x, mark.y))
        elif isinstance(mark, Bar) or mark.lit:
            target.fill(mark.color, (mark.x, mark.y, mark.w, mark.h))

    def _measure(self, text: str, size: int) -> int:
        runs = self._faces.runs(text)
        return sum(round(self._font(face, 2 * size).size(piece)[0] * self._shrink(face, size)) for face, piece in runs)

    def _set_type(self, text: str, size: int, color: Color) -> tuple[pygame.Surface, int]:
        """(picture of `text` with alpha, rows from its top down to its baseline)."""
        runs = [run for run in self._faces.runs(text) if self._font(run[0], size).size(run[1])[0]]  # no lone joiners
        pieces = [self._piece(face, piece, size, color) for face, piece in runs]
        baseline = max((ascent for _, ascent in pieces), default=0)
        height = max((baseline - ascent + piece.get_height() for piece, ascent in pieces), default=0)
        whole = pygame.Surface((sum(piece.get_width() for piece, _ in pieces), height), pygame.SRCALPHA)
        x = 0
        for piece, ascent in pieces:
            whole.blit(piece, (x, baseline - ascent), special_flags=pygame.BLEND_RGBA_MAX)
            x += piece.get_width()
        return whole, baseline

    def _piece(self, face: str, text: str, size: int, color: Color) -> tuple[pygame.Surface, int]:
        font, shrink = self._font(face, 2 * size), self._shrink(face, size)
        drawn = font.render(text, True, color)
        drawn = pygame.transform.smoothscale(drawn, [round(n * shrink) for n in drawn.get_size()])
        return drawn, round(font.get_ascent() * shrink)

    def _shrink(self, face: str, size: int) -> float:
        """How much smaller than its font to draw: type set at twice its size is spaced better, emoji have one size."""
        height = self._font(face, 2 * size).get_height()
        return 0.5 if height < 4 * size else 1.2 * size / height

    def _has(self, face: str, char: str) -> bool:
        """Whether `face` draws `char`: what it lacks looks like a character that no font may have."""
        font = self._font(face, 32)
        return font.metrics(char) != font.metrics("\uffff")


def _panel(w: int, h: int, alpha: float, radius: int) -> pygame.Surface:
    """A dark ground with round corners, which are cut from a disc drawn twice as large: pygame's own are jagged."""
    ground = (10, 10, 14, round(255 * alpha))
    panel = pygame.Surface((w, h), pygame.SRCALPHA)
    panel.fill(ground)
    disc = pygame.Surface((4 * radius, 4 * radius), pygame.SRCALPHA)
    pygame.draw.circle(disc, ground, (2 * radius, 2 * radius), 2 * radius)
    disc = pygame.transform.smoothscale(disc, (2 * radius, 2 * radius))
    for x, y in product((0, radius), repeat=2):
        place = (w - radius if x else 0, h - radius if y else 0)
        panel.blit(disc, place, (x, y, radius, radius), special_flags=pygame.BLEND_RGBA_MIN)
    return panel
