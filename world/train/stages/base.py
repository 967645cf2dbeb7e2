"""Base training: first single blocks, a scene from nothing; then streams by teacher forcing; then switches as well."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from world.compact.decoder import LinearLatents
from world.compact.model import LAYERS, WIDTH, CompactModel, forced, shape, single
from world.compact.text import tokenize
from world.train.data.batches import Batch, BatchSource
from world.train.data.library import Library
from world.train.learn.averaging import average_workers, update_average
from world.train.learn.budget import Budget, LossMeter, learning_rate_factor
from world.train.learn.checkpoint import load_checkpoint, save_checkpoint
from world.train.learn.device import bfloat16_autocast, seeded_generator
from world.train.learn.optim import build_optimisers
from world.train.learn.x0 import X0Loss, noise_latents, shift_noise_levels

BATCH_SHARES = {"single": 0.2, "stream": 0.35, "switch": 0.27, "stale": 0.18}


@dataclass(frozen=True)
class BaseConfig:
    """How the base is trained. Batch sizes (singles, streams) are per worker."""

    minutes: float = 60.0
    workers: int = 2
    width: int = WIDTH
    layers: int = LAYERS
    singles: int = 64
    streams: int = 8
    length: int = 8  # blocks of a sequence
    shares: dict[str, float] = field(default_factory=lambda: dict(BATCH_SHARES))
    singles_until: float = 0.2  # of the time there are single blocks only: a scene from nothing is the hard part
    streams_until: float = 0.6  # of the time no text changes: a stream must hold a scene before it can leave it
    shift: float = 6.0
    matrix_rate: float = 1e-2
    other_rate: float = 2e-3
    decay: float = 0.5
    average: float = 0.998
    every: int = 6  # steps between two averagings of the workers' weights
    motion: float = 1.0  # weight of the squared error of what changes from picture to picture
    seed: int = 0


def batch_tokens(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """The tokens of a batch's texts, and for each frame the row of its text: None where all frames have the same.

    With stale blocks the tokens of the texts before come first; the rows are [B, 2 n], for clean and noisy blocks.
    """
    if not batch.stale:
        return tokenize(batch.texts), None
    b, n = batch.latents.shape[:2]
    row = torch.arange(b).view(-1, 1).repeat(1, 2 * n) + b
    row[:, : batch.stale] -= b
    return tokenize(batch.before + batch.texts), row


class BaseTrainer:
    """One worker of the base training. Owns its model, optimisers and random numbers.

    Rank 0 also owns the running average of the weights and the checkpoint.
    """

    def __init__(self, config: BaseConfig, library: Library, latents: LinearLatents, out: Path, rank: int = 0) -> None:
        self.config, self.rank, self.out = config, rank, out
        torch.manual_seed(config.seed)
        self.model = self.initial_model()
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimisers = build_optimisers(self.model, config.matrix_rate, config.other_rate)
        self.step, spent_s = self._resume() if out.exists() else (0, 0.0)
        # a resumed run must not see the same batches again
        seed = config.seed + rank + 1000 * self.step
        self.source = BatchSource(library, latents, seed)
        self.x0_loss = X0Loss(latents, config.motion)
        self.generator = seeded_generator(seed)
        self.rng = random.Random(config.seed + self.step)
        self.budget = Budget(config.minutes, spent_s)
        self.meter = LossMeter(self.budget)

    def initial_model(self) -> CompactModel:
        """The model that a new training begins with: random weights."""
        return CompactModel(shape(self.config.width, self.config.layers))

    def train(self) -> nn.Module:
        """Train until the time is up; gives the averaged model."""
        while (share := average_workers(self.model, self.budget.share, self.config.workers)) < 1:
            factor = learning_rate_factor(self.step, share, decay=self.config.decay)
            for _ in range(self.config.every):
                self._update(share, factor)
            if self.rank == 0 and self.step % 300 < self.config.every:
                self._save()
        if self.rank == 0:
            self._save()
        return self.average

    def draw_batch(self, share: float, rng: random.Random) -> tuple[str, Batch]:
        """The next batch and its kind, when `share` of the time is used."""
        config = self.config
        if share < config.singles_until:
            kinds = ["single"]
        else:
            kinds = ["single", "stream"] if share < config.streams_until else [*BATCH_SHARES]
        kind = rng.choices(kinds, [config.shares[kind] for kind in kinds])[0]
        if kind == "single":
            return kind, self.source.singles(config.singles)
        draw = {"stream": self.source.streams, "switch": self.source.switches, "stale": self.source.stale}[kind]
        return kind, draw(config.streams, config.length)

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch of single blocks, or of streams by teacher forcing."""
        x0, (b, n) = batch.latents, batch.latents.shape[:2]
        sigma = shift_noise_levels(torch.rand(b, n, generator=self.generator), self.config.shift)
        noisy, times, dials, attend = noise_latents(x0, sigma, self.noise_like(x0)), sigma, batch.dials, single()
        if n > 1:
            noisy, times = torch.cat([self._history(x0), noisy], 1), torch.cat([torch.zeros(b, n), sigma], 1)
            dials, attend = torch.cat([dials, dials], 1), forced(n, batch.cut, batch.stale)
        tokens, row = batch_tokens(batch)
        with bfloat16_autocast():
            made = self.model(noisy, 1000 * times, tokens, dials, attend, row)
        return self.x0_loss(made[:, -n:].float(), x0, sigma, batch.counted[..., None, None, None])

    def noise_like(self, latents: Tensor) -> Tensor:
        """Noise in the shape of `latents`, from this trainer's generator."""
        return torch.randn(latents.shape, generator=self.generator)

    def _history(self, x0: Tensor) -> Tensor:
        """Clean blocks as the model would have made them: a little noisy in most sequences."""
        size = (len(x0), 1, 1, 1, 1)
        level = 0.15 * torch.rand(size, generator=self.generator) * (torch.rand(size, generator=self.generator) < 0.6)
        return (1 - level) * x0 + level * self.noise_like(x0)

    def _update(self, share: float, factor: float) -> None:
        """One step of the optimisers, with `factor` on their learning rates."""
        config = self.config
        kind, batch = self.draw_batch(share, self.rng)
        loss = self.loss(batch)
        for optimiser, peak in zip(self.optimisers, (config.matrix_rate, config.other_rate), strict=True):
            optimiser.zero_grad()
            optimiser.param_groups[0]["lr"] = peak * factor
        loss.backward()
        nn.utils.clip_grad_norm_(self.optimisers[1].param_groups[0]["params"], 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        if self.rank == 0:
            update_average(self.average, self.model, min(self.config.average, (1 + self.step) / (10 + self.step)))
            self.meter.add(self.step, **{kind: loss.item()})

    def _resume(self) -> tuple[int, float]:
        """Load the checkpoint; gives its step and the seconds spent until then."""
        state = load_checkpoint(self.out)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return state["step"], state["spent_s"]

    def _save(self) -> None:
        state = {"model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step}
        optimisers = [optimiser.state_dict() for optimiser in self.optimisers]
        save_checkpoint(self.out, **state, optimisers=optimisers, spent_s=self.budget.used_s)
