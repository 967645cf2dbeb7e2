"""Base training: single blocks, a scene from nothing; then streams by teacher forcing; then switches as well."""

from __future__ import annotations

import copy
import logging
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from world.small.decoder import LinearLatents
from world.small.text import tokenize
from world.small.world import LAYERS, WIDTH, SmallModel, forced, shape, single
from world.train.batches import Batch, Source
from world.train.library import Library
from world.train.optim import optimisers
from world.train.place import bfloat16, chance, device, load
from world.train.progress import Budget, Meter, rate, save

log = logging.getLogger(__name__)
SHARES = {"single": 0.2, "stream": 0.35, "switch": 0.27, "stale": 0.18}


@dataclass(frozen=True)
class BaseConfig:
    """How the base is trained. Batches are per worker."""

    minutes: float = 60.0
    workers: int = 2
    width: int = WIDTH
    layers: int = LAYERS
    singles: int = 64
    streams: int = 8
    length: int = 8
    shares: dict[str, float] = field(default_factory=lambda: dict(SHARES))
    alone: float = 0.2  # of the time, single blocks only: a scene from nothing is the hard part
    steady: float = 0.6  # of the time, words never change: a stream must hold a scene before it can leave it
    shift: float = 6.0
    matrix_rate: float = 1e-2
    other_rate: float = 2e-3
    decay: float = 0.5
    average: float = 0.998
    every: int = 6  # steps between two averagings of the workers' weights
    motion: float = 1.0  # weight of the squared error of what changes from picture to picture
    seed: int = 0


def shifted(uniform: Tensor, shift: float) -> Tensor:
    """Noise levels in 0 to 1, leaning to 1."""
    return shift * uniform / (1 + (shift - 1) * uniform)


class X0Loss(nn.Module):
    """Squared error of x0, weighed like one of the flow, and of its motion: what changes from picture to picture.

    Motion is little of a block's variance and most of what it means, so it is counted again. Latents are linear, and so
    the error of the changes is a quadratic form of theirs.
    """

    def __init__(self, latents: LinearLatents, motion: float) -> None:
        super().__init__()
        basis = latents.basis.unflatten(1, (latents.geometry.frames, -1))
        # the first picture counts too: against the one before it
        changes = torch.cat([basis[:, :1], basis.diff(dim=1)], 1).flatten(1)
        form = changes @ changes.T
        self.register_buffer("form", torch.eye(len(form)) + motion * form * len(form) / form.trace())

    def forward(self, made: Tensor, true: Tensor, sigma: Tensor, counted: Tensor) -> Tensor:
        """made and true [B, n, C, h, w], sigma [B, n] -> a number, over the counted [B, n] blocks."""
        error = (made - true) / sigma.clamp(min=0.2)[..., None, None, None]
        weighed = torch.einsum("bnchw,cd->bndhw", error, self.form)
        return ((error * weighed).mean((2, 3, 4)) * counted).sum() / counted.sum()


