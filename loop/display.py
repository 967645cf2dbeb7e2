"""Which display a window opens on and who manages windows there, without a window system's library."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass


class WindowError(ValueError):
    """The window cannot be opened as asked; the message is one line for the user."""


@dataclass(frozen=True)
class WindowOptions:
    """How to open the window. size: (width, height) when not full screen; display: counted from 0."""

    size: tuple[int, int] = (1280, 720)
    fullscreen: bool = False
    display: int = 0
    title: str = "neverblink"

    def __post_init__(self) -> None:
        if min(self.size) < 1 or max(self.size) > 16_384:
            raise WindowError(f"window size {self.size[0]}x{self.size[1]}: expected 1 to 16384 pixels each way")


def has_window_manager() -> bool:
    """Whether the X display is managed: full screen is a wish to the manager, and without one nobody grants it.

    True where it cannot be told, so that the usual way is tried.
    """
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return True
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        return True
    try:
        return _root_names_a_manager(x11, display)
    finally:
        x11.XCloseDisplay(display)


def _root_names_a_manager(x11: ctypes.CDLL, display: ctypes.c_void_p) -> bool:
    """Whether the root window has the property by which managers make themselves known (EWMH)."""
    x11.XDefaultRootWindow.restype = x11.XInternAtom.restype = ctypes.c_ulong
    root = ctypes.c_ulong(x11.XDefaultRootWindow(display))
    name = ctypes.c_ulong(x11.XInternAtom(display, b"_NET_SUPPORTING_WM_CHECK", False))
    count = ctypes.c_int()
    x11.XListProperties.restype = ctypes.POINTER(ctypes.c_ulong)
    names = x11.XListProperties(display, root, ctypes.byref(count))
    is_named = name.value in names[: count.value]
    if names:
        x11.XFree(names)
    return is_named
