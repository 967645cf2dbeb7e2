"""Pace: what a few-step model makes too little of is moved as the words ask, and its pictures are left as they are.

Distribution matching says little about motion that is a small part of a picture's variance: slow scenes stand almost
still, fast ones are not fast. Here streams of the tuned model go on over their own cache, and the velocity that optical
flow finds in their brightness is drawn to the one that the words ask for. An anchor holds the pictures to what the
model made of the same noise before: all of them where dials move or words have just come in, the mean picture of each
block elsewhere. Plain supervision, exact because every look has a label.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.small.decoder import LinearLatents
from world.small.world import SmallModel
from world.train.base import blend, together
from world.train.captions import SCENES, Look
from world.train.motion import LUMA, asked, changes, fitted, motions, smooth
from world.train.place import bfloat16, chance, load
from world.train.progress import Budget, Meter, rate, save
from world.train.runs import Run, RunConfig, Runs

SLUGGISH = (*SCENES, *("plasma", "waves") * 3)  # those that move worst, more often


@dataclass(frozen=True)
class PaceConfig:
    """How the pace is taught. Batches are per worker; chunk is in blocks."""

    minutes: float = 15.0
    workers: int = 2
    runs: RunConfig = field(default_factory=lambda: RunConfig(switching=0.3, stale=0.4, scenes=SLUGGISH))
    chunk: int = 6
    rate: float = 5e-4
    rest: float = 0.03  # weight of what the motion leaves over; alone it is least where nothing moves at all
    anchor: float = 5.0  # weight of leaving the mean picture, or all of it, as it was
    average: float = 0.98
    seed: int = 0


class PaceTuner:
    """One worker. Owns the model, its optimiser, a run of streams, and chance; rank 0 also the file."""

    def __init__(self, config: PaceConfig, latents: LinearLatents, tuned: SmallModel, out: Path, rank: int = 0) -> None:
        self.config, self.out, self.rank = config, out, rank
        self.latents, self.brightness = latents, Brightness(latents)
        self.model, self.before = tuned, copy.deepcopy(tuned).requires_grad_(False)
        self.average = copy.deepcopy(tuned).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=config.rate, weight_decay=0.0)
        self.turn, spent = self._resume() if out.exists() else (0, 0.0)
        seed = config.seed + rank + 1000 * self.turn
        self.runs = Runs(config.runs, self.model, random.Random(seed), chance(seed))
        self.budget = Budget(config.minutes, spent)
        self.meter = Meter(self.budget, every=20)

    def train(self) -> nn.Module:
        """Teach until the time is up; gives the averaged model."""
        while (share := together(self.model, self.budget.share, self.config.workers)) < 1:
            self._teach(rate(self.turn, share))
            self.turn += 1
            if self.rank == 0 and self.turn % 60 == 0:
                self._keep()
        if self.rank == 0:
            self._keep()
        return self.average

    def _teach(self, factor: float) -> None:
        with bfloat16():
            run = self.runs.at_a_boundary()
        known, is_fading = [] if run.last is None else [run.last], run.last is not None and not run.since
        made, before, dials = self._chunk(run)
        is_free = ~dials.flatten(1).any(1) & (not is_fading)
        parts = off_pace(self.brightness(torch.cat([*known, made], 1)), run.looks)
        error, rest = ((part * is_free).sum() / is_free.sum().clamp(min=1) for part in (parts[0], parts[1].log1p()))
        left = self._left(made, before, is_free)
        self._step(error + self.config.rest * rest + self.config.anchor * left, self.config.rate * factor)
        if self.rank == 0:
            blend(self.average, self.model, self.config.average)
            told = {"error": error.item(), "rest": rest.item()} if is_free.any() else {}
            self.meter.add(self.turn, left=left.item(), **told)

    def _chunk(self, run: Run) -> tuple[Tensor, Tensor, Tensor]:
        """New blocks, gradients through the last step of each, what the model made of them before, and their dials."""
        streams, made, was = run.streams, [], []
        dials = run.dials[:, run.made : run.made + self.config.chunk]
        with bfloat16():
            streams.renew()
            witness, levels = streams.seen_by(self.before), self.config.runs.steps
            for dial in dials.split(1, 1):
                x = streams.approach(streams.noise(), dial, len(levels))
                made.append(streams.predict(x, levels[-1], dial).float())
                with torch.no_grad():
                    was.append(witness.predict(x, levels[-1], dial).float())
                streams.append(made[-1].detach(), dial)
        fresh = torch.cat(made, 1)
        run.went_on(fresh)
        return fresh, torch.cat(was, 1), dials

    def _left(self, made: Tensor, before: Tensor, is_free: Tensor) -> Tensor:
        """How far the pictures left those of before, as a share of their own power; of free streams, the mean ones."""
        g = self.latents.geometry
        mean = self.latents.basis.view(g.channels, g.frames, -1).mean(1)
        form = torch.stack([torch.eye(g.channels), mean @ mean.T * g.frames])[is_free.long()]
        gone, whole = (torch.einsum("bnchw,bcd,bndhw->b", x, form, x) for x in (made - before, before))
        return (gone / whole).mean()

    def _step(self, loss: Tensor, rate: float) -> None:
        self.optimiser.zero_grad()
        self.optimiser.param_groups[0]["lr"] = rate
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()

    def _resume(self) -> tuple[int, float]:
        state: dict[str, Any] = load(self.out)
        for name in ("model", "average"):
            getattr(self, name).load_state_dict(state[name])
        self.optimiser.load_state_dict(state["optimiser"])
        return state["turn"], state["spent_s"]

    def _keep(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "average")}
        save(self.out, **state, optimiser=self.optimiser.state_dict(), turn=self.turn, spent_s=self.budget.used_s)


class Brightness:
    """Latents to brightness at half size, in one product: all that the pace needs of a picture."""

    def __init__(self, latents: LinearLatents) -> None:
        self.geometry = g = latents.geometry
        self.basis, self.mean = (self._of(x) for x in (latents.basis * latents.scale, latents.mean[None]))
        self.half = g.cell // 2

    def _of(self, cells: Tensor) -> Tensor:
        """cells [n, numbers] in colour -> [n, frames cell cell / 4]."""
        g = self.geometry
        colours = cells.view(-1, 3, g.cell, g.cell) * torch.tensor(LUMA).view(3, 1, 1)
        return F.avg_pool2d(colours.sum(1), 2).view(len(cells), -1)

    def __call__(self, latents: Tensor) -> Tensor:
        """latents [B, n, C, h, w] -> [B, 6 n, Y / 2, X / 2]."""
        cells = latents.permute(0, 1, 3, 4, 2) @ self.basis + self.mean
        cells = cells.unflatten(-1, (self.geometry.frames, self.half, self.half))  # [B, n, h, w, t, p, q]
        return cells.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4).flatten(1, 2)


def off_pace(grey: Tensor, looks: Sequence[Look]) -> tuple[Tensor, Tensor]:
    """How far clips grey [B, T, Y, X] are from the motion that their looks ask for, and how much is no such motion.

    Both [B]: the error of the measured velocity as a share of the asked one, squared where it is small and plain where
    it is not; and the change of brightness that the asked motion leaves over, as a share of what it should be. Rendered
    clips reach 0.01 and 0.02 to 0.2.
    """
    changed = changes(smooth(grey))
    errors, rests = [], []
    for look, *parts in zip(looks, *(part.split(1) for part in changed), strict=True):
        fields, want = motions(look.scene, *grey.shape[2:]), torch.tensor(asked(look))
        missed = (fitted(tuple(parts), fields)[0] - want).pow(2).sum() / want.pow(2).sum()
        errors.append(2 * ((1 + missed).sqrt() - 1))
        carried = sum(
            speed * (u[1:-1, 1:-1] * parts[1] + v[1:-1, 1:-1] * parts[2])
            for speed, (u, v) in zip(want, fields, strict=True)
        )
        rests.append((parts[0] + carried).pow(2).sum() / carried.pow(2).sum().clamp(min=1e-6))
    return torch.stack(errors), torch.stack(rests)
