"""Taps: the samples themselves, for who records them. The driver's thread hands them over without ever waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

MOST_KEPT = 1000  # blocks, about ten seconds: while nobody takes them, the oldest give way

SampleBlock = tuple[np.ndarray, int, float]  # float32 [n, channels]; when its last sample was recorded (ns); its rate


class SampleTap:
    """A ring of blocks of samples, filled by the driver's thread and emptied by one other.

    rate_hz, channels: of the device when the tap was opened; a device that comes back may have others.
    """

    def __init__(self, rate_hz: float, channels: int, close: Callable[[SampleTap], None]) -> None:
        self.rate_hz, self.channels = rate_hz, channels
        self._blocks: deque[SampleBlock] = deque(maxlen=MOST_KEPT)
        self._close = close

    def put(self, block: SampleBlock) -> None:
        """Add the newest block."""
        self._blocks.append(block)

    def take(self) -> list[SampleBlock]:
        """The blocks that came since the last call, oldest first."""
        blocks = []
        while self._blocks:
            blocks.append(self._blocks.popleft())
        return blocks

    def close(self) -> None:
        """Want no more samples."""
        self._close(self)
