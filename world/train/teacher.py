"""The teacher of streaming long tuning: a judge of whole clips, every block of which sees every other."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from world.small.decoder import LinearLatents
from world.small.text import tokenize
from world.small.world import SmallModel, clip
from world.train.base import BaseConfig, Trainer, mix, shifted
from world.train.batches import Batch
from world.train.library import Library
from world.train.losses import NOISE_SHIFT
from world.train.place import bfloat16, load


class TeacherTrainer(Trainer):
    """Trains a model on clips of one noise level, from the weights of the base in `base` on."""

    def __init__(
        self, config: BaseConfig, library: Library, latents: LinearLatents, out: Path, base: Path, rank: int = 0
    ) -> None:
        self.base = base
        super().__init__(config, library, latents, out, rank)

    def start(self) -> SmallModel:
        """The base: what it knows of scenes and motion holds for whole clips too."""
        return SmallModel.of(load(self.base)["average"])

    def draw(self, share: float, rng: random.Random) -> tuple[str, Batch]:
        """Clips, half of which change under new words after their first block."""
        return "clip", self.source.clips(self.config.streams, self.config.length)

    def loss(self, batch: Batch) -> Tensor:
        """Of clips that are equally noisy throughout, as a judge of a whole clip meets them."""
        true, (b, n) = batch.latents, batch.latents.shape[:2]
        sigma = shifted(torch.rand(b, 1, generator=self.chance), NOISE_SHIFT).clamp(0.02, 0.98).expand(b, n)
        noisy = mix(true, sigma, self.noise(true))
        with bfloat16():
            made = self.model(noisy, 1000 * sigma, tokenize(batch.texts), batch.dials, clip(n))
        return self.x0_loss(made.float(), true, sigma, batch.counted)
