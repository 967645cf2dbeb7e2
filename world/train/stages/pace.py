"""The pace stage: the tuned model learns to move as fast as the texts ask, while its pictures stay as they are.

Distribution matching hardly sees motion that is a small part of a picture's variance: slow scenes stand almost still,
and fast ones are not fast. In this stage, streams of the tuned model go on over their own cache, and the velocity that
optical flow measures in their brightness is trained towards the one that the texts ask for. An anchor keeps the
pictures near those of the model before this stage, from the same noise: whole pictures where dials move or a text has
just changed, and the mean picture of each block elsewhere. This is plain supervised learning, because every look has a
label.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel
from world.train.data.captions import SCENES
from world.train.learn.averaging import average_workers, update_average
from world.train.learn.budget import Budget, LossMeter, learning_rate_factor
from world.train.learn.checkpoint import load_checkpoint, save_checkpoint
from world.train.learn.device import bfloat16_autocast, seeded_generator
from world.train.stages.pace_error import Brightness, pace_errors
from world.train.stages.stream_runs import RunConfig, RunSource, StreamRun

PACE_SCENES = (*SCENES, *("plasma", "waves") * 3)  # the scenes that move worst are drawn more often


@dataclass(frozen=True)
class PaceConfig:
    """How the pace is trained. Batch sizes are per worker; chunk is in blocks."""

    minutes: float = 15.0
    workers: int = 2
    runs: RunConfig = field(default_factory=lambda: RunConfig(switching=0.3, stale=0.4, scenes=PACE_SCENES))
    chunk: int = 6
    rate: float = 5e-4
    rest: float = 0.03  # weight of the change that the asked motion does not explain; alone it favours standing still
    anchor: float = 5.0  # weight of the difference from the model before this stage
    average: float = 0.98
    seed: int = 0


class PaceTuner:
    """One worker of the pace stage. Owns the model, its optimiser, a run of streams, and random numbers.

    Rank 0 also owns the running average of the weights and the checkpoint.
    """

    def __init__(
        self, config: PaceConfig, latents: LinearLatents, tuned: CompactModel, out: Path, rank: int = 0
    ) -> None:
        self.config, self.out, self.rank = config, out, rank
        self.latents, self.brightness = latents, Brightness(latents)
        self.model, self.original = tuned, copy.deepcopy(tuned).requires_grad_(False)
        self.average = copy.deepcopy(tuned).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=config.rate, weight_decay=0.0)
        self.turn, spent_s = self._resume() if out.exists() else (0, 0.0)
        seed = config.seed + rank + 1000 * self.turn
        self.runs = RunSource(config.runs, self.model, random.Random(seed), seeded_generator(seed))
        self.budget = Budget(config.minutes, spent_s)
        self.meter = LossMeter(self.budget, every=20)

    def train(self) -> nn.Module:
        """Train until the time is up; gives the averaged model."""
        while (share := average_workers(self.model, self.budget.share, self.config.workers)) < 1:
            self._update(learning_rate_factor(self.turn, share))
            self.turn += 1
            if self.rank == 0 and self.turn % 60 == 0:
                self._save()
        if self.rank == 0:
            self._save()
        return self.average

    def _update(self, factor: float) -> None:
        """One step on a new chunk, with `factor` on the learning rate."""
        config = self.config
        with bfloat16_autocast():
            run = self.runs.before_chunk()
        known, is_fading = [] if run.last is None else [run.last], run.last is not None and not run.since_switch
        made, original, dials = self._next_chunk(run)
        is_free = ~dials.flatten(1).any(1) & (not is_fading)
        velocity, unexplained = pace_errors(self.brightness(torch.cat([*known, made], 1)), run.looks)
        error, rest = _mean_where(velocity, is_free), _mean_where(unexplained.log1p(), is_free)
        left = self._distance(made, original, is_free)
        self.optimiser.zero_grad()
        self.optimiser.param_groups[0]["lr"] = config.rate * factor
        (error + config.rest * rest + config.anchor * left).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        if self.rank == 0:
            update_average(self.average, self.model, config.average)
            errors = {"error": error.item(), "rest": rest.item()} if is_free.any() else {}
            self.meter.add(self.turn, left=left.item(), **errors)

    def _next_chunk(self, run: StreamRun) -> tuple[Tensor, Tensor, Tensor]:
        """Let a run go on by one chunk: its blocks, what the original model makes of the same noise, and its dials.

        Blocks: [B, n, C, h, w]; gradients pass through the last step of each block.
        """
        streams, levels, made, originals = run.streams, self.config.runs.steps, [], []
        dials = run.dials[:, run.block_count : run.block_count + self.config.chunk]
        with bfloat16_autocast():
            streams.encode_texts()
            original_streams = streams.with_model(self.original)
            for dial in dials.split(1, 1):
                x = streams.denoise_to_last_step(streams.noise(), dial, len(levels))
                made.append(streams.predict(x, levels[-1], dial).float())
                with torch.no_grad():
                    originals.append(original_streams.predict(x, levels[-1], dial).float())
                streams.append(made[-1].detach(), dial)
        new = torch.cat(made, 1)
        run.add_blocks(new)
        return new, torch.cat(originals, 1), dials

    def _distance(self, made: Tensor, original: Tensor, is_free: Tensor) -> Tensor:
        """The squared distance of blocks [B, n, C, h, w] from the original ones, relative to the power of these.

        is_free: bool [B], the streams for which only the mean picture of each block counts.
        """
        g = self.latents.geometry
        mean = self.latents.basis.view(g.channels, g.frames, -1).mean(1)
        form = torch.stack([torch.eye(g.channels), mean @ mean.T * g.frames])[is_free.long()]
        power, whole = (torch.einsum("bnchw,bcd,bndhw->b", x, form, x) for x in (made - original, original))
        return (power / whole).mean()

    def _resume(self) -> tuple[int, float]:
        """Load the checkpoint; gives its turn and the seconds spent until then."""
        state = load_checkpoint(self.out)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        return state["turn"], state["spent_s"]

    def _save(self) -> None:
        models = {"model": self.model.state_dict(), "average": self.average.state_dict()}
        optimiser, spent_s = self.optimiser.state_dict(), self.budget.used_s
        save_checkpoint(self.out, **models, optimiser=optimiser, turn=self.turn, spent_s=spent_s)


def _mean_where(errors: Tensor, is_free: Tensor) -> Tensor:
    """The mean error of the free streams; 0 without any."""
    return (errors * is_free).sum() / is_free.sum().clamp(min=1)
