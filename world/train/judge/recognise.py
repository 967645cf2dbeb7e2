"""A network that recognises the scene of a clip. It is trained on rendered clips only, never on generated ones."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.compact.decoder import LinearLatents
from world.train.data.batches import BatchSource
from world.train.data.captions import SCENES, SPEEDS, Look
from world.train.data.library import Library
from world.train.learn.budget import Budget, learning_rate_factor

log = logging.getLogger(__name__)
LABELS = {
    "scene": tuple(SCENES),
    "direction": tuple(sorted({direction for directions in SCENES.values() for direction in directions})),
    "speed": tuple(SPEEDS),
}
RATE = 2e-3


class Recogniser(nn.Module):
    """Recognises scene, direction and speed of two blocks in latents.

    It mostly sees textures and is kind to pictures that a person would call broken: look at the contact sheet too.
    """

    def __init__(self, channels: int, rows: int, columns: int, width: int = 64) -> None:
        super().__init__()
        sizes = ((2 * channels, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 2))
        self.layers = nn.Sequential(*(layer for size in sizes for layer in self._layer(*size)))
        size = -(-rows // 4) * -(-columns // 4)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width * size, len(values)) for name, values in LABELS.items()})

    @staticmethod
    def _layer(inward: int, outward: int, stride: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inward, outward, 3, stride, 1), nn.GroupNorm(8, outward), nn.GELU()

    def forward(self, pair: Tensor) -> dict[str, Tensor]:
        """The logits of each label, [B, classes], for pair [B, 2, C, h, w]."""
        features = F.dropout(self.layers(pair.flatten(1, 2)).flatten(1), 0.2, self.training)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.no_grad()
    def hits(self, pair: Tensor, looks: list[Look]) -> dict[str, Tensor]:
        """For each label, whether it was recognised as in the looks: bool [B]."""
        return {name: logits.argmax(1) == label_classes(looks, name) for name, logits in self(pair).items()}


def label_classes(looks: list[Look], label: str) -> Tensor:
    """The class numbers [B] of one label of the looks."""
    return torch.tensor([LABELS[label].index(getattr(look, label)) for look in looks])


def train_recogniser(library: Library, latents: LinearLatents, minutes: float, seed: int = 0) -> Recogniser:
    """A recogniser, trained for `minutes` on the clips of `library`."""
    torch.manual_seed(seed)
    g, source = latents.geometry, BatchSource(library, latents, seed + 77)
    model = Recogniser(g.channels, g.rows, g.columns)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    budget, step, loss = Budget(minutes), 0, torch.zeros(())
    while budget.share < 1:
        optimiser.param_groups[0]["lr"] = RATE * learning_rate_factor(step, budget.share)
        pairs, looks = source.pairs(48)
        pairs = pairs + torch.randn_like(pairs) * 0.1 * torch.rand(len(pairs), 1, 1, 1, 1)
        logits = model(pairs)
        losses = [F.cross_entropy(logits[name], label_classes(looks, name)) for name in LABELS]
        loss = sum(losses, torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
    log.info("recogniser: %d steps, loss %.3f", step, loss.item())
    return model.eval()
