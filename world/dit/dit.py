"""The causal diffusion transformer (Wan2.1 form, per-frame modulation): one class for every size.

How tokens see one another is not decided here: each block hands q, k and v to `attend(layer, q, k, v)`, which rotates
them by position and attends, with or without a cache. Parameter names are the released checkpoints'.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.dit.attend import attention
from world.dit.config import DiTConfig

EPS = 1e-6

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
Words = list[tuple[Tensor, Tensor]]  # each layer's keys and values of the prompt: [B, L, heads, head_dim]


class Memory(Protocol):
    """An `Attend` with a cache behind it."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Keep keys and values without attending to them."""


class RMSNorm(nn.Module):
    """Root-mean-square norm over the whole width, all heads jointly."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        # cast back before the weight: the order decides the last bit in bfloat16
        return F.rms_norm(x.float(), x.shape[-1:], eps=EPS).type_as(x) * self.weight


class Attention(nn.Module):
    """The projections of self- and cross-attention: q and k normed, heads split."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.heads = config.num_heads
        self.q = nn.Linear(config.dim, config.dim)
        self.k = nn.Linear(config.dim, config.dim)
        self.v = nn.Linear(config.dim, config.dim)
        self.o = nn.Linear(config.dim, config.dim)
        self.norm_q = RMSNorm(config.dim)
        self.norm_k = RMSNorm(config.dim)

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))

    def queries(self, x: Tensor) -> Tensor:
        """x [B, T, dim] -> [B, T, heads, head_dim]."""
        return self.split(self.norm_q(self.q(x)))

    def memory(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of x [B, T, dim]: [B, T, heads, head_dim] each."""
        return self.split(self.norm_k(self.k(x))), self.split(self.v(x))


class Block(nn.Module):
    """Self-attention and feed-forward, modulated per frame; cross-attention to the prompt between them."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.randn(1, 6, config.dim) / config.dim**0.5)
        self.norm1 = nn.LayerNorm(config.dim, EPS, elementwise_affine=False)
        self.self_attn = Attention(config)
        self.norm3 = nn.LayerNorm(config.dim, EPS)
        self.cross_attn = Attention(config)
        self.norm2 = nn.LayerNorm(config.dim, EPS, elementwise_affine=False)
        gelu = nn.GELU(approximate="tanh")
        self.ffn = nn.Sequential(nn.Linear(config.dim, config.ffn_dim), gelu, nn.Linear(config.ffn_dim, config.dim))

    def forward(self, x: Tensor, e: Tensor, words: tuple[Tensor, Tensor], attend: Callable) -> Tensor:
        """x [B, F, N, dim], e [B, F, 6, dim]."""
        m = self._modulate(e)
        x = x + self._look(self.norm1(x) * (1 + m[1]) + m[0], attend) * m[2]
        x = x + self._read(self.norm3(x), words)
        return x + self.ffn(self.norm2(x) * (1 + m[4]) + m[3]) * m[5]

    def memory(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values that `forward` would hand to attention: [B, F * N, heads, head_dim] each."""
        m = self._modulate(e)
        return self.self_attn.memory((self.norm1(x) * (1 + m[1]) + m[0]).flatten(1, 2))

    def _modulate(self, e: Tensor) -> tuple[Tensor, ...]:
        """Shift, scale and gate of self-attention, then of the feed-forward: six of [B, F, 1, dim]."""
        return (self.modulation + e).unsqueeze(-2).unbind(2)

    def _look(self, x: Tensor, attend: Callable) -> Tensor:
        tokens = x.flatten(1, 2)
        seen = attend(self.self_attn.queries(tokens), *self.self_attn.memory(tokens))
        return self.self_attn.o(seen.flatten(2)).view_as(x)

    def _read(self, x: Tensor, words: tuple[Tensor, Tensor]) -> Tensor:
        queries = self.cross_attn.queries(x.reshape(len(words[0]), -1, x.shape[-1]))
        read = attention(queries, *words)
        return self.cross_attn.o(read.flatten(2)).view_as(x)


class PatchEmbedding(nn.Module):
    """Latents to tokens, 2 x 2 patches: a convolution whose kernel is its stride, done as one matrix product."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        conv = nn.Conv3d(config.in_dim, config.dim, (1, 2, 2), (1, 2, 2))
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> tokens [B, F * h/2 * w/2, dim]."""
        patches = latents.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))  # [B, F, C, h/2, 2, w/2, 2]
        patches = patches.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(1, 3)
        return F.linear(patches, self.weight.flatten(1), self.bias)


class Head(nn.Module):
    """Tokens to the prediction, modulated by the time embedding."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)
        self.norm = nn.LayerNorm(config.dim, EPS, elementwise_affine=False)
        self.head = nn.Linear(config.dim, 4 * config.out_dim)

    def forward(self, tokens: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens [B, F * N, dim], e [B, F, dim], latents (only their size is used) -> [B, F, C, h, w]."""
        frames, rows, columns = latents.shape[1], latents.shape[3] // 2, latents.shape[4] // 2
        shift, scale = (self.modulation + e.unsqueeze(2)).unsqueeze(3).unbind(2)
        patches = self.head(self.norm(tokens.unflatten(1, (frames, -1))) * (1 + scale) + shift)
        patches = patches.unflatten(-1, (2, 2, -1)).unflatten(2, (rows, columns))  # [B, F, rows, columns, 2, 2, C]
        return patches.permute(0, 1, 6, 2, 4, 3, 5).flatten(5).flatten(3, 4)


def sinusoid(timesteps: Tensor, size: int) -> Tensor:
    """Cosines then sines of `timesteps` [...] in float64: [..., size]."""
    ladder = torch.arange(size // 2, dtype=torch.float64, device=timesteps.device) / (size // 2)
    turn = timesteps.double()[..., None] * torch.pow(10000.0, -ladder)
    return torch.cat([turn.cos(), turn.sin()], -1)


class CausalDiT(nn.Module):
    """Predicts flow or x0 of latent frames.

    embed: module latents [B, F, C, h, w] -> tokens [B, F * N, dim]; head: module (tokens, e [B, F, dim], latents) ->
    [B, F, C, h, w]. Without them, Wan's own.
    """

    def __init__(self, config: DiTConfig, embed: nn.Module | None = None, head: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        gelu = nn.GELU(approximate="tanh")
        dim = config.dim
        self.patch_embedding = embed or PatchEmbedding(config)
        self.text_embedding = nn.Sequential(nn.Linear(config.text_dim, dim), gelu, nn.Linear(dim, dim))
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.num_layers)])
        self.head = head or Head(config)

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are in, and so the activations."""
        return self.time_projection[1].weight.dtype

    def words(self, embedding: Tensor) -> Words:
        """Each layer's keys and values of a prompt, made once; embedding [B, L, text_dim]. Padding is never masked."""
        missing = self.config.text_len - embedding.shape[1] if self.config.text_len else 0
        if missing < 0:
            rows, most = embedding.shape[1], self.config.text_len
            raise ValueError(f"{rows} rows of text: this world reads {most}, shorten the prompt")
        text = self.text_embedding(F.pad(embedding.to(self.dtype), (0, 0, 0, missing)))
        return [block.cross_attn.memory(text) for block in self.blocks]

    def time(self, timesteps: Tensor) -> Tensor:
        """The time embedding of timesteps [B, F] (0 to 1000): [B, F, dim]."""
        return self.time_embedding(sinusoid(timesteps, self.config.freq_dim).to(self.dtype))

    def forward(
        self, latents: Tensor, timesteps: Tensor, words: Words, attend: Attend, condition: Tensor | None = None
    ) -> Tensor:
        """The prediction [B, F, C, h, w] for latents [B, F, C, h, w] at timesteps [B, F].

        words: of one prompt for each sequence, or, with B * F rows, for each frame; condition [B, F, dim] is added to
        the time embedding.
        """
        x, e, modulation = self._enter(latents, timesteps, condition)
        for layer, block in enumerate(self.blocks):
            x = block(x, modulation, words[layer], partial(attend, layer))
        return self.head(x.flatten(1, 2), e, latents.to(self.dtype))

    def remember(
        self, latents: Tensor, timesteps: Tensor, words: Words, attend: Memory, condition: Tensor | None = None
    ) -> None:
        """`forward` for the cache alone: nothing is predicted, so the last layer ends at its keys and values."""
        x, _, modulation = self._enter(latents, timesteps, condition)
        *others, last = self.blocks
        for layer, block in enumerate(others):
            x = block(x, modulation, words[layer], partial(attend, layer))
        attend.write(len(others), *last.memory(x, modulation))

    def _enter(self, latents: Tensor, timesteps: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, F, N, dim], the time embedding [B, F, dim] and the modulation [B, F, 6, dim] made of it."""
        e = self.time(timesteps)
        if condition is not None:
            e = e + condition.type_as(e)
        x = self.patch_embedding(latents.to(self.dtype)).unflatten(1, (latents.shape[1], -1))
        return x, e, self.time_projection(e).unflatten(-1, (6, -1))
