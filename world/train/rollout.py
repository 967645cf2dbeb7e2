"""Many streams at once, as training and evaluation need them: no ring, only the last blocks' keys and values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from world.dit.attend import attention
from world.dit.rope import rotate, rotation
from world.small.decoder import Geometry
from world.small.text import tokenize
from world.small.world import GRID, HEAD_DIM, SHIFT, STEPS, SmallModel

PLAYED = tuple(SHIFT * t / (1000 + (SHIFT - 1) * t) for t in STEPS)
Keys = list[tuple[Tensor, Tensor]]  # of each layer, [B, N, heads, head_dim]


@dataclass(frozen=True)
class Recipe:
    """How blocks are denoised: noise levels from high to low; guidance 1 is none; window and sink in blocks."""

    sigmas: tuple[float, ...] = PLAYED
    guidance: float = 1.0
    renoise: bool = True  # fresh noise for every step, as few-step models are used; else the noise of the last step
    window: int = 8
    sink: int = 1


class Past:
    """Attention of new blocks over the ones kept so far and one another. Owns the new blocks' keys and values."""

    def __init__(self, kept: list[Keys], fresh: int = 1) -> None:
        self.kept, self.made = kept, []
        positions = torch.arange(len(kept) + fresh)
        self.table = rotation(positions, GRID, HEAD_DIM)
        self.own = rotation(positions[-fresh:], GRID, HEAD_DIM)

    def by_block(self, fresh: int) -> list[Keys]:
        """The new keys and values, block by block."""
        split = [(k.chunk(fresh, 1), v.chunk(fresh, 1)) for k, v in self.made]
        return [[(k[block], v[block]) for k, v in split] for block in range(fresh)]

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
        self.made = 0
        self.say(texts)

    def say(self, texts: Sequence[str]) -> None:
        """New words from the next block on; caches stay as they are."""
        self.texts, self.count = list(texts), len(texts)
        self.renew()

    def forget(self) -> None:
        """An empty cache: the next block is a first one."""
        self.kept, self.blocks, self.made = [[] for _ in self.kept], [], 0

    def fork(self) -> Streams:
        """Streams that go on from here by themselves, with the same noise."""
        other = copy.copy(self)
        other.kept, other.generator = list(self.kept), self.generator.clone_state()
        return other

    def seen_by(self, model: SmallModel) -> Streams:
        """The same streams, over the same cache at any time, as another model goes on with them."""
        other = copy.copy(self)
        other.model = model
        other.renew()
        return other

    def renew(self) -> None:
        """Read the present words again: the weights have changed, or gradients are wanted."""
        empty = [[""] * self.count] if self.recipe.guidance != 1 else []
        self.sides = [self._side(texts) for texts in (self.texts, *empty)]

    @torch.no_grad()
    def recache(self) -> None:
        """Encode the kept blocks again under the present words, in one pass; a full window's sink keeps its own."""
        start = self.recipe.sink if self.made > self.recipe.window else 0
        latents, dials = (torch.cat(part, 1) for part in zip(*self.blocks[start:], strict=True))
        for side, _ in enumerate(self.sides):
            kept = self.kept[side][:start]
            self.kept[side] = kept + self._call(side, latents, 0.0, dials, kept)[1]

    @torch.no_grad()
    def block(self, dials: Tensor | None = None) -> Tensor:
        """The next block, [B, 1, C, h, w]; dials [B, 1, 4]."""
        return self.chunk(torch.zeros(self.count, 1, 4) if dials is None else dials)

    def chunk(self, dials: Tensor, steps: int | None = None) -> Tensor:
        """The next blocks, [B, n, C, h, w], for dials [B, n, 4], each taken after `steps` steps (None: all).

        Gradients, where they are on, go through the last step of each block and through nothing else.
        """
        made = []
        for dial in dials.split(1, 1):
            made.append(self.denoise(self.noise(), dial, steps or len(self.recipe.sigmas)))
            self.append(made[-1].detach(), dial)
        return torch.cat(made, 1)

    def denoise(self, x: Tensor, dials: Tensor, steps: int) -> Tensor:
        """x0 from pure noise, as it is after so many of the recipe's steps."""
        return self.predict(self.approach(x, dials, steps), self.recipe.sigmas[steps - 1], dials)

    @torch.no_grad()
    def approach(self, x: Tensor, dials: Tensor, steps: int) -> Tensor:
        """What the last of so many steps begins with."""
        for level, after in pairwise(self.recipe.sigmas[:steps]):
            made = self.predict(x, level, dials)
            noise = self.noise() if self.recipe.renoise else (x - (1 - level) * made) / level
            x = (1 - after) * made + after * noise
        return x

    def predict(self, x: Tensor, level: float, dials: Tensor) -> Tensor:
        """x0 at one noise level, guided if the recipe says so."""
        outs = [self._call(side, x, level, dials, self.kept[side])[0] for side in range(len(self.sides))]
        return outs[0] if len(outs) == 1 else outs[1] + self.recipe.guidance * (outs[0] - outs[1])

    @torch.no_grad()
    def append(self, latents: Tensor, dials: Tensor) -> None:
        """Take a block as made: its clean pass fills the cache."""
        self.blocks = self._drop([*self.blocks, (latents, dials)])
        self.made += 1
        for side, _ in enumerate(self.sides):
            keys = self._call(side, latents, 0.0, dials, self.kept[side])[1]
            self.kept[side] = self._drop([*self.kept[side], *keys])

    def _drop(self, kept: list) -> list:
        sink, room = self.recipe.sink, self.recipe.window - 1
        return kept if len(kept) <= room else kept[:sink] + kept[sink - room :]

    def _side(self, texts: Sequence[str]) -> tuple:
        embedding, pooled = self.model.text(tokenize(list(texts)))
        return self.model.dit.words(embedding), pooled

    def _call(self, side: int, x: Tensor, level: float, dials: Tensor, kept: list[Keys]) -> tuple[Tensor, list[Keys]]:
        words, pooled = self.sides[side]
        past = Past(kept, x.shape[1])
        times = torch.full(x.shape[:2], 1000 * level)
        made = self.model.dit(x, times, words, past, self.model.condition(pooled, dials))
        return made, past.by_block(x.shape[1])

    def noise(self) -> Tensor:
        """What a block begins as."""
        g = Geometry()
        return torch.randn(self.count, 1, g.channels, g.rows, g.columns, generator=self.generator)
