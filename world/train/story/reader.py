"""A network that reads the attributes of a scene from two blocks. It is trained on rendered clips only."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.compact.packed import read_packed, write
from world.train.learn.budget import Budget
from world.train.story.form import TALE
from world.train.story.library import StoryLibrary
from world.train.story.sequences import read_pairs
from world.train.story.steps import cosine_rate
from world.train.tale.words import ATTRIBUTES, VALUES

log = logging.getLogger(__name__)
RATE, BATCH = 2e-3, 256
NOISE = 0.25  # the most noise that is added to what it reads


class SceneReader(nn.Module):
    """Reads every attribute from two blocks of latents.

    It sees textures more than a person does and is kind to pictures that look broken: look at the sheets too.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        g = TALE.geometry
        sizes = ((2 * g.channels, width, 1), (width, width, 1), (width, 2 * width, 2), (2 * width, 2 * width, 1))
        self.layers = nn.Sequential(*(layer for size in sizes for layer in self._layer(*size)))
        self.join = nn.Linear(2 * width * -(-g.rows // 2) * -(-g.columns // 2), 256)
        self.heads = nn.ModuleDict({f"is_{name}": nn.Linear(256, len(VALUES[name])) for name in ATTRIBUTES})

    @staticmethod
    def _layer(inward: int, outward: int, stride: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(inward, outward, 3, stride, 1), nn.GroupNorm(8, outward), nn.GELU()

    def forward(self, pair: Tensor) -> dict[str, Tensor]:
        """The logits of each attribute, [B, values], for pair [B, 2, C, h, w]."""
        features = F.dropout(self.layers(pair.flatten(1, 2)).flatten(1), 0.2, self.training)
        features = F.gelu(self.join(features))
        return {name: self.heads[f"is_{name}"](features) for name in ATTRIBUTES}

    @torch.no_grad()
    def read(self, pair: Tensor) -> Tensor:
        """The likeliest value of each attribute: int64 [B, attributes]."""
        return torch.stack([logits.argmax(1) for logits in self(pair).values()], 1)


def train_reader(library: StoryLibrary, minutes: float, batch: int = BATCH, seed: int = 77) -> SceneReader:
    """A reader, trained for `minutes` on the clips of `library`, on their device."""
    torch.manual_seed(seed)
    generator = torch.Generator(library.device).manual_seed(seed)
    model, budget, step, loss = SceneReader().to(library.device), Budget(minutes), 0, torch.zeros(())
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    while budget.share < 1:
        optimiser.param_groups[0]["lr"] = RATE * cosine_rate(step, budget.share)
        pairs, numbers = read_pairs(library, batch, generator)
        noise = torch.randn(pairs.shape, generator=generator, device=pairs.device)
        level = NOISE * torch.rand(len(pairs), 1, 1, 1, 1, generator=generator, device=pairs.device)
        logits = model(pairs + level * noise)
        loss = torch.stack([F.cross_entropy(part, numbers[:, n]) for n, part in enumerate(logits.values())]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
    log.info("reader: %d steps, loss %.3f", step, loss.item())
    return model.eval().requires_grad_(False)


def save_reader(path: Path, reader: SceneReader) -> None:
    """Write a reader's weights."""
    write(path, reader.state_dict())


def load_reader(path: Path) -> SceneReader:
    """The reader in a file; raises WorldError if it cannot be read."""
    reader = SceneReader()
    reader.load_state_dict(read_packed(path))
    return reader.eval().requires_grad_(False)
