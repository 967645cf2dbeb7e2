"""The loss of a batch of sequences: x0 by teacher forcing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from world.compact.decoder import LinearLatents
from world.compact.model import CompactModel
from world.train.learn.x0 import X0Loss, noise_latents
from world.train.story.form import SIGMAS
from world.train.story.noise import draw_levels, lightly_noised
from world.train.story.predict import LayerCall, TeacherForcing, run_layer
from world.train.story.sequences import StoryBatch

MOTION = 2.0  # weight of the squared error of what changes from picture to picture
DETAIL = 8.0  # weight of the error of how much detail there is
GROUND_WEIGHT = 2.0  # weight of the lowest quarter of the picture, where the near ground is: it alone tells the way
BANDS = ((2, 8), (8, 16), (16, 32), (32, 64))  # components of latents, from coarse to fine


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
        true, is_single = batch.latents[:, batch.first :], batch.latents.shape[1] == 1
        sigma = draw_levels((len(true), true.shape[1]), self.played, self.generator)
        noisy = noise_latents(true, sigma, torch.randn(true.shape, generator=self.generator, device=true.device))
        words, spans = (batch.old, batch.new), (batch.cut, batch.stale)
        past = (batch.latents if history is None else history)[:, :-1]  # no block of the sequence sees the last one
        clean = None if is_single else lightly_noised(past, self.generator)
        predict = self.singles if is_single else self.forcing
        with torch.autocast(true.device.type, torch.bfloat16), quick_backward(true.device):
            made = predict(model, noisy, sigma, clean, words, batch.dials, spans)
        weight = batch.weight[:, batch.first :] * ground_weight(true)
        error = self.x0_loss(made.float(), true, sigma, weight)
        return error + DETAIL * detail_error(made.float(), true)


def ground_weight(latents: Tensor) -> Tensor:
    """How much each row of latents [B, n, C, h, w] counts: [h, 1]."""
    rows = latents.shape[-2]
    weight = torch.ones(rows, 1, device=latents.device)
    weight[rows - rows // 4 :] = GROUND_WEIGHT
    return weight


def detail_error(made: Tensor, true: Tensor) -> Tensor:
    """How far the strength of detail is from the truth's, in each row of latents [B, n, C, h, w], whatever its place.

    The best guess of where something is that nobody can place is a blur. A blur that is guessed from a blur is a mist,
    block after block; so detail has to be as strong as it is in true blocks. Squared deviations of latents.
    """
    apart = []
    for first, end in BANDS:
        found, wanted = ((x[:, :, first:end].square().mean((2, 4)) + 1e-3).sqrt() for x in (made, true))
        apart.append((found - wanted).square().mean())
    return torch.stack(apart).mean()


def quick_backward(device: torch.device) -> AbstractContextManager[None]:
    """Lets attention be computed in the way whose gradients cost least on a device.

    On a CPU those of the fused kernel take a third of a step; written out, a step takes three quarters of the time.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
