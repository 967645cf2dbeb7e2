"""The teacher of streaming long tuning: a model of whole clips, in which every block sees every other."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel, clip
from world.compact.text import tokenize
from world.train.data.batches import Batch
from world.train.data.library import Library
from world.train.learn.checkpoint import load_checkpoint
from world.train.learn.device import bfloat16_autocast
from world.train.learn.losses import NOISE_SHIFT
from world.train.learn.x0 import noise_latents, shift_noise_levels
from world.train.stages.base import BaseConfig, BaseTrainer


class TeacherTrainer(BaseTrainer):
    """Trains the teacher on clips with one noise level each, starting from the base in the checkpoint `base`."""

    def __init__(
        self, config: BaseConfig, library: Library, latents: LinearLatents, out: Path, base: Path, rank: int = 0
    ) -> None:
        self.base = base
        super().__init__(config, library, latents, out, rank)

    def initial_model(self) -> CompactModel:
        """The base: what it knows of scenes and motion holds for whole clips too."""
        return CompactModel.of(load_checkpoint(self.base)["average"])

    def draw_batch(self, share: float, rng: random.Random) -> tuple[str, Batch]:
        """Whole clips, at any time of the training."""
        return "clip", self.source.clips(self.config.streams, self.config.length)

    def loss(self, batch: Batch) -> Tensor:
        """The loss of clips whose blocks all have the same noise level, as the tuning will show them to the teacher."""
        x0, (b, n) = batch.latents, batch.latents.shape[:2]
        uniform = torch.rand(b, 1, generator=self.generator)
        sigma = shift_noise_levels(uniform, NOISE_SHIFT).clamp(0.02, 0.98).expand(b, n)
        noisy = noise_latents(x0, sigma, self.noise_like(x0))
        with bfloat16_autocast():
            made = self.model(noisy, 1000 * sigma, tokenize(batch.texts), batch.dials, clip(n))
        return self.x0_loss(made.float(), x0, sigma, batch.counted[..., None, None, None])
