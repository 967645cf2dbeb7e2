"""Tuning on what the model made itself: that is the history, and the rendered clip is what should follow.

Mostly each block of a clip is redrawn after the true ones before it, by the last steps of play: it looks as the model
draws, and is still where the clip is. Otherwise a stream goes on by itself from one such block, changes its words as in
play (with a recache, or now and then over the stale cache), and drifts as it does in play. Each block is then trained,
by teacher forcing, to be what was rendered for this moment. Truth exists, so no teacher has to judge.

A stream of its own that has lost its clip says nothing of where the clip goes on, and learning from it alone teaches
the mean of all places, which is a blur.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel
from world.train.learn.budget import Budget
from world.train.learn.rollout import SamplingRecipe, Streams
from world.train.learn.x0 import noise_latents
from world.train.story.form import SIGMAS, TALE
from world.train.story.loss import SequenceLoss
from world.train.story.predict import LayerCall, TeacherForcing, run_layer
from world.train.story.sequences import SequenceSource, StoryBatch
from world.train.story.steps import Learner, LossLog, cosine_rate

RECIPE = SamplingRecipe(SIGMAS, window=TALE.window, sink=TALE.sink)
LAST_TWO, FROM_NOISE = SIGMAS[-2:], (1.0, SIGMAS[-1])  # noise levels by which a history is redrawn
KINDS = {"opening": 0.12, "stream": 0.26, "switch": 0.44, "stale": 0.18}  # openings too: they would be forgotten
REDRAWN = 0.75  # the share of the other batches whose history is redrawn; the rest are streams of its own


@dataclass(frozen=True)
class StoryTuning:
    """How streams are tuned. singles, sequences: in a step, of openings and of streams; rolled: own streams at once."""

    minutes: float
    singles: int = 2048
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
    meter, predict = LossLog("tune", budget), TeacherForcing(source.library.device)
    while (share := budget.share) < 1:
        for kind, batch, history in own_batches(config, model, source, predict, rng):
            value = loss(model, batch, history)
            learner.descend(value, cosine_rate(learner.step, share))
            meter.add(kind, value)
    meter.write()
    return learner.average


def own_batches(
    config: StoryTuning, model: CompactModel, source: SequenceSource, predict: TeacherForcing, rng: random.Random
) -> Iterator[tuple[str, StoryBatch, Tensor | None]]:
    """Batches of one kind, each with what the model has made in place of its clips: [B, n, C, h, w]; None of openings.

    In the log, kinds of streams of its own are called `own`.
    """
    kind = rng.choices([*KINDS], [*KINDS.values()])[0]
    if kind == "opening":
        yield kind, source.openings(config.singles), None
        return
    draw = {"stream": source.streams, "switch": source.switches, "stale": source.stale}[kind]
    rolls = -(-config.rolled // config.sequences)  # batches that one turn of streams of its own gives
    if rng.random() < rolls * REDRAWN / (rolls * REDRAWN + 1 - REDRAWN):
        batch = draw(config.sequences, config.length)
        yield kind, batch, redraw_history(model, batch, predict, source.generator)
        return
    batch = draw(config.rolled, config.length, is_full=False)
    made = roll_out(model, batch, source.generator)
    for rows in torch.arange(len(made), device=made.device).split(config.sequences):
        yield f"own {kind}", rows_of(batch, rows), made[rows]


def rows_of(batch: StoryBatch, rows: Tensor) -> StoryBatch:
    """Some of the sequences of a batch."""
    tensors: dict[str, Any] = {name: part[rows] for name, part in vars(batch).items() if isinstance(part, Tensor)}
    return replace(batch, **tensors)


@torch.no_grad()
def redraw_history(
    model: CompactModel,
    batch: StoryBatch,
    predict: TeacherForcing,
    generator: torch.Generator,
    levels: Sequence[float] = LAST_TWO,
) -> Tensor:
    """Each block of the sequences as steps at these noise levels redraw it after true ones: [B, n, C, h, w].

    The first two blocks of a sequence have little or nothing that says where they are: they are never drawn from pure
    noise.
    """
    true, spans = batch.latents, (batch.cut, batch.stale)
    changes_at = batch.cut or batch.stale
    is_before = (torch.arange(true.shape[1], device=true.device) < changes_at).view(1, -1, 1, 1, 1)
    made = true
    for level in levels:
        sigma = torch.full(true.shape[:2], level, device=true.device)
        sigma[:, :2] = min(level, LAST_TWO[0])
        noise = torch.randn(true.shape, generator=generator, device=true.device)
        noisy = noise_latents(made, sigma, noise)
        with torch.autocast(true.device.type, torch.bfloat16):
            made = predict(model, noisy, sigma, true, (batch.old, batch.new), batch.dials, spans).float()
            if changes_at:  # until then they were made under the old words
                before = predict(model, noisy, sigma, true, (batch.old, batch.old), batch.dials)
                made = torch.where(is_before, before.float(), made)
    return made


@torch.no_grad()
def roll_out(model: CompactModel, batch: StoryBatch, generator: torch.Generator) -> Tensor:
    """The model's own streams under the words and dials of each sequence.

    Its first block is where they begin, as the last two steps of play redraw it.
    """
    changes_at = batch.cut or batch.stale
    with torch.autocast(generator.device.type, torch.bfloat16):
        streams = Streams(model, batch.old if changes_at else batch.new, RECIPE, generator)
        first, dials = batch.latents[:, :1], batch.dials[:, :1]
        for level in LAST_TWO:
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
