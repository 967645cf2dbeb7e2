"""Steps of an optimiser on a device that must not be waited for: rates by the clock, averaged weights, a log."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from world.compact.model import CompactModel
from world.dit.device import wait
from world.train.learn.averaging import update_average
from world.train.learn.budget import Budget
from world.train.learn.optim import build_optimisers

log = logging.getLogger(__name__)
WARMUP = 50  # steps
LOG_EVERY_S = 10.0


def cosine_rate(step: int, share: float, warmup: int = WARMUP) -> float:
    """The factor on a learning rate: it rises to 1 in `warmup` steps, and falls to 0 when all the time is used."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))


class Learner:
    """A model that learns, its optimisers, and the running average of its weights. Owns all three."""

    def __init__(self, model: CompactModel, rates: tuple[float, float], kept: float = 0.995) -> None:
        self.model, self.rates, self.kept, self.step = model, rates, kept, 0
        self.optimisers = build_optimisers(model, *rates)
        self.average = copy.deepcopy(model)
        self.average.requires_grad_(False)

    def descend(self, loss: Tensor, factor: float) -> None:
        """One step down the gradient of `loss`, with `factor` on the rates; nothing here waits for the device."""
        for optimiser, rate in zip(self.optimisers, self.rates, strict=True):
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        loss.backward()
        nn.utils.clip_grad_norm_(list(self.model.parameters()), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        update_average(self.average, self.model, min(self.kept, (1 + self.step) / (10 + self.step)))


class LossLog:
    """Means of the losses by kind, added up on the device and logged every ten seconds."""

    def __init__(self, stage: str, budget: Budget) -> None:
        self.stage, self.budget, self.sums = stage, budget, dict[str, tuple[Tensor, int]]()
        self.steps, self.since_s = 0, budget.used_s

    def add(self, kind: str, loss: Tensor) -> None:
        """Add the loss of one step."""
        total, count = self.sums.get(kind, (torch.zeros((), device=loss.device), 0))
        self.sums[kind] = (total + loss.detach(), count + 1)
        self.steps += 1
        if self.budget.used_s - self.since_s > LOG_EVERY_S:
            self.write()

    def write(self) -> None:
        """Log what was added since the last line. This waits for the device."""
        passed = max(1e-9, self.budget.used_s - self.since_s)
        means = " ".join(f"{kind} {float(total) / count:.4f}" for kind, (total, count) in sorted(self.sums.items()))
        log.info("%s %.0f%%  %.2f steps/s  %s", self.stage, 100 * self.budget.share, self.steps / passed, means)
        self.sums, self.steps, self.since_s = {}, 0, self.budget.used_s


def seconds_a_step(step: Callable[[], object], device: torch.device, count: int) -> float:
    """How long `step` takes, measured over `count` calls after one more."""
    step()
    wait(device)
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait(device)
    return (time.perf_counter() - start) / count
