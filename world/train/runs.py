"""Runs of streams for tuning: far beyond a clip, under words and dials that change, over the model's own cache."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from world.small.world import SmallModel
from world.train.captions import KINDS, SCENES, Look, caption, describe, imagine, some_kinds
from world.train.render import dial_paths
from world.train.rollout import Recipe, Streams

SCENES_SEEN = (*SCENES, "plasma", "plasma", "waves")  # those that the base moves worst, more often
FEW = (1.0, 0.9375, 0.8333, 0.625)  # steps 1000, 750, 500, 250 at shift 5


@dataclass(frozen=True)
class RunConfig:
    """What runs are like. Lengths are in blocks."""

    streams: int = 16
    longest: int = 57
    switching: float = 0.6  # of the chunks after the first begin under new words
    stale: float = 0.7  # of those, the cache keeps the old words for a chunk, and the old scene goes on
    scenes: tuple[str, ...] = SCENES_SEEN
    steps: tuple[float, ...] = FEW


@dataclass
class Run:
    """Streams on their way: their caches, what they show, the dials to come, and the last block.

    since: blocks made since the words on screen came into force; coming: what the words ask for, while the cache still
    holds the old ones.
    """

    streams: Streams
    looks: list[Look]
    told: list[str]  # what the judges are told: in full, what the present words ask for
    dials: Tensor
    made: int = 0
    since: int = 0
    last: Tensor | None = None
    coming: list[Look] | None = None

    def went_on(self, fresh: Tensor) -> None:
        """Take note of new blocks [B, n, C, h, w]."""
        self.made, self.since = self.made + fresh.shape[1], self.since + fresh.shape[1]
        self.last = fresh[:, -1:].detach()


class Runs:
    """One run after the other of `model`. Owns the present one; draws from `rng` and `generator`."""

    def __init__(self, config: RunConfig, model: SmallModel, rng: random.Random, generator: torch.Generator) -> None:
        self.config, self.model, self.rng, self.generator = config, model, rng, generator
        self.present: Run | None = None

    def at_a_boundary(self) -> Run:
        """The run as its next chunk finds it: a new one where the last has ended, under new words where they change."""
        run, config = self.present, self.config
        if run is None or run.made >= config.longest:
            run = self.present = self._begin()
            return run
        if run.coming is None and self.rng.random() < config.switching:
            self.say_new_words(run)
            if self.rng.random() < config.stale:
                return run
        if run.coming:
            self.recache(run)
        return run

    def say_new_words(self, run: Run) -> None:
        """New words from here on, which need not say everything; the judges still expect the old scene."""
        texts = self._texts([some_kinds(self.rng) for _ in run.looks])
        run.coming = [imagine(text, look) for text, look in zip(texts, run.looks, strict=True)]
        run.streams.say(texts)

    def recache(self, run: Run) -> None:
        """The history re-encoded under the present words, which from here on hold for the judges too."""
        run.looks, run.coming, run.since = run.coming, None, 0
        run.told = [describe(look, self.rng) for look in run.looks]
        run.streams.recache()

    def _begin(self) -> Run:
        config, rng = self.config, self.rng
        texts = self._texts([KINDS if rng.random() < 0.6 else None for _ in range(config.streams)])
        looks = [imagine(text) for text in texts]
        dials = dial_paths(config.streams, config.longest, self.generator, moved=0.4)
        streams = Streams(self.model, texts, Recipe(config.steps), self.generator)
        return Run(streams, looks, [describe(look, rng) for look in looks], dials)

    def _texts(self, kinds: Sequence[tuple[str, ...] | None]) -> list[str]:
        return [caption(self.rng, named, self.config.scenes) for named in kinds]
