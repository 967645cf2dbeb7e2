"""How alike two pictures are: in their colours, and in where what lies."""

from __future__ import annotations

import numpy as np

LEVELS = 4  # of each channel: 64 colours in all
CELL = 8  # pixels: correlated are means over such squares, so that a small movement counts little


def shared_colours(one: np.ndarray, other: np.ndarray) -> float:
    """The share of two pictures uint8 [Y, X, 3] that has the same colours, wherever they lie: 0 to 1."""
    shares = [np.bincount(_colours(picture), minlength=LEVELS**3) / picture[..., 0].size for picture in (one, other)]
    return float(np.minimum(*shares).sum())


def layout_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two grey pictures of uint8 [Y, X, 3], cell by cell: -1 to 1; 0 where one of them is even."""
    first, second = (_grey_cells(picture) for picture in (one, other))
    power = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / power if power > 1e-6 else 0.0


def _colours(picture: np.ndarray) -> np.ndarray:
    """The number of each pixel's colour, [Y * X]."""
    red, green, blue = np.moveaxis(picture.astype(np.int64) * LEVELS // 256, -1, 0).reshape(3, -1)
    return (red * LEVELS + green) * LEVELS + blue


def _grey_cells(picture: np.ndarray) -> np.ndarray:
    """Mean brightness of each cell, [Y / CELL, X / CELL], less the mean of all."""
    height, width = (size // CELL * CELL for size in picture.shape[:2])
    grey = picture[:height, :width].astype(np.float64) @ (0.299, 0.587, 0.114)
    cells = grey.reshape(height // CELL, CELL, width // CELL, CELL).mean((1, 3))
    return cells - cells.mean()
