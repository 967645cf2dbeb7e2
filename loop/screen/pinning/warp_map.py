"""The map of a warp: for each pixel of the display, which pixel of the straight picture it shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from loop.screen.pinning.corners import Corners

ROWS = 32  # of the map that are made at a time; at 1920 pixels a row they fit into the processor's cache


def warp_map(corners: Corners, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The map in bands of ROWS rows, intp [rows, width]: places in the rows of a picture that has a black rim.

    The picture is [height + 2, width + 2], so what lies outside of it is black without a mask. Each pixel shows the one
    in which its centre lies: where the picture of the model was scaled up smoothly before, its neighbours hardly
    differ from it. size: (width, height) of the display.
    """
    width, height = size
    to_display = np.diag([width, height, 1.0]) @ corners.homography() @ np.diag([1 / width, 1 / height, 1.0])
    inverse = np.linalg.inv(to_display)
    across = (inverse[:, :1] * (np.arange(width) + 0.5)).astype(np.float32)
    for top in range(0, height, ROWS):
        down = np.arange(top, min(top + ROWS, height)) + 0.5
        along = (inverse[:, 1:2] * down + inverse[:, 2:]).astype(np.float32)
        x, y, w = across[:, None, :] + along[:, :, None]
        w[w == 0] = np.finfo(np.float32).tiny  # a point at infinity is outside, on whichever side
        yield _place(y, w, height) * (width + 2) + _place(x, w, width)


def _place(numerator: np.ndarray, denominator: np.ndarray, most: int) -> np.ndarray:
    """The row or column of the picture with its rim: 0 and `most` + 1 are the rim."""
    with np.errstate(over="ignore"):
        at = np.floor(numerator / denominator)
    return np.clip(at, -1, most, out=at).astype(np.intp) + 1
