"""How far a training has come in the time it was given: learning-rate factors, log lines, files that survive a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)


@dataclass
class Budget:
    """A stretch of time to train in. `spent_s` is what earlier runs of the same training have used."""

    minutes: float
    spent_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def used_s(self) -> float:
        """Seconds used, over all runs."""
        return self.spent_s + self.clock() - self.began

    @property
    def share(self) -> float:
        """Of the time, 0 to 1 and beyond."""
        return self.used_s / (60 * self.minutes)

    @property
    def left_s(self) -> float:
        """Seconds left."""
        return max(0.0, 60 * self.minutes - self.used_s)


def rate(step: int, share: float, warmup: int = 40, decay: float = 0.5) -> float:
    """Learning-rate factor: a short warm-up, then 1, then down to 0 over the last `decay` of the time."""
    return min(1.0, (step + 1) / warmup) * max(0.0, min(1.0, (1 - share) / decay))


class Meter:
    """Running means of losses, logged with the time left every `every` steps."""

    def __init__(self, budget: Budget, every: int = 50) -> None:
        self.budget, self.every, self.sums = budget, every, {}

    def add(self, step: int, **losses: float) -> None:
        """Take the losses of `step`."""
        for name, value in losses.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, count + 1)
        if step % self.every == self.every - 1:
            means = " ".join(f"{name} {total / count:.4f}" for name, (total, count) in self.sums.items())
            log.info("step %d  %.0f%%  %s  %.0f s left", step + 1, 100 * self.budget.share, means, self.budget.left_s)
            self.sums.clear()


def save(path: Path, **state: Any) -> None:
    """Write a checkpoint so that a kill leaves the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)
