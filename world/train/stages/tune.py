"""Streaming long tuning: the model learns on its own streams, far longer than any clip, from the teacher.

A batch of streams goes on over the model's own cache; each turn makes the next chunk. Distribution matching on the
newest chunk trains the model (the generator); the critic is trained on what the generator makes. Now and then the
texts change and the history is re-encoded under them, as in play. Gradients reach the weights through the last
denoising step of each block of the chunk; the cache, earlier steps and earlier chunks are constants.

Source: LongLive's streaming long tuning, at this size.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel, clip
from world.compact.text import tokenize
from world.train.learn.averaging import average_workers, update_average
from world.train.learn.budget import Budget, LossMeter
from world.train.learn.checkpoint import load_checkpoint, save_checkpoint
from world.train.learn.device import bfloat16_autocast, seeded_generator
from world.train.learn.losses import NOISE_SHIFT, ScoreModel, Scores, generator_loss, score_timesteps, sigma_at
from world.train.learn.x0 import X0Loss, noise_latents
from world.train.stages.stream_runs import RunConfig, RunSource


@dataclass(frozen=True)
class TuneConfig:
    """How streams are tuned. Batch sizes are per worker; lengths are in blocks."""

    minutes: float = 45.0
    workers: int = 2
    runs: RunConfig = field(default_factory=RunConfig)  # a run has eight chunks
    clip: int = 8  # what teacher and critic see: the last block of the chunk before, and the new ones
    inertia: int = 7  # the blocks of a clip that count over a stale cache: those that still see the old texts, and one
    every: int = 2  # turns between two steps of the generator; the critic learns in each turn
    warm_turns: int = 60  # first turns, in which only the critic learns
    rate: float = 1e-4
    critic_rate: float = 4e-4
    guidance: float = 1.0  # with 3, as in the paper, contrast grew by a tenth in forty steps
    average: float = 0.98
    motion: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Chunk:
    """The newest clip of a run, [B, n, C, h, w], and what teacher and critic must know about it.

    texts: the complete descriptions of what it shows; dials: [B, n, 4]; counted: bool, like latents, true in the loss.
    """

    latents: Tensor
    texts: list[str]
    dials: Tensor
    counted: Tensor


class Tuner:
    """One worker of the tuning. Owns generator, critic, their optimisers, a run of streams, and random numbers.

    Rank 0 also owns the running average of the generator's weights and the checkpoint.
    """

    def __init__(
        self,
        config: TuneConfig,
        latents: LinearLatents,
        base: CompactModel,
        teacher: CompactModel,
        out: Path,
        rank: int = 0,
    ) -> None:
        self.config, self.out, self.rank = config, out, rank
        self.model, self.teacher, self.critic = base, teacher.requires_grad_(False), copy.deepcopy(teacher)
        self.critic.requires_grad_(True)
        self.average = copy.deepcopy(base).requires_grad_(False)
        self.optimisers = [_adam(self.model, config.rate), _adam(self.critic, config.critic_rate)]
        self.turn, spent_s = self._resume() if out.exists() else (0, 0.0)
        seed = config.seed + rank + 1000 * self.turn
        self.rng, self.generator = random.Random(seed), seeded_generator(seed)
        self.x0_loss = X0Loss(latents, config.motion)
        self.budget = Budget(config.minutes, spent_s)
        self.meter = LossMeter(self.budget, every=30)
        self.runs = RunSource(config.runs, self.model, self.rng, self.generator)

    def train(self) -> nn.Module:
        """Tune until the time is up; gives the averaged generator."""
        share = self.budget.share
        while share < 1:
            if self.turn >= self.config.warm_turns and self.turn % self.config.every == 0:
                self._train_generator(min(1.0, 4 * (1 - share)))
                average_workers(self.critic, 0.0, self.config.workers)
                share = average_workers(self.model, self.budget.share, self.config.workers)
            self._train_critic()
            self.turn += 1
            if self.turn < self.config.warm_turns:
                share = average_workers(self.critic, self.budget.share, self.config.workers)
            if self.rank == 0 and self.turn % 60 == 0:
                self._save()
        if self.rank == 0:
            self._save()
        return self.average

    def _train_generator(self, factor: float) -> None:
        """One step of the generator on a new chunk, with `factor` on its learning rate."""
        chunk = self._next_chunk(with_grad=True)
        t, noise = self._draw_noise(chunk.latents)
        scores = Scores(
            fake=clip_score(self.critic, chunk.dials),
            real=clip_score(self.teacher, chunk.dials),
            context=tokenize(chunk.texts),
            negative=tokenize([""] * len(chunk.texts)),
            guidance=self.config.guidance,
        )
        loss = generator_loss(chunk.latents, noise, t, scores, chunk.counted)
        _descend(self.optimisers[0], loss, self.config.rate * factor)
        if self.rank == 0:
            update_average(self.average, self.model, self.config.average)
            self.meter.add(self.turn, matching=loss.item(), spread=float(chunk.latents.detach().std()))

    def _train_critic(self) -> None:
        """One step of the critic on a new chunk."""
        chunk = self._next_chunk(with_grad=False)
        t, noise = self._draw_noise(chunk.latents)
        sigma = sigma_at(t, NOISE_SHIFT).flatten(1)
        noisy = noise_latents(chunk.latents, sigma, noise)
        made = clip_score(self.critic, chunk.dials)(noisy, t, tokenize(chunk.texts))
        loss = self.x0_loss(made, chunk.latents, sigma, chunk.counted[:, :, :1])
        _descend(self.optimisers[1], loss, self.config.critic_rate)
        if self.rank == 0:
            self.meter.add(self.turn, critic=loss.item())

    def _next_chunk(self, with_grad: bool) -> Chunk:
        """Let the run go on by one chunk: a clip of the last block before it, if there is one, and the new blocks."""
        with torch.set_grad_enabled(with_grad), bfloat16_autocast():
            run = self.runs.before_chunk()
            known = [] if run.last is None else [run.last]
            start, end = run.block_count, run.block_count + self.config.clip - len(known)
            run.streams.encode_texts()
            steps = self.rng.randint(1, len(self.config.runs.steps))
            new = run.streams.next_blocks(run.dials[:, start:end], steps).float()
        latents = torch.cat([*known, new], 1)
        place = torch.arange(self.config.clip) - len(known)
        counted = (place >= 0) & (place < (self.config.inertia if run.pending else self.config.clip))
        run.add_blocks(new)
        counted = counted.view(1, -1, 1, 1, 1).expand_as(latents)
        return Chunk(latents, run.full_texts, run.dials[:, start - len(known) : end], counted)

    def _draw_noise(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """A noise level for each clip, as t [B, n], and noise like `clip`."""
        drawn = torch.randint(0, 1000, (len(clip), 1), generator=self.generator)
        return score_timesteps(drawn).expand(clip.shape[:2]), torch.randn(clip.shape, generator=self.generator)

    def _resume(self) -> tuple[int, float]:
        """Load the checkpoint; gives its turn and the seconds spent until then."""
        state = load_checkpoint(self.out)
        for name, model in self._models().items():
            model.load_state_dict(state[name])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return state["turn"], state["spent_s"]

    def _save(self) -> None:
        models = {name: model.state_dict() for name, model in self._models().items()}
        optimisers = [optimiser.state_dict() for optimiser in self.optimisers]
        save_checkpoint(self.out, **models, optimisers=optimisers, turn=self.turn, spent_s=self.budget.used_s)

    def _models(self) -> dict[str, nn.Module]:
        """The models of the checkpoint by their names in it."""
        return {"model": self.model, "critic": self.critic, "average": self.average}


def clip_score(model: CompactModel, dials: Tensor) -> ScoreModel:
    """A score that predicts x0 [B, n, C, h, w] of whole clips under dials [B, n, 4]; its context is tokens [B, L]."""

    def score(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        with bfloat16_autocast():
            return model(noisy, t, context, dials, clip(noisy.shape[1])).float()

    return score


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step of an optimiser down the gradient of `loss`, at a learning rate."""
    optimiser.zero_grad()
    optimiser.param_groups[0]["lr"] = rate
    loss.backward()
    nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], 10.0)
    optimiser.step()


def _adam(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    # no momentum: generator and critic change the loss of each other
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.0, 0.999), weight_decay=0.01)
