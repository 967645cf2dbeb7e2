"""A gamepad that SDL makes up, as real to a program as one that is plugged in."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path


def loaded_sdl() -> ctypes.CDLL | None:
    """The SDL library that pygame has loaded into this process; None if it cannot be found."""
    maps = Path("/proc/self/maps")
    found = re.search(r"\S*libSDL2-2\S*", maps.read_text()) if maps.exists() else None
    sdl = ctypes.CDLL(found.group()) if found else None
    if sdl is not None:
        sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
    return sdl


class VirtualGamepad:
    """Plugged in while it exists; pressed and moved by a test. Raises OSError if SDL makes up no gamepads."""

    GAMEPAD = 1  # SDL_JOYSTICK_TYPE_GAMECONTROLLER

    def __init__(self, sdl: ctypes.CDLL, axes: int = 2, buttons: int = 4, hats: int = 1) -> None:
        self._sdl = sdl
        self._index = sdl.SDL_JoystickAttachVirtual(self.GAMEPAD, axes, buttons, hats)
        if self._index < 0:
            raise OSError("this SDL makes up no gamepads")
        self._pad = ctypes.c_void_p(sdl.SDL_JoystickOpen(self._index))

    def axis(self, number: int, value: int) -> None:
        """value: -32768 to 32767."""
        self._sdl.SDL_JoystickSetVirtualAxis(self._pad, number, ctypes.c_int16(value))

    def button(self, number: int, is_down: bool) -> None:
        self._sdl.SDL_JoystickSetVirtualButton(self._pad, number, ctypes.c_uint8(is_down))

    def hat(self, number: int, value: int) -> None:
        """value: 1 up, 2 right, 4 down, 8 left, and their sums."""
        self._sdl.SDL_JoystickSetVirtualHat(self._pad, number, ctypes.c_uint8(value))

    def unplug(self) -> None:
        self._sdl.SDL_JoystickDetachVirtual(self._index)
