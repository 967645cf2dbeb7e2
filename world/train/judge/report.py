"""Shares and means with their 95 % intervals, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Z95 = 1.959964
BOOTSTRAP_ROUNDS = 4000


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % limits, from `count` trials."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def share_of_hits(hits: Sequence[bool]) -> Figure:
    """The share of `hits` that are true, with Wilson's interval; all NaN without any hits."""
    n = len(hits)
    if not n:
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    p, z2 = sum(map(bool, hits)) / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = Z95 / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
    return Figure(p, max(0.0, middle - reach), min(1.0, middle + reach), n)


def mean_of_values(values: Sequence[float], seed: int = 0) -> Figure:
    """The mean of `values` with a percentile bootstrap; for paired differences this is the paired interval."""
    measured = np.asarray(values, float)
    generator = np.random.default_rng(seed)
    drawn = measured[generator.integers(0, len(measured), (BOOTSTRAP_ROUNDS, len(measured)))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Figure(float(measured.mean()), float(low), float(high), len(measured))


def markdown_table(corner: str, rows: Mapping[str, Mapping[str, object]]) -> str:
    """A Markdown table with a column for every name in any row; a cell without a value is empty."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [[corner, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(str(row.get(column, "")) for column in columns)] for name, row in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
