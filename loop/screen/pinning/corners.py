"""Where the corners of the picture lie on the display, the projection that follows, and the file that keeps them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

Point = tuple[float, float]  # shares of the width and the height of the display, from its top left

_LEAST_TURN = 0.002  # of two edges that meet, as the area of their parallelogram: less is hardly a corner
_HEADER = "# Where the corners of the picture lie on the display, in shares of its width and height."


class CornerError(ValueError):
    """A file of corners cannot be used. The message is one line for the user and names the file."""


@dataclass(frozen=True)
class Corners:
    """The corners of the picture on the display.

    Raises ValueError unless they lie on the display and make a quadrilateral that bulges everywhere: no other is the
    picture of a rectangle.
    """

    top_left: Point = (0.0, 0.0)
    top_right: Point = (1.0, 0.0)
    bottom_right: Point = (1.0, 1.0)
    bottom_left: Point = (0.0, 1.0)

    def __post_init__(self) -> None:
        for name, point in asdict(self).items():
            if not all(math.isfinite(share) and 0 <= share <= 1 for share in point):
                raise ValueError(f"{name} is {list(point)}: expected two numbers from 0 to 1")
        around = (*self.points, self.top_left, self.top_right)
        edges = [(x - from_x, y - from_y) for (from_x, from_y), (x, y) in pairwise(around)]
        if min(x * next_y - y * next_x for (x, y), (next_x, next_y) in pairwise(edges)) < _LEAST_TURN:
            raise ValueError("the corners make no frame: expected them clockwise, each bulging outwards")

    @property
    def points(self) -> tuple[Point, Point, Point, Point]:
        """Clockwise from the top left."""
        return self.top_left, self.top_right, self.bottom_right, self.bottom_left

    @property
    def are_straight(self) -> bool:
        """Whether the picture fills the display, as it does without any pinning."""
        return self == Corners()

    def moved(self, number: int, point: Point) -> Corners:
        """With corner `number` at `point`, or at the nearest place on the display; unchanged if that is impossible."""
        points = list(self.points)
        points[number] = (min(max(point[0], 0.0), 1.0), min(max(point[1], 0.0), 1.0))
        try:
            return Corners(*points)
        except ValueError:
            return self

    def homography(self) -> np.ndarray:
        """The projection that brings the unit square to the corners, float64 [3, 3], for columns (x, y, 1).

        P. Heckbert, Fundamentals of Texture Mapping and Image Warping, 1989, section 2.2.3.
        """
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = self.points
        # lines that are parallel in the picture meet at (g, h); both are 0 for a parallelogram
        right, below = (x1 - x2, y1 - y2), (x3 - x2, y3 - y2)
        rest = (x0 - x1 + x2 - x3, y0 - y1 + y2 - y3)
        area = right[0] * below[1] - below[0] * right[1]
        g = (rest[0] * below[1] - below[0] * rest[1]) / area
        h = (right[0] * rest[1] - rest[0] * right[1]) / area
        return np.array(
            [[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1.0]]
        )


def projected(homography: np.ndarray, points: Sequence[Point]) -> list[Point]:
    """Where a projection brings these points."""
    x, y, w = homography @ np.array([(*point, 1.0) for point in points]).T
    return list(zip((x / w).tolist(), (y / w).tolist(), strict=True))


def read_corners(path: Path) -> Corners:
    """The corners in a file, straight ones if it does not exist; raises CornerError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Corners()
    except (OSError, UnicodeDecodeError) as error:
        raise CornerError(f"corners {path} cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}") from None
    try:
        return _corners_of(_toml().loads(text))
    except ValueError as error:
        raise CornerError(f"corners {path}: {error}") from None


def write_corners(path: Path, corners: Corners) -> None:
    """Write the file as a whole, so that a crash leaves the old one; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} = [{x:.6g}, {y:.6g}]" for name, (x, y) in asdict(corners).items()]
    temporary = path.with_name(path.name + ".new")
    temporary.write_text("\n".join([_HEADER, *lines, ""]), encoding="utf-8")
    os.replace(temporary, path)


def _toml() -> Any:
    try:
        return import_module("tomllib")
    except ImportError:  # Python 3.10
        raise ValueError("such files need Python 3.11 or newer") from None


def _corners_of(table: dict[str, Any]) -> Corners:
    names = [field.name for field in fields(Corners)]
    if sorted(table) != sorted(names):
        raise ValueError(f"got {', '.join(sorted(table)) or 'nothing'}: expected {', '.join(names)}")
    return Corners(**{name: _point(name, table[name]) for name in names})


def _point(name: str, value: Any) -> Point:
    is_pair = isinstance(value, list) and len(value) == 2
    if not is_pair or not all(isinstance(share, int | float) and not isinstance(share, bool) for share in value):
        raise ValueError(f"{name} is {value!r}: expected two numbers from 0 to 1")
    return float(value[0]), float(value[1])
