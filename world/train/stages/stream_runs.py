"""Long runs of streams for the tuning: over the model's own cache, under texts and dials that change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from world.compact.model import CompactModel
from world.train.data.captions import (
    ATTRIBUTES,
    SCENES,
    Look,
    describe_look,
    look_of,
    random_attributes,
    random_caption,
)
from world.train.data.render import random_dials
from world.train.learn.rollout import SamplingRecipe, Streams

TUNED_SCENES = (*SCENES, "plasma", "plasma", "waves")  # the scenes that the base moves worst are drawn more often
TUNED_SIGMAS = (1.0, 0.9375, 0.8333, 0.625)  # steps 1000, 750, 500, 250 at shift 5


@dataclass(frozen=True)
class RunConfig:
    """What runs are like."""

    streams: int = 16
    longest: int = 57  # blocks
    switching: float = 0.6  # the share of the chunks after the first that begin under new texts
    stale: float = (
        0.7  # the share of those whose cache keeps the old texts for one chunk, so that the old scene goes on
    )
    scenes: tuple[str, ...] = TUNED_SCENES
    steps: tuple[float, ...] = TUNED_SIGMAS


@dataclass
class StreamRun:
    """A batch of streams in the middle of its run.

    looks: what is on screen; full_texts: the complete descriptions of it, for teacher and critic; dials: of the whole
    run, [B, longest, 4]; block_count, since_switch: blocks made in all, and since `looks` took effect; last: the last
    block [B, 1, C, h, w]; pending: the looks that new texts ask for, while the cache is still encoded under the old
    ones.
    """

    streams: Streams
    looks: list[Look]
    full_texts: list[str]
    dials: Tensor
    block_count: int = 0
    since_switch: int = 0
    last: Tensor | None = None
    pending: list[Look] | None = None

    def add_blocks(self, new: Tensor) -> None:
        """Count new blocks [B, n, C, h, w] and keep the last of them."""
        self.block_count, self.since_switch = self.block_count + new.shape[1], self.since_switch + new.shape[1]
        self.last = new[:, -1:].detach()

    def change_texts(self, texts: list[str]) -> None:
        """Use new texts, which need not name everything, from here on; the cache stays encoded under the old ones."""
        self.pending = [look_of(text, look) for text, look in zip(texts, self.looks, strict=True)]
        self.streams.set_texts(texts)

    def recache(self, rng: random.Random) -> None:
        """Encode the history again under the present texts, whose looks are from here on expected on screen."""
        if self.pending is None:
            raise ValueError("recache without a change of texts: call change_texts first")
        self.looks, self.pending, self.since_switch = self.pending, None, 0
        self.full_texts = [describe_look(look, rng) for look in self.looks]
        self.streams.recache()


class RunSource:
    """Makes one run of `model` after the other. Owns the present one; draws from `rng` and `generator`."""

    def __init__(self, config: RunConfig, model: CompactModel, rng: random.Random, generator: torch.Generator) -> None:
        self.config, self.model, self.rng, self.generator = config, model, rng, generator
        self.present: StreamRun | None = None

    def before_chunk(self) -> StreamRun:
        """The run that the next chunk continues: a new one after the last has ended; its texts change now and then."""
        run, config = self.present, self.config
        if run is None or run.block_count >= config.longest:
            run = self.present = self._start()
            return run
        if run.pending is None and self.rng.random() < config.switching:
            run.change_texts(self.new_texts())
            if self.rng.random() < config.stale:
                return run
        if run.pending is not None:
            run.recache(self.rng)
        return run

    def new_texts(self) -> list[str]:
        """Random texts that need not name everything, one for each stream."""
        return self._texts([random_attributes(self.rng) for _ in range(self.config.streams)])

    def _start(self) -> StreamRun:
        config, rng = self.config, self.rng
        texts = self._texts([ATTRIBUTES if rng.random() < 0.6 else None for _ in range(config.streams)])
        looks = [look_of(text) for text in texts]
        dials = random_dials(config.streams, config.longest, self.generator, moved=0.4)
        streams = Streams(self.model, texts, SamplingRecipe(config.steps), self.generator)
        return StreamRun(streams, looks, [describe_look(look, rng) for look in looks], dials)

    def _texts(self, attributes: Sequence[tuple[str, ...] | None]) -> list[str]:
        return [random_caption(self.rng, named, self.config.scenes) for named in attributes]