def words_of(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Tokens of a batch and, where some clean blocks are under other words, each frame's row of them."""
    if not batch.stale:
        return tokenize(batch.texts), None
    b, n = batch.latents.shape[:2]
    row = torch.arange(b).view(-1, 1).repeat(1, 2 * n) + b
    row[:, : batch.stale] -= b
    return tokenize(batch.before + batch.texts), row


def mix(true: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """x_t of x0 at noise levels sigma [B, n]."""
    level = sigma[..., None, None, None]
    return (1 - level) * true + level * noise


def join_workers(rank: int, workers: int, meeting: Path) -> None:
    """Let `workers` processes average their weights; they find one another by torchrun, or the file `meeting`."""
    if workers > 1:
        method = "env://" if "MASTER_ADDR" in os.environ else meeting.absolute().as_uri()
        backend = "gloo" if device().type == "cpu" else "nccl"
        dist.init_process_group(backend, rank=rank, world_size=workers, init_method=method)


@torch.no_grad()
def together(model: nn.Module, share: float, workers: int) -> float:
    """Average the workers' weights and their view of the time, so that all stop together; gives the latter."""
    if workers == 1:
        return share
    weights = list(model.parameters())
    flat = torch.cat([w.flatten() for w in weights] + [torch.tensor([share])])
    dist.all_reduce(flat)
    flat /= workers
    for weight, part in zip(weights, flat[:-1].split([w.numel() for w in weights]), strict=True):
        weight.copy_(part.view_as(weight))
    return float(flat[-1])


@torch.no_grad()
def blend(average: nn.Module, model: nn.Module, kept: float) -> None:
    """Move `average` towards `model`."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - kept)


class Trainer:
    """One worker. Owns its model, optimisers and chance; rank 0 also owns the average of the weights and the file."""

    def __init__(self, config: BaseConfig, library: Library, latents: LinearLatents, out: Path, rank: int = 0) -> None:
        self.config, self.rank, self.out = config, rank, out
        torch.manual_seed(config.seed)
        self.model = self.start()
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimisers = optimisers(self.model, config.matrix_rate, config.other_rate)
        self.step, spent = self._resume() if out.exists() else (0, 0.0)
        # a resumed run must not see the same batches again
        seed = config.seed + rank + 1000 * self.step
        self.source = Source(library, latents, seed)
        self.x0_loss = X0Loss(latents, config.motion)
        self.chance = chance(seed)
        self.rng = random.Random(config.seed + self.step)
        self.budget = Budget(config.minutes, spent)
        self.meter = Meter(self.budget)

    def start(self) -> SmallModel:
        """The weights to begin with: here, none worth having."""
        return SmallModel(shape(self.config.width, self.config.layers))

    def train(self) -> nn.Module:
        """Train until the time is up; gives the averaged model."""
        while (share := together(self.model, self.budget.share, self.config.workers)) < 1:
            factor = rate(self.step, share, decay=self.config.decay)
            for _ in range(self.config.every):
                self._update(share, factor)
            if self.rank == 0 and self.step % 300 < self.config.every:
                self._keep()
        if self.rank == 0:
            self._keep()
        return self.average

    def loss(self, batch: Batch) -> Tensor:
        """Of single blocks, or of streams by teacher forcing."""
        true, (b, n) = batch.latents, batch.latents.shape[:2]
        sigma = shifted(torch.rand(b, n, generator=self.chance), self.config.shift)
        noisy, times, dials, attend = mix(true, sigma, self.noise(true)), sigma, batch.dials, single()
        if n > 1:
            noisy, times = torch.cat([self._history(true), noisy], 1), torch.cat([torch.zeros(b, n), sigma], 1)
            dials, attend = torch.cat([dials, dials], 1), forced(n, batch.cut, batch.stale)
        tokens, row = words_of(batch)
        with bfloat16():
            made = self.model(noisy, 1000 * times, tokens, dials, attend, row)
        return self.x0_loss(made[:, -n:].float(), true, sigma, batch.counted)

    def _history(self, true: Tensor) -> Tensor:
        """Clean blocks as the model will have made them: most sequences a little noisy."""
        size = (len(true), 1, 1, 1, 1)
        level = 0.15 * torch.rand(size, generator=self.chance) * (torch.rand(size, generator=self.chance) < 0.6)
        return (1 - level) * true + level * self.noise(true)

    def noise(self, like: Tensor) -> Tensor:
        """From this trainer's own chance."""
        return torch.randn(like.shape, generator=self.chance)

    def _update(self, share: float, factor: float) -> None:
        config = self.config
        kind, batch = self.draw(share, self.rng)
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
            blend(self.average, self.model, min(self.config.average, (1 + self.step) / (10 + self.step)))
            self.meter.add(self.step, **{kind: loss.item()})

    def draw(self, share: float, rng: random.Random) -> tuple[str, Batch]:
        """The next batch and its kind, `share` of the time gone."""
        config = self.config
        known = ("single",) if share < config.alone else ("single", "stream") if share < config.steady else SHARES
        kind = rng.choices([*known], [config.shares[kind] for kind in known])[0]
        if kind == "single":
            return kind, self.source.singles(config.singles)
        draw = {"stream": self.source.streams, "switch": self.source.switches, "stale": self.source.stale}[kind]
        return kind, draw(config.streams, config.length)

    def _resume(self) -> tuple[int, float]:
        state: dict[str, Any] = load(self.out)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        return state["step"], state["spent_s"]

    def _keep(self) -> None:
        state = {"model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step}
        save(self.out, **state, optimisers=[o.state_dict() for o in self.optimisers], spent_s=self.budget.used_s)
