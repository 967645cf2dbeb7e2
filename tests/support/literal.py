"""The published procedure, said slowly: caches that really clone, roll and zero, to hold ours against."""

from __future__ import annotations

import torch
from torch import Tensor

from world.dit.config import CacheConfig
from world.dit.dit import CausalDiT, TextKV
from world.dit.rope import rotate, rotation


class LiteralCache:
    """Keys and values [B, slots, N, heads, d] in order of time; absolute keys are rotated when written."""

    def __init__(self, config: CacheConfig, grid: tuple[int, int], shape: tuple[int, ...]) -> None:
        self.config, self.grid = config, grid
        self.k, self.v = torch.zeros(shape), torch.zeros(shape)
        self.made = self.filled = 0

    def turn(self, x: Tensor, positions: range) -> Tensor:
        """x [B, F, N, heads, d], each frame rotated by its position."""
        by = rotation(torch.tensor(positions), self.grid, x.shape[-1])
        return rotate(x.flatten(1, 2), by).view_as(x)

    def call(self, start: int, q: Tensor, k: Tensor, v: Tensor, renew: bool = False) -> Tensor:
        """One attention call of frames q, k, v [B, F, N, heads, d] from latent frame `start` on."""
        frames, sink, size, window = q.shape[1], self.config.sink, self.config.size, self.config.window
        end, relative = start + frames, self.config.positions == "relative"
        again = end <= self.made and start > 0
        evicted = 0
        if window != -1 and end > self.made and frames + self.filled > size:
            evicted = frames + self.filled - size
            for buffer in (self.k, self.v):
                buffer[:, sink : self.filled - evicted] = buffer[:, sink + evicted : self.filled].clone()
        filled = self.filled + end - self.made - evicted
        first = filled - frames
        write = max(first, sink) if again and not renew else first
        kept = frames - max(0, filled - write)
        stored = k if relative else self.turn(k, range(start, end))
        self.k[:, write:filled], self.v[:, write:filled] = stored[:, kept:], v[:, kept:]
        if not again:
            self.made, self.filled = end, filled
        return self.attend(q, first if relative else start, filled)

    def attend(self, q: Tensor, position: int, filled: int) -> Tensor:
        sink, window = self.config.sink, self.config.window
        since = sink if window == -1 else max(sink, filled - (window - sink))
        seen = [*range(sink), *range(since, filled)]
        relative = self.config.positions == "relative"
        keys = self.turn(self.k, range(self.config.size)) if relative else self.k
        keys, values = (x[:, seen].flatten(1, 2).double().transpose(1, 2) for x in (keys, self.v))
        q = self.turn(q, range(position, position + q.shape[1])).flatten(1, 2).double().transpose(1, 2)
        weights = torch.softmax(q @ keys.transpose(2, 3) / q.shape[-1] ** 0.5, -1)
        return (weights @ values).transpose(1, 2).float()


class LiteralFilm:
    """The published interactive loop over literal caches, one to a layer: whole-window recaches and all."""

    def __init__(self, dit: CausalDiT, config: CacheConfig, grid: tuple[int, int], batch: int) -> None:
        sizes = dit.config
        shape = (batch, config.size, grid[0] * grid[1], sizes.num_heads, sizes.head_dim)
        self.dit, self.config, self.tokens = dit, config, shape[2]
        self.caches = [LiteralCache(config, grid, shape) for _ in range(sizes.num_layers)]

    def run(self, x: Tensor, timestep: float, words: TextKV, start: int, renew: bool = False) -> Tensor:
        """One model call on latents x [B, F, C, h, w] from latent frame `start` on."""

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return self.caches[layer].call(start, *(part.unflatten(1, (-1, self.tokens)) for part in (q, k, v)), renew)

        return self.dit(x, torch.full(x.shape[:2], timestep), words, attend)

    def switch(self, made: Tensor, words: TextKV) -> None:
        """Recache the window of `made` [B, a, C, h, w] under new words."""
        renew = not self.config.keep_sink
        if renew:
            for cache in self.caches:
                cache.k.zero_(), cache.v.zero_()
        frames = made.shape[1]
        count = frames if self.config.window == -1 else min(self.config.window, frames)
        if count:
            self.run(made[:, frames - count :], 0.0, words, frames - count, renew)
