"""What the engine shows frames on: the window (window.py), or nothing at all (`--headless`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Screen(Protocol):
    """A place for pictures that gives back what was pressed on it."""

    def poll(self) -> list[tuple[Any, int]]:
        """Gestures (input.keys) with the time at which each left the window system."""

    def wait(self, timeout_s: float) -> None:
        """Wait at most this long, or until there is something to poll."""

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Any], blackout: bool = False) -> int:
        """Show uint8 [Y, X, 3] (None: the last picture again) under `overlay`; the time at which the flip returned."""

    def close(self) -> None:
        """Give the screen back."""


class Headless:
    """No screen: the engine runs as ever, and its flips are only moments."""

    size = (1280, 720)

    def poll(self) -> list[tuple[Any, int]]:
        return []

    def wait(self, timeout_s: float) -> None:
        time.sleep(timeout_s)

    def show(self, pixels: np.ndarray | None, overlay: Sequence[Any], blackout: bool = False) -> int:
        return time.perf_counter_ns()

    def close(self) -> None:
        pass
