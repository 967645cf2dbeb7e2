"""The scene of a clip, told by a network that has seen rendered clips only, never generated ones."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.small.decoder import LinearLatents
from world.train.batches import Source
from world.train.captions import SCENES, SPEEDS, Look
from world.train.library import Library
from world.train.progress import Budget, rate

log = logging.getLogger(__name__)
WAYS = tuple(sorted({way for ways in SCENES.values() for way in ways}))
LABELS = {"scene": tuple(SCENES), "direction": WAYS, "speed": tuple(SPEEDS)}


class Recogniser(nn.Module):
    """Scene, direction and speed of two blocks in latents. It reads texture and flatters: look at the sheet too."""

    def __init__(self, channels: int, rows: int, columns: int, width: int = 64) -> None:
        super().__init__()
        sizes = ((2 * channels, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 2))
        self.layers = nn.Sequential(*(layer for size in sizes for layer in self._layer(*size)))
        size = -(-rows // 4) * -(-columns // 4)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * width * size, len(of)) for name, of in LABELS.items()})

    @staticmethod
    def _layer(inward: int, outward: int, stride: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inward, outward, 3, stride, 1), nn.GroupNorm(8, outward), nn.GELU()

    def forward(self, pair: Tensor) -> dict[str, Tensor]:
        """pair [B, 2, C, h, w] -> logits of each label."""
        seen = F.dropout(self.layers(pair.flatten(1, 2)).flatten(1), 0.2, self.training)
        return {name: head(seen) for name, head in self.heads.items()}

    @torch.no_grad()
    def hits(self, pair: Tensor, looks: list[Look]) -> dict[str, Tensor]:
        """For each label, which of the looks were recognised, [B] bool."""
        return {name: logits.argmax(1) == targets(looks, name) for name, logits in self(pair).items()}


def targets(looks: list[Look], label: str) -> Tensor:
    """Class numbers of one label."""
    return torch.tensor([LABELS[label].index(getattr(look, label)) for look in looks])


def train_recogniser(library: Library, latents: LinearLatents, minutes: float, seed: int = 0) -> Recogniser:
    """A recogniser of the clips in `library`."""
    torch.manual_seed(seed)
    g, source = latents.geometry, Source(library, latents, seed + 77)
    model = Recogniser(g.channels, g.rows, g.columns)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    budget, step = Budget(minutes), 0
    while budget.share < 1:
        optimiser.param_groups[0]["lr"] = 2e-3 * rate(step, budget.share)
        pairs, looks = source.pairs(48)
        pairs = pairs + torch.randn_like(pairs) * 0.1 * torch.rand(len(pairs), 1, 1, 1, 1)
        out = model(pairs)
        loss = sum(F.cross_entropy(out[name], targets(looks, name)) for name in LABELS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
    log.info("recogniser: %d steps, loss %.3f", step, loss.item())
    return model.eval()
