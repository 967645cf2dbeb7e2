"""The loss of a batch of sequences: x0 by teacher forcing."""

from __future__ import annotations

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel
from world.train.learn.x0 import X0Loss, noise_latents
from world.train.story.form import SIGMAS
from world.train.story.noise import draw_levels, lightly_noised
from world.train.story.predict import LayerCall, TeacherForcing, run_layer
from world.train.story.sequences import StoryBatch

MOTION = 1.0  # weight of the squared error of what changes from picture to picture


class SequenceLoss:
    """Computes losses. Owns the random numbers of the noise; `layer` runs a layer of batches of sequences."""

    def __init__(self, latents: LinearLatents, seed: int, layer: LayerCall = run_layer) -> None:
        device = latents.basis.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.x0_loss = X0Loss(latents, MOTION).to(device)
        self.played = torch.tensor(SIGMAS, device=device)
        self.singles, self.forcing = TeacherForcing(device), TeacherForcing(device, layer)

    def __call__(self, model: CompactModel, batch: StoryBatch, history: Tensor | None = None) -> Tensor:
        """The loss of a batch, as a number on its device; history: what stands in place of its own clean blocks."""
        true, n = batch.latents, batch.latents.shape[1]
        sigma = draw_levels((len(true), n), self.played, self.generator)
        noisy = noise_latents(true, sigma, torch.randn(true.shape, generator=self.generator, device=true.device))
        words, spans = (batch.old, batch.new), (batch.cut, batch.stale)
        clean = None if n == 1 else lightly_noised(true if history is None else history, self.generator)
        predict = self.singles if n == 1 else self.forcing
        with torch.autocast(true.device.type, torch.bfloat16):
            made = predict(model, noisy, sigma, clean, words, batch.dials, spans)
        return self.x0_loss(made.float(), true, sigma, batch.counted)
