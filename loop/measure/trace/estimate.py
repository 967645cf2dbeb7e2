"""Estimates with 95 % limits: a slope that outliers do not bend, and medians with bootstrapped intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BOOTSTRAP_ROUNDS = 4000
_Z95 = 1.959964  # a normal variable lies within this many standard deviations 95 times of 100


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % limits."""

    value: float
    low: float
    high: float

    def __format__(self, digits: str) -> str:
        return f"{self.value:{digits}} ({self.low:{digits}} to {self.high:{digits}})"


def slope(times: Sequence[float], values: Sequence[float]) -> Estimate:
    """The Theil-Sen slope (the median over all pairs of points) with Sen's limits; raises ValueError under 4 points.

    Sen's limits assume independent points. Where neighbouring residuals are positively correlated (by r), there are
    in effect fewer independent points, so Kendall's variance is multiplied by (1 + r) / (1 - r).
    """
    t, v = np.asarray(times, float), np.asarray(values, float)
    if len(t) < 4:
        raise ValueError(f"{len(t)} points: a slope with limits needs at least 4")
    first, second = np.triu_indices(len(t), 1)
    slopes = np.sort((v[second] - v[first]) / (t[second] - t[first]))
    middle = float(np.median(slopes))
    variance = len(t) * (len(t) - 1) * (2 * len(t) + 5) / 18 * _variance_inflation(v - middle * t)
    reach = _Z95 * variance**0.5
    low, high = (round((len(slopes) + side * reach) / 2) for side in (-1, 1))
    last = len(slopes) - 1
    return Estimate(middle, float(slopes[max(0, low)]), float(slopes[min(last, high)]))


def _variance_inflation(residuals: np.ndarray) -> float:
    """The factor by which correlated neighbours in `residuals` widen a variance; at least 1."""
    residuals = residuals - residuals.mean()
    power = float(residuals @ residuals)
    r = float(residuals[1:] @ residuals[:-1]) / power if power else 0.0
    r = min(max(r, 0.0), 0.95)
    return (1 + r) / (1 - r)


def bootstrap_median(values: Sequence[float], generator: np.random.Generator) -> Estimate:
    """The median of `values` with percentile-bootstrap limits."""
    return Estimate(float(np.median(values)), *_limits(_resampled_medians(values, generator)))


def bootstrap_difference(values: Sequence[float], others: Sequence[float], generator: np.random.Generator) -> Estimate:
    """The median of `values` minus that of `others`; the percentile bootstrap resamples both."""
    differences = _resampled_medians(values, generator) - _resampled_medians(others, generator)
    return Estimate(float(np.median(values) - np.median(others)), *_limits(differences))


def _resampled_medians(values: Sequence[float], generator: np.random.Generator) -> np.ndarray:
    measured = np.asarray(values, float)
    return np.median(measured[generator.integers(0, len(measured), (_BOOTSTRAP_ROUNDS, len(measured)))], axis=1)


def _limits(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
