"""The time that a training was given: how much is used, the learning rate that follows from it, and log lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class Budget:
    """A training's time. `spent_s` is the time that earlier runs of the same training used, in seconds."""

    minutes: float
    spent_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.started_s = self.clock()

    @property
    def used_s(self) -> float:
        """Seconds used by all runs together."""
        return self.spent_s + self.clock() - self.started_s

    @property
    def share(self) -> float:
        """The used share of the time: 0 at the start, 1 or more at the end."""
        return self.used_s / (60 * self.minutes)

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return max(0.0, 60 * self.minutes - self.used_s)


def learning_rate_factor(step: int, share: float, warmup: int = 40, decay: float = 0.5) -> float:
    """The factor on the learning rate: it rises to 1 in `warmup` steps and falls to 0 in the last `decay` of the time.

    share: the used share of the time.
    """
    return min(1.0, (step + 1) / warmup) * max(0.0, min(1.0, (1 - share) / decay))


class LossMeter:
    """Means of the losses since the last log line; a line is logged every `every` steps."""

    def __init__(self, budget: Budget, every: int = 50) -> None:
        self.budget, self.every = budget, every
        self.sums: dict[str, tuple[float, int]] = {}  # of each loss the sum and the number of values

    def add(self, step: int, **losses: float) -> None:
        """Add the losses of `step`, which counts from 0."""
        for name, value in losses.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, count + 1)
        if step % self.every == self.every - 1:
            means = " ".join(f"{name} {total / count:.4f}" for name, (total, count) in self.sums.items())
            log.info("step %d  %.0f%%  %s  %.0f s left", step + 1, 100 * self.budget.share, means, self.budget.left_s)
            self.sums.clear()
