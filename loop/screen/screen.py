"""Where the engine shows its frames: in a window (window.py), or nowhere with `--headless`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from input.gesture import Gesture
from loop.screen.marks import Mark


class Screen(Protocol):
    """Shows pictures and reports what was pressed. Used from the main thread only."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in drawable pixels."""

    def poll(self) -> list[tuple[Gesture, int]]:
        """Gestures since the last call, each with the time (perf_counter_ns) at which it left the window system."""

    def wait(self, timeout_s: float) -> None:
        """Wait until there is a gesture to poll, for at most `timeout_s`."""

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Mark], blackout: bool = False) -> int:
        """Show a picture under `overlay`; returns the time (perf_counter_ns) at which the flip returned.

        If the screen shows exactly this already, nothing is flipped, and the time is that of the call. pixels: uint8
        [Y, X, 3] RGB; None shows the last picture again.
        """

    def close(self) -> None:
        """Close the window, if there is one."""


class Headless:
    """A screen that shows nothing: no gesture ever comes, and `show` only reads the clock."""

    size = (1280, 720)

    def poll(self) -> list[tuple[Gesture, int]]:
        return []

    def wait(self, timeout_s: float) -> None:
        time.sleep(timeout_s)

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Mark], blackout: bool = False) -> int:
        return time.perf_counter_ns()

    def close(self) -> None:
        pass
