"""Many streams at once, as training and evaluation need them: no ring and no banks, only the last blocks' keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from world.attend import attention
from world.rope import rotate, rotation
from world.small import CONFIG, GRID, SmallModel
from world.text import tokenize

Keys = list[tuple[Tensor, Tensor]]  # of each layer, [B, N, heads, head_dim]


@dataclass(frozen=True)
class Recipe:
    """How blocks are denoised: noise levels from high to low; guidance 1 is none; window and sink in blocks."""

    sigmas: tuple[float, ...] = (1.0, 0.9375, 0.8333, 0.625)
    guidance: float = 1.0
    renoise: bool = True  # fresh noise for every step, as few-step models are used; else the noise of the last step
    window: int = 8
    sink: int = 1


class Past:
    """Attention of one block over the blocks kept so far and itself. Owns its blocks' keys and values."""

    def __init__(self, kept: list[Keys]) -> None:
        self.kept, self.made = kept, []
        positions = torch.arange(len(kept) + 1)
        self.table = rotation(positions, GRID, CONFIG.head_dim)
        self.own = rotation(positions[-1:], GRID, CONFIG.head_dim)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.made.append((k, v))
        keys = torch.cat([block[layer][0] for block in self.kept] + [k], 1)
        values = torch.cat([block[layer][1] for block in self.kept] + [v], 1)
        return attention(rotate(q, self.own), rotate(keys, self.table), values)


class Streams:
    """A batch of streams that go on under their texts. Owns their caches and what was made of them."""

    def __init__(self, model: SmallModel, texts: Sequence[str], recipe: Recipe, generator: torch.Generator) -> None:
        self.model, self.recipe, self.generator = model, recipe, generator
        self.kept: list[list[Keys]] = [[], []]  # with the words, and without any for guidance
        self.blocks: list[tuple[Tensor, Tensor]] = []
        self.say(texts)

    def say(self, texts: Sequence[str]) -> None:
        """New words from the next block on; caches stay as they are."""
        self.sides = [self._side(texts)] + ([self._side([""] * len(texts))] if self.recipe.guidance != 1 else [])
        self.count = len(texts)

    @torch.no_grad()
    def recache(self) -> None:
        """Encode the kept blocks again under the present words; the sink keeps its own, older ones."""
        start = min(self.recipe.sink, len(self.blocks))
        for side, _ in enumerate(self.sides):
            self.kept[side] = self.kept[side][:start]
        for latents, dials in self.blocks[start:]:
            self._remember(latents, dials)

    @torch.no_grad()
    def block(self, dials: Tensor | None = None) -> Tensor:
        """The next block, [B, 1, C, h, w]; dials [B, 1, 4]."""
        dials = torch.zeros(self.count, 1, 4) if dials is None else dials
        made = self.denoise(self._noise(), dials)
        self.append(made, dials)
        return made

    def denoise(self, x: Tensor, dials: Tensor) -> Tensor:
        """x0 from pure noise, in the recipe's steps."""
        levels = self.recipe.sigmas
        for level, after in zip(levels, [*levels[1:], None], strict=True):
            made = self.predict(x, level, dials)
            if after is None:
                return made
            noise = self._noise() if self.recipe.renoise else (x - (1 - level) * made) / level
            x = (1 - after) * made + after * noise
        raise ValueError("no noise levels: give at least one")

    def predict(self, x: Tensor, level: float, dials: Tensor) -> Tensor:
        """x0 at one noise level, guided if the recipe says so."""
        outs = [self._call(side, x, level, dials)[0] for side in range(len(self.sides))]
        return outs[0] if len(outs) == 1 else outs[1] + self.recipe.guidance * (outs[0] - outs[1])

    def append(self, latents: Tensor, dials: Tensor) -> None:
        """Take a block as made: its clean pass fills the cache."""
        self.blocks = self._drop([*self.blocks, (latents, dials)])
        self._remember(latents, dials)

    def _remember(self, latents: Tensor, dials: Tensor) -> None:
        for side, _ in enumerate(self.sides):
            self.kept[side] = self._drop([*self.kept[side], self._call(side, latents, 0.0, dials)[1]])

    def _drop(self, kept: list) -> list:
        sink, room = self.recipe.sink, self.recipe.window - 1
        return kept if len(kept) <= room else kept[:sink] + kept[sink - room :]

    def _side(self, texts: Sequence[str]) -> tuple:
        embedding, pooled = self.model.text(tokenize(list(texts)))
        return self.model.dit.words(embedding), pooled

    def _call(self, side: int, x: Tensor, level: float, dials: Tensor) -> tuple[Tensor, Keys]:
        words, pooled = self.sides[side]
        past = Past(self.kept[side])
        times = torch.full((self.count, 1), 1000 * level)
        made = self.model.dit(x, times, words, past, self.model.condition(pooled, dials))
        return made, past.made

    def _noise(self) -> Tensor:
        g = CONFIG.in_dim, 2 * GRID[0], 2 * GRID[1]
        return torch.randn(self.count, 1, *g, generator=self.generator)
