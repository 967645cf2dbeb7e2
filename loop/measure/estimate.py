"""Figures with their limits: a slope that no outlier bends, and medians with bootstrapped intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 4000
Z95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % limits."""

    value: float
    low: float
    high: float

    def __format__(self, digits: str) -> str:
        return f"{self.value:{digits}} ({self.low:{digits}} to {self.high:{digits}})"


def slope(times: Sequence[float], values: Sequence[float]) -> Estimate:
    """Theil and Sen's slope, the median over all pairs of points, with Sen's limits; needs at least 4 points.

    The limits assume independent points. A positive correlation of neighbours (of what the slope leaves over) counts
    as fewer points: Kendall's variance grows by (1 + r) / (1 - r).
    """
    t, v = np.asarray(times, float), np.asarray(values, float)
    if len(t) < 4:
        raise ValueError(f"{len(t)} points: a slope with limits needs at least 4")
    first, second = np.triu_indices(len(t), 1)
    slopes = np.sort((v[second] - v[first]) / (t[second] - t[first]))
    middle = float(np.median(slopes))
    variance = len(t) * (len(t) - 1) * (2 * len(t) + 5) / 18 * _inflation(v - middle * t)
    reach = Z95 * variance**0.5
    low, high = (round((len(slopes) + side * reach) / 2) for side in (-1, 1))
    last = len(slopes) - 1
    return Estimate(middle, float(slopes[max(0, low)]), float(slopes[min(last, high)]))


def _inflation(rest: np.ndarray) -> float:
    """How much correlated neighbours in `rest` widen a variance."""
    rest = rest - rest.mean()
    power = float(rest @ rest)
    r = float(rest[1:] @ rest[:-1]) / power if power else 0.0
    r = min(max(r, 0.0), 0.95)
    return (1 + r) / (1 - r)


def median(values: Sequence[float], generator: np.random.Generator) -> Estimate:
    """The median of `values` with a percentile bootstrap over them."""
    drawn = _medians(values, generator)
    return Estimate(float(np.median(values)), *_limits(drawn))


def difference(values: Sequence[float], others: Sequence[float], generator: np.random.Generator) -> Estimate:
    """The median of `values` less that of `others`, with a percentile bootstrap over both."""
    drawn = _medians(values, generator) - _medians(others, generator)
    return Estimate(float(np.median(values) - np.median(others)), *_limits(drawn))


def _medians(values: Sequence[float], generator: np.random.Generator) -> np.ndarray:
    measured = np.asarray(values, float)
    return np.median(measured[generator.integers(0, len(measured), (ROUNDS, len(measured)))], axis=1)


def _limits(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
