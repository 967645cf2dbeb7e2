"""How a window is opened: its options, its place on a display, and whether a window manager runs. No pygame here."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Fit = Literal["contain", "fill", "stretch"]  # how the picture lies in the window
FITS: tuple[Fit, ...] = get_args(Fit)

_SUBSTRUCTURE_REDIRECT = 1 << 20  # X.h
_SDL_CENTRED = 0x2FFF0000  # SDL_WINDOWPOS_CENTERED_DISPLAY


class WindowError(ValueError):
    """The window cannot be opened as asked; the message is one line for the user."""


@dataclass(frozen=True)
class WindowOptions:
    """How to open the window.

    size: (width, height) while it is not full screen. display: counted from 0. fit: how the picture lies in the window.
    gamepad: listen to gamepads too. programme: the display that a second window fills, with nothing but the picture.
    corners: the file that keeps where its corners are pinned; None: there is no pinning.
    """

    size: tuple[int, int] = (1280, 720)
    fullscreen: bool = False
    display: int = 0
    title: str = "neverblink"
    fit: Fit = "contain"
    gamepad: bool = False
    programme: int | None = None
    corners: Path | None = None

    def __post_init__(self) -> None:
        if min(self.size) < 1 or max(self.size) > 16_384:
            raise WindowError(f"window size {self.size[0]}x{self.size[1]}: expected 1 to 16384 pixels each way")
        if self.fit not in FITS:
            raise WindowError(f"fit {self.fit!r}: expected one of {', '.join(FITS)}")


def centred_on(display: int, displays: int, option: str = "--display") -> tuple[int, int]:
    """The position that makes SDL centre a window on display number `display`, of `displays` that are connected.

    Raises WindowError, which names the option, if there is no display of that number.
    """
    if not 0 <= display < displays:
        known = "is only display 0" if displays == 1 else f"are displays 0 to {displays - 1}"
        raise WindowError(f"display {display}: there {known}; choose one with {option}")
    return _SDL_CENTRED + display, _SDL_CENTRED + display


class _Attributes(ctypes.Structure):
    """XWindowAttributes of Xlib.h."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("x", "y", "width", "height", "border_width", "depth")),
        *(("visual", ctypes.c_void_p), ("root", ctypes.c_ulong)),
        *((name, ctypes.c_int) for name in ("kind", "bit_gravity", "win_gravity", "backing_store")),
        *(("backing_planes", ctypes.c_ulong), ("backing_pixel", ctypes.c_ulong), ("save_under", ctypes.c_int)),
        *(("colormap", ctypes.c_ulong), ("map_installed", ctypes.c_int), ("map_state", ctypes.c_int)),
        *((name, ctypes.c_long) for name in ("all_event_masks", "your_event_mask", "do_not_propagate_mask")),
        *(("override_redirect", ctypes.c_int), ("screen", ctypes.c_void_p)),
    )


def has_window_manager() -> bool:
    """Whether a window manager runs on the X display: without one, nobody answers a request for full screen.

    True where that cannot be found out, so that the usual request is made.
    """
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return True
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XDefaultRootWindow.restype = ctypes.c_ulong
    address = x11.XOpenDisplay(None)
    if not address:
        return True
    connection = ctypes.c_void_p(address)
    root, found = ctypes.c_ulong(x11.XDefaultRootWindow(connection)), _Attributes()
    x11.XGetWindowAttributes(connection, root, ctypes.byref(found))
    x11.XCloseDisplay(connection)
    # selecting this event is what makes a client the window manager; the properties that announce a manager outlive it
    return bool(found.all_event_masks & _SUBSTRUCTURE_REDIRECT)
