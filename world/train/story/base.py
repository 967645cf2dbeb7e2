"""The base of the storybook: openings, then streams, then switches, by teacher forcing on rendered clips."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel
from world.train.learn.budget import Budget
from world.train.story.loss import SequenceLoss
from world.train.story.predict import LayerCall, TeacherForcing, run_layer
from world.train.story.sequences import SequenceSource, StoryBatch
from world.train.story.steps import Learner, LossLog, cosine_rate, seconds_a_step
from world.train.story.tune import FROM_NOISE, LAST_TWO, redraw_history

log = logging.getLogger(__name__)
SHARES = {"opening": 0.2, "stream": 0.3, "switch": 0.4, "stale": 0.1}  # of the batches, in the end
SHARES_FURTHER = {"opening": 0.13, "stream": 0.25, "switch": 0.5, "stale": 0.12}
TRIAL_STEPS = 5
CHECK_EVERY_S = 60.0


@dataclass(frozen=True)
class StoryBase:
    """How the base is trained. singles, sequences: in a batch.

    lengths: blocks of a sequence, drawn anew for each batch; of shorter sequences a batch has more. redrawn: the share
    of batches whose history the model draws again, so that it learns from what it makes; not in the last part of the
    time, for what follows from true histories alone goes the way that is asked more often. shares: of the kinds of
    batch.
    """

    minutes: float
    singles: int = 2048
    sequences: int = 256
    lengths: tuple[int, ...] = (8,)
    redrawn: float = 0.0
    redrawn_until: float = 0.7  # of the time
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    openings_until: float = 0.1  # of the time there are openings only: a scene from nothing is the hard part
    streams_until: float = 0.25  # of the time no words change: a stream must hold a scene before it can leave it
    rates: tuple[float, float] = (1e-2, 2e-3)
    seed: int = 0

    def further(self) -> StoryBase:
        """The same for a world that is trained on: all kinds from the beginning, lower rates, redrawn histories."""
        return replace(
            self,
            openings_until=0.0,
            streams_until=0.0,
            lengths=(4, 5, 8),
            redrawn=0.6,
            shares=SHARES_FURTHER,
            rates=(4e-3, 8e-4),
        )


def train_base(
    config: StoryBase,
    model: CompactModel,
    source: SequenceSource,
    latents: LinearLatents,
    save: Callable[[CompactModel], None],
) -> tuple[CompactModel, LayerCall]:
    """Train `model` for the minutes of `config`; gives the averaged one, and what ran its layers fastest.

    `save` is called with the averaged model every minute.
    """
    loss = SequenceLoss(latents, config.seed)
    learner, budget = Learner(model, config.rates), Budget(config.minutes)
    meter, rng, saved_s, is_tried = LossLog("base", budget), random.Random(config.seed), 0.0, False
    predict = TeacherForcing(source.library.device)

    def learn(kind: str) -> None:
        # the rate is that of the moment when a step begins: one that outlasts the time is not for nothing
        share, batch, history = budget.share, draw_batch(source, config, kind, rng), None
        if is_redrawn(config, kind, share, rng):
            history = redraw_history(model, batch, predict, source.generator, rng.choice((LAST_TWO, FROM_NOISE)))
        value = loss(model, batch, history)
        learner.descend(value, cosine_rate(learner.step, share))
        meter.add(kind, value)

    while budget.share < 1:
        if budget.share >= config.openings_until and not is_tried:
            choose_layer(loss, lambda: learn("stream"), source.library.device)
            is_tried = True
        learn(choose_kind(config, budget.share, rng))
        if budget.used_s - saved_s > CHECK_EVERY_S:
            save(learner.average)
            saved_s = budget.used_s
    meter.write()
    return learner.average, loss.forcing.layer


def is_redrawn(config: StoryBase, kind: str, share: float, rng: random.Random) -> bool:
    """Whether the model draws the history of a batch again after so much of the time; an opening has none."""
    return kind != "opening" and share < config.redrawn_until and rng.random() < config.redrawn


def choose_kind(config: StoryBase, share: float, rng: random.Random) -> str:
    """The kind of the next batch, when `share` of the time is used."""
    if share < config.openings_until:
        return "opening"
    kinds = ["opening", "stream"] if share < config.streams_until else [*config.shares]
    return rng.choices(kinds, [config.shares[kind] for kind in kinds])[0]


def draw_batch(source: SequenceSource, config: StoryBase, kind: str, rng: random.Random) -> StoryBatch:
    """The next batch of a kind."""
    if kind == "opening":
        return source.openings(config.singles)
    draw = {"stream": source.streams, "switch": source.switches, "stale": source.stale}[kind]
    length = rng.choice(config.lengths)
    return draw(config.sequences * max(config.lengths) // length, length)


def choose_layer(loss: SequenceLoss, step: Callable[[], None], device: torch.device) -> None:
    """Let `loss` run its layers compiled if that is measured to be faster; on a CPU nothing is tried.

    The steps of the trial train the model like any other. A compiler that fails costs its time and nothing else.
    """
    if device.type != "cuda":
        return
    plain_s = seconds_a_step(step, device, TRIAL_STEPS)
    loss.forcing.layer = torch.compile(run_layer, dynamic=False)
    try:
        compiled_s = seconds_a_step(step, device, TRIAL_STEPS)
    except Exception as error:  # whatever a compiler raises
        log.warning("layers cannot be compiled here: %s", " ".join(str(error).split())[:300])
        compiled_s = float("inf")
    if compiled_s > 0.95 * plain_s:
        loss.forcing.layer = run_layer
    log.info("a step takes %.1f ms plain, %.1f ms compiled", 1000 * plain_s, 1000 * compiled_s)
