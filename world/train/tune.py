"""Streaming long tuning: the model learns on streams of its own, far longer than any clip, what the teacher expects.

The specification's section 9 at this size. A batch of streams runs on over the model's own cache; each turn makes the
next chunk. The generator is moved by distribution matching on the newest chunk; the critic follows what the generator
makes. Now and then the words change and the history is re-encoded under them, as at play time. Gradients reach
the weights through the last denoising step of each block of the chunk; cache, earlier steps and chunks are constants.
"""

from __future__ import annotations

import copy
import logging
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from world.small.decoder import LinearLatents
from world.small.text import tokenize
from world.small.world import SmallModel, clip
from world.train.base import X0Loss, blend, mix, together
from world.train.losses import NOISE_SHIFT, Model, Scores, generator_loss, score_timesteps, sigma_at
from world.train.place import bfloat16, chance, load
from world.train.progress import Budget, Meter, save
from world.train.runs import RunConfig, Runs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuneConfig:
    """How streams are tuned. Batches are per worker; lengths are in blocks."""

    minutes: float = 45.0
    workers: int = 2
    runs: RunConfig = field(default_factory=RunConfig)  # eight chunks each
    clip: int = 8  # what the judges see: one block that is known and the new ones
    inertia: int = 7  # blocks of a chunk over a stale cache: those that still see old words, and one more
    every: int = 2  # turns between two steps of the generator; the critic learns in each
    warm_turns: int = 60  # in which only the critic learns
    rate: float = 1e-4
    critic_rate: float = 4e-4
    guidance: float = 1.0  # three of it, as the paper has, made contrast grow by a tenth in forty steps
    average: float = 0.98
    motion: float = 1.0
    seed: int = 0


class Tuner:
    """One worker. Owns generator, critic, their optimisers, a run of streams, and chance; rank 0 also the file."""

    def __init__(
        self,
        config: TuneConfig,
        latents: LinearLatents,
        base: SmallModel,
        teacher: SmallModel,
        out: Path,
        rank: int = 0,
    ) -> None:
        self.config, self.out, self.rank = config, out, rank
        self.model, self.teacher, self.critic = base, teacher.requires_grad_(False), copy.deepcopy(teacher)
        self.critic.requires_grad_(True)
        self.average = copy.deepcopy(base).requires_grad_(False)
        self.optimisers = [_adam(self.model, config.rate), _adam(self.critic, config.critic_rate)]
        self.turn, spent = self._resume() if out.exists() else (0, 0.0)
        seed = config.seed + rank + 1000 * self.turn
        self.rng, self.chance = random.Random(seed), chance(seed)
        self.x0_loss = X0Loss(latents, config.motion)
        self.budget = Budget(config.minutes, spent)
        self.meter = Meter(self.budget, every=30)
        self.runs = Runs(config.runs, self.model, self.rng, self.chance)

    def train(self) -> nn.Module:
        """Tune until the time is up; gives the averaged generator."""
        share = self.budget.share
        while share < 1:
            if self.turn >= self.config.warm_turns and self.turn % self.config.every == 0:
                self._teach_generator(min(1.0, 4 * (1 - share)))
                together(self.critic, 0.0, self.config.workers)
                share = together(self.model, self.budget.share, self.config.workers)
            self._teach_critic()
            self.turn += 1
            if self.turn < self.config.warm_turns:
                share = together(self.critic, self.budget.share, self.config.workers)
            if self.rank == 0 and self.turn % 60 == 0:
                self._keep()
        if self.rank == 0:
            self._keep()
        return self.average

    def _teach_generator(self, factor: float) -> None:
        clip, told, dials, mask = self._next(with_grad=True)
        t, noise = self._draw(clip)
        scores = Scores(
            fake=judge(self.critic, dials),
            real=judge(self.teacher, dials),
            context=tokenize(told),
            negative=tokenize([""] * len(told)),
            guidance=self.config.guidance,
        )
        loss = generator_loss(clip, noise, t, scores, mask)
        self._step(0, loss, self.config.rate * factor)
        if self.rank == 0:
            blend(self.average, self.model, self.config.average)
            self.meter.add(self.turn, matching=loss.item(), spread=float(clip.detach().std()))

    def _teach_critic(self) -> None:
        clip, told, dials, mask = self._next(with_grad=False)
        t, noise = self._draw(clip)
        sigma = sigma_at(t, NOISE_SHIFT).flatten(1)
        made = judge(self.critic, dials)(mix(clip, sigma, noise), t, tokenize(told))
        loss = self.x0_loss(made, clip, sigma, mask[:, :, 0, 0, 0])
        self._step(1, loss, self.config.critic_rate)
        if self.rank == 0:
            self.meter.add(self.turn, critic=loss.item())

    def _next(self, with_grad: bool) -> tuple[Tensor, list[str], Tensor, Tensor]:
        """The newest clip [B, n, C, h, w], its words in full, its dials [B, n, 4], and a mask of what counts of it."""
        with torch.set_grad_enabled(with_grad), bfloat16():
            run = self.runs.at_a_boundary()
            count = self.config.clip - (run.last is not None)
            run.streams.renew()
            dials = run.dials[:, run.made : run.made + count]
            fresh = run.streams.chunk(dials, self.rng.randint(1, len(self.config.runs.steps))).float()
        known = [] if run.last is None else [run.last]
        clip = torch.cat([*known, fresh], 1)
        place = torch.arange(self.config.clip) - len(known)
        mask = (place >= 0) & (place < (self.config.inertia if run.coming else self.config.clip))
        shown = run.dials[:, run.made - len(known) : run.made + count]
        run.went_on(fresh)
        return clip, run.told, shown, mask.view(1, -1, 1, 1, 1).expand_as(clip)

    def _draw(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """A noise level for each clip, as t [B, n], and noise."""
        drawn = torch.randint(0, 1000, (len(clip), 1), generator=self.chance)
        return score_timesteps(drawn).expand(clip.shape[:2]), torch.randn(clip.shape, generator=self.chance)

    def _step(self, number: int, loss: Tensor, rate: float) -> None:
        optimiser = self.optimisers[number]
        optimiser.zero_grad()
        optimiser.param_groups[0]["lr"] = rate
        loss.backward()
        nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 10.0)
        optimiser.step()

    def _resume(self) -> tuple[int, float]:
        state: dict[str, Any] = load(self.out)
        for name in ("model", "critic", "average"):
            getattr(self, name).load_state_dict(state[name])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        return state["turn"], state["spent_s"]

    def _keep(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "critic", "average")}
        kept = [optimiser.state_dict() for optimiser in self.optimisers]
        save(self.out, **state, optimisers=kept, turn=self.turn, spent_s=self.budget.used_s)


def judge(model: SmallModel, dials: Tensor) -> Model:
    """A score for `losses`: x0 [B, n, C, h, w] of whole clips under dials [B, n, 4] and a context of tokens [B, L]."""

    def score(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        with bfloat16():
            return model(noisy, t, context, dials, clip(noisy.shape[1])).float()

    return score


def _adam(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    # no momentum: the other player moves
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.0, 0.999), weight_decay=0.01)
