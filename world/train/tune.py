"""Few-step tuning: guidance and many steps are regressed into the few plain steps that play uses.

On streams of its own making the student is asked, at one of its steps, for what the teacher (its own past, guided, in
twice the steps) makes of the same noise. So the picture has contrast from the first block on, and the model learns what
its own history looks like.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from world.small import SmallModel
from world.train.base import blend, together
from world.train.captions import caption
from world.train.optim import optimisers
from world.train.progress import Budget, Meter, rate, save
from world.train.rollout import Recipe, Streams

EIGHT_STEPS = (1.0, 0.9767, 0.9474, 0.9091, 0.8571, 0.7826, 0.6667, 0.4615)


@dataclass(frozen=True)
class TuneConfig:
    """How the student is tuned. Batches are per worker."""

    minutes: float = 15.0
    workers: int = 2
    streams: int = 24
    history: int = 9  # blocks of the longest stream
    first: float = 0.5  # of the updates, on the first block
    switched: float = 0.5  # of the other streams, under new words
    student: Recipe = field(default_factory=Recipe)
    teacher: Recipe = field(default_factory=lambda: Recipe(EIGHT_STEPS, guidance=1.6, renoise=False))
    matrix_rate: float = 2e-3
    other_rate: float = 4e-4
    average: float = 0.99
    every: int = 6
    seed: int = 0


class Tuner:
    """One worker. Owns the student, the frozen teacher, the optimisers and its chance."""

    def __init__(self, config: TuneConfig, base: SmallModel, out: Path, rank: int = 0) -> None:
        self.config, self.rank, self.out = config, rank, out
        self.teacher = copy.deepcopy(base).requires_grad_(False)
        self.student = copy.deepcopy(base).requires_grad_(True)
        self.average = copy.deepcopy(base).requires_grad_(False)
        self.optimisers = optimisers(self.student, config.matrix_rate, config.other_rate)
        self.rng = random.Random(config.seed + rank)
        self.chance = torch.Generator().manual_seed(config.seed + rank)
        self.budget, self.step = Budget(config.minutes), 0
        self.meter = Meter(self.budget)

    def tune(self) -> nn.Module:
        """Tune until the time is up; gives the averaged student."""
        while (share := together(self.student, self.budget.share, self.config.workers)) < 1:
            for _ in range(self.config.every):
                self._update(rate(self.step, share))
            if self.rank == 0 and self.step % 120 == 0:
                save(self.out, average=self.average.state_dict(), step=self.step)
        if self.rank == 0:
            save(self.out, average=self.average.state_dict(), step=self.step)
        return self.average

    def loss(self, history: int) -> Tensor:
        """At one of the student's steps, after `history` blocks of its own."""
        config, texts = self.config, self._texts()
        student = Streams(self.student, texts, config.student, self.chance)
        teacher = Streams(self.teacher, texts, config.teacher, self.chance)
        dials = torch.zeros(config.streams, 1, 4)
        with torch.no_grad():
            for _ in range(history):
                made = student.denoise(student.noise(), dials)
                student.append(made, dials)
                teacher.append(made, dials)
        if history and self.rng.random() < config.switched:
            texts = self._texts()
            for side in (student, teacher):
                side.say(texts)
                side.recache()
        return self._at_one_step(student, teacher, dials)

    def _at_one_step(self, student: Streams, teacher: Streams, dials: Tensor) -> Tensor:
        levels, noise = self.config.student.sigmas, student.noise()
        chosen = self.rng.randrange(len(levels))
        with torch.no_grad():
            wanted = teacher.denoise(noise, dials)
            x = noise
            for level, after in pairwise(levels[: chosen + 1]):
                x = (1 - after) * student.predict(x, level, dials) + after * student.noise()
        made = student.predict(x, levels[chosen], dials)
        return ((made - wanted) / max(levels[chosen], 0.2)).pow(2).mean()

    def _texts(self) -> list[str]:
        return [caption(self.rng) for _ in range(self.config.streams)]

    def _update(self, factor: float) -> None:
        config = self.config
        history = 0 if self.rng.random() < config.first else self.rng.randrange(1, config.history)
        for optimiser, peak in zip(self.optimisers, (config.matrix_rate, config.other_rate), strict=True):
            optimiser.zero_grad()
            optimiser.param_groups[0]["lr"] = peak * factor
        loss = self.loss(history)
        loss.backward()
        nn.utils.clip_grad_norm_(self.optimisers[1].param_groups[0]["params"], 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        if self.rank == 0:
            blend(self.average, self.student, min(config.average, self.step / (10 + self.step)))
            self.meter.add(self.step, **{"later" if history else "first": loss.item()})
