"""Shares and differences with their 95 % intervals, and tables of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z95 = 1.959964
ROUNDS = 4000


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % limits, from `count` trials."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def share(hits: Sequence[bool]) -> Figure:
    """Of hits that are true, with Wilson's interval; of none, all NaN."""
    n = len(hits)
    if not n:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    p, z2 = sum(map(bool, hits)) / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = Z95 / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
    return Figure(p, max(0.0, middle - reach), min(1.0, middle + reach), n)


def mean(values: Sequence[float], seed: int = 0) -> Figure:
    """The mean of `values` with a percentile bootstrap; of paired differences, the paired interval."""
    measured = np.asarray(values, float)
    chance = np.random.default_rng(seed)
    drawn = measured[chance.integers(0, len(measured), (ROUNDS, len(measured)))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Figure(float(measured.mean()), float(low), float(high), len(measured))


def table(corner: str, rows: dict[str, dict[str, object]]) -> str:
    """A Markdown table; a row lacks what it has no figure for."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [[corner, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(str(row.get(column, "")) for column in columns)] for name, row in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
