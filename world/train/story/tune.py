"""Tuning on the model's own streams: what it made itself is the history, and the rendered clip is what should follow.

A stream starts from one rendered block that the model redraws, goes on by the steps of play, changes its words as in
play (with a recache, or now and then over the stale cache), and so drifts as it does in play. Each of its blocks is
then trained, by teacher forcing, to be what was rendered for this moment. Truth exists, so no teacher has to judge.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel
from world.train.learn.budget import Budget
from world.train.learn.rollout import SamplingRecipe, Streams
from world.train.story.form import SIGMAS, TALE
from world.train.story.loss import SequenceLoss
from world.train.story.predict import LayerCall, run_layer
from world.train.story.sequences import SequenceSource, StoryBatch
from world.train.story.steps import Learner, LossLog, cosine_rate

RECIPE = SamplingRecipe(SIGMAS, window=TALE.window, sink=TALE.sink)
KINDS = {"stream": 0.3, "switch": 0.5, "stale": 0.2}


@dataclass(frozen=True)
class StoryTuning:
    """How streams are tuned. rolled: streams made at once; sequences: of them in a step of the optimiser."""

    minutes: float
    rolled: int = 1024
    sequences: int = 256
    length: int = 8
    rates: tuple[float, float] = (3e-3, 6e-4)
    seed: int = 1


def tune_streams(
    config: StoryTuning,
    model: CompactModel,
    source: SequenceSource,
    latents: LinearLatents,
    layer: LayerCall = run_layer,
) -> CompactModel:
    """Tune `model` for the minutes of `config`; gives the averaged one. `layer` runs a layer."""
    loss = SequenceLoss(latents, config.seed, layer)
    learner, budget, rng = Learner(model, config.rates, kept=0.99), Budget(config.minutes), random.Random(config.seed)
    meter = LossLog("tune", budget)
    while budget.share < 1:
        for kind, batch, history in own_streams(config, model, source, rng):
            value = loss(model, batch, history)
            learner.descend(value, cosine_rate(learner.step, budget.share))
            meter.add(kind, value)
    meter.write()
    return learner.average


def own_streams(
    config: StoryTuning, model: CompactModel, source: SequenceSource, rng: random.Random
) -> Iterator[tuple[str, StoryBatch, Tensor]]:
    """Batches of one kind, each with what the model has made in place of its clips: [B, n, C, h, w]."""
    kind = rng.choices([*KINDS], [*KINDS.values()])[0]
    draw = {"stream": source.streams, "switch": source.switches, "stale": source.stale}[kind]
    batch = draw(config.rolled, config.length, is_full=False)
    made = roll_out(model, batch, source.generator)
    for rows in torch.arange(len(made), device=made.device).split(config.sequences):
        yield kind, rows_of(batch, rows), made[rows]


def rows_of(batch: StoryBatch, rows: Tensor) -> StoryBatch:
    """Some of the sequences of a batch."""
    tensors: dict[str, Any] = {name: part[rows] for name, part in vars(batch).items() if isinstance(part, Tensor)}
    return replace(batch, **tensors)


@torch.no_grad()
def roll_out(model: CompactModel, batch: StoryBatch, generator: torch.Generator) -> Tensor:
    """The model's own streams under the words and dials of each sequence.

    Its first block is where they begin, as the last two steps of play redraw it.
    """
    changes_at = batch.cut or batch.stale
    with torch.autocast(generator.device.type, torch.bfloat16):
        streams = Streams(model, batch.old if changes_at else batch.new, RECIPE, generator)
        first, dials = batch.latents[:, :1], batch.dials[:, :1]
        for level in SIGMAS[-2:]:
            noisy = (1 - level) * first + level * streams.noise()
            first = streams.predict(noisy, level, dials).float()
        streams.append(first, dials)
        made = [first]
        for block in range(1, batch.latents.shape[1]):
            if block == changes_at:
                streams.set_texts(batch.new)
                if batch.cut:
                    streams.recache()
            made.append(streams.next_block(batch.dials[:, block : block + 1]).float())
    return torch.cat(made, 1)
