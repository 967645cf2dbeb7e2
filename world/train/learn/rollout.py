"""Batches of streams for training and evaluation. Their cache is a plain list of the last blocks' keys and values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from world.compact.model import HEAD_DIM, CompactModel
from world.compact.small import SMALL
from world.compact.text import tokenize
from world.dit.attend import attention
from world.dit.denoise import pressed_on
from world.dit.rope import rotate, rotation
from world.info import PRESSED_BLOCKS

PLAYED_SIGMAS = tuple(SMALL.shift * t / (1000 + (SMALL.shift - 1) * t) for t in SMALL.steps)
BlockKeys = list[tuple[Tensor, Tensor]]  # keys and values of one block in each layer, [B, N, heads, head_dim]
Prompts = tuple[list[tuple[Tensor, Tensor]], Tensor]  # each layer's keys and values of the texts; their pooled vectors
Item = TypeVar("Item")


@dataclass(frozen=True)
class SamplingRecipe:
    """How blocks are denoised.

    sigmas: noise levels from high to low. guidance: 1 is none. renoise: each step gets fresh noise, as few-step models
    are used; otherwise it gets the noise that the step before has left. window, sink: in blocks. press: how strongly
    new texts are pressed on (world.dit.denoise.pressed_on), for PRESSED_BLOCKS; not together with guidance.
    first_sigmas: those of a stream's first block, where they are others. carry: how many blocks of the window a recache
    keeps, and 0 for a new stream; None for all.
    """

    sigmas: tuple[float, ...] = PLAYED_SIGMAS
    guidance: float = 1.0
    renoise: bool = True
    window: int = 8
    sink: int = 1
    press: float = 0.0
    first_sigmas: tuple[float, ...] = ()
    carry: int | None = None


class CachedAttention:
    """Attention of new blocks over the cached blocks and over one another. Owns the new blocks' keys and values."""

    def __init__(
        self, cached: list[BlockKeys], new_blocks: int, grid: tuple[int, int], device: torch.device | None = None
    ) -> None:
        self.cached = cached
        self.new: BlockKeys = []  # of all new blocks together
        positions = torch.arange(len(cached) + new_blocks, device=device)
        self.rotation = rotation(positions, grid, HEAD_DIM)
        self.new_rotation = rotation(positions[-new_blocks:], grid, HEAD_DIM)

    def by_block(self, new_blocks: int) -> list[BlockKeys]:
        """The new keys and values, block by block."""
        split = [(k.chunk(new_blocks, 1), v.chunk(new_blocks, 1)) for k, v in self.new]
        return [[(k[block], v[block]) for k, v in split] for block in range(new_blocks)]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, N, heads, head_dim] of the new blocks, not yet rotated."""
        self.new.append((k, v))
        keys = torch.cat([block[layer][0] for block in self.cached] + [k], 1)
        values = torch.cat([block[layer][1] for block in self.cached] + [v], 1)
        return attention(rotate(q, self.new_rotation), rotate(keys, self.rotation), values)


class Streams:
    """A batch of streams, each under its own text. Owns their caches and the latents of the blocks in them.

    With guidance there are two caches, one with the texts and one with empty texts; without guidance the second is
    unused. Texts may be given as tokens, int64 [B, L].
    """

    def __init__(
        self, model: CompactModel, texts: Sequence[str] | Tensor, recipe: SamplingRecipe, generator: torch.Generator
    ) -> None:
        self.model, self.recipe, self.generator = model, recipe, generator
        self.caches: list[list[BlockKeys]] = [[], []]
        self.cached_blocks: list[tuple[Tensor, Tensor]] = []  # latents [B, 1, C, h, w] and dials [B, 1, dials]
        self.block_count = self.pressed_until = 0
        self.prompts: list[Prompts] = []
        self.set_texts(texts)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """The noise levels of the next block."""
        return (not self.block_count and self.recipe.first_sigmas) or self.recipe.sigmas

    def set_texts(self, texts: Sequence[str] | Tensor) -> None:
        """Use new texts from the next block on; the caches stay as they are."""
        self.left, self.texts, self.count = self.prompts, texts, len(texts)
        self.pressed_until = self.block_count + PRESSED_BLOCKS if self.left and self.recipe.press else 0
        self.encode_texts()

    def encode_texts(self) -> None:
        """Encode the present texts again, after the weights have changed or to get gradients of the text encoder."""
        empty = [[""] * self.count] if self.recipe.guidance != 1 else []
        self.prompts = [self._encode(texts) for texts in (self.texts, *empty)]

    def clear_cache(self) -> None:
        """Empty the caches: the next block starts a new stream."""
        self.caches, self.cached_blocks = [[] for _ in self.caches], []
        self.block_count = self.pressed_until = 0

    def fork(self) -> Streams:
        """A copy that continues on its own, with the same noise."""
        other = copy.copy(self)
        other.caches, other.generator = list(self.caches), self.generator.clone_state()
        return other

    def with_model(self, model: CompactModel) -> Streams:
        """The same streams as another model continues them. They read the caches of this object, also as these grow."""
        other = copy.copy(self)
        other.model = model
        other.encode_texts()
        return other

    @torch.no_grad()
    def recache(self) -> None:
        """Encode the cached blocks again under the present texts, in one pass; the sink of a full window is kept.

        With a `carry` only the newest are left, which fill the sink at least, as if the streams had begun with them.
        """
        start, carry = self.recipe.sink if self.block_count > self.recipe.window else 0, self.recipe.carry
        if carry == 0:
            self.clear_cache()
            return
        if carry is not None and carry < self.recipe.window:
            start, self.cached_blocks = 0, self.cached_blocks[-max(carry, self.recipe.sink) :]
        latents, dials = (torch.cat(part, 1) for part in zip(*self.cached_blocks[start:], strict=True))
        for number, _ in enumerate(self.prompts):
            kept = self.caches[number][:start]
            self.caches[number] = kept + self._call(number, latents, 0.0, dials, kept)[1]

    @torch.no_grad()
    def next_block(self, dials: Tensor | None = None) -> Tensor:
        """Make and append the next block [B, 1, C, h, w]; dials: [B, 1, dials] (None: at rest)."""
        return self.next_blocks(self._zeros(self.count, 1, len(self.model.form.dials)) if dials is None else dials)

    def next_blocks(self, dials: Tensor, steps: int | None = None) -> Tensor:
        """Make and append the next n blocks [B, n, C, h, w]; dials: [B, n, dials]; steps: of the recipe's (None: all).

        Where gradients are enabled, they pass through the last step of each block and through nothing else.
        """
        made = []
        for dial in dials.split(1, 1):
            made.append(self._denoise(self.noise(), dial, steps or len(self.sigmas)))
            self.append(made[-1].detach(), dial)
        return torch.cat(made, 1)

    @torch.no_grad()
    def denoise_to_last_step(self, x: Tensor, dials: Tensor, steps: int) -> Tensor:
        """What the last of `steps` steps starts from, made of pure noise x [B, 1, C, h, w]."""
        for level, next_level in pairwise(self.sigmas[:steps]):
            x0 = self.predict(x, level, dials)
            noise = self.noise() if self.recipe.renoise else (x - (1 - level) * x0) / level
            x = (1 - next_level) * x0 + next_level * noise
        return x

    def predict(self, x: Tensor, level: float, dials: Tensor) -> Tensor:
        """x0 from x [B, n, C, h, w] at one noise level, with the recipe's guidance."""
        outs = [self._call(number, x, level, dials, self.caches[number])[0] for number in range(len(self.prompts))]
        if self.block_count < self.pressed_until:
            left = self._call_under(self.left[0], x, level, dials, self.caches[0])[0]
            return pressed_on(outs[0], left, self.recipe.press)
        return outs[0] if len(outs) == 1 else outs[1] + self.recipe.guidance * (outs[0] - outs[1])

    @torch.no_grad()
    def append(self, latents: Tensor, dials: Tensor) -> None:
        """Append a block [B, 1, C, h, w] to the streams: a clean pass writes it into the caches."""
        self.cached_blocks = self._within_window([*self.cached_blocks, (latents, dials)])
        self.block_count += 1
        for number, _ in enumerate(self.prompts):
            keys = self._call(number, latents, 0.0, dials, self.caches[number])[1]
            self.caches[number] = self._within_window([*self.caches[number], *keys])

    def noise(self) -> Tensor:
        """Fresh noise for one block, [B, 1, C, h, w]."""
        g = self.model.form.geometry
        shape = (self.count, 1, g.channels, g.rows, g.columns)
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self.generator.device)

    def _denoise(self, x: Tensor, dials: Tensor, steps: int) -> Tensor:
        return self.predict(self.denoise_to_last_step(x, dials, steps), self.sigmas[steps - 1], dials)

    def _within_window(self, blocks: list[Item]) -> list[Item]:
        """The sink and the latest blocks, with room for the next block in the window."""
        sink, room = self.recipe.sink, self.recipe.window - 1
        return blocks if len(blocks) <= room else blocks[:sink] + blocks[sink - room :]

    def _encode(self, texts: Sequence[str] | Tensor) -> Prompts:
        tokens = texts if isinstance(texts, Tensor) else tokenize(list(texts), self.model.form.language)
        embedding, pooled = self.model.text(tokens.to(self.generator.device))
        return self.model.dit.words(embedding), pooled

    def _call(
        self, number: int, x: Tensor, level: float, dials: Tensor, cached: list[BlockKeys]
    ) -> tuple[Tensor, list[BlockKeys]]:
        """One pass under the prompts of a `number`: the prediction, and the keys and values of each new block."""
        return self._call_under(self.prompts[number], x, level, dials, cached)

    def _call_under(
        self, prompts: Prompts, x: Tensor, level: float, dials: Tensor, cached: list[BlockKeys]
    ) -> tuple[Tensor, list[BlockKeys]]:
        words, pooled = prompts
        attend = CachedAttention(cached, x.shape[1], self.model.form.geometry.grid, x.device)
        timesteps = torch.full(x.shape[:2], 1000 * level, device=x.device)
        made = self.model.dit(x, timesteps, words, attend, self.model.condition(pooled, dials))
        return made, attend.by_block(x.shape[1])
