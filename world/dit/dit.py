"""The causal diffusion transformer (Wan2.1 form, per-frame modulation): one class for every size.

Self-attention is not in this file: each layer hands q, k and v to `attend(layer, q, k, v)`, which rotates them by
position and attends, with a cache (`cache.CachedPass`) or without (`attend.Dense`). Parameter names are those of the
released checkpoints. In the shapes below, F is latent frames, N tokens in a frame and T = F * N.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.dit.attend import attention
from world.dit.config import DiTConfig

EPS = 1e-6

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # (layer, q, k, v), all [B, T, heads, head_dim]
LayerAttend = Callable[[Tensor, Tensor, Tensor], Tensor]  # (q, k, v) of one layer
TextKV = list[tuple[Tensor, Tensor]]  # the prompt's keys and values for each layer: [B, L, heads, head_dim] each


class Modulation(NamedTuple):
    """What the timesteps and the condition of F frames do to a pass; F is 1 where all frames are alike.

    embedding: [B, F, dim], for the head. of_layers: [B, F, 6, dim], to which each layer adds its own.
    """

    embedding: Tensor
    of_layers: Tensor


class CacheAttention(Protocol):
    """An `Attend` that stores keys and values in a cache."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store keys and values of a layer without attending to them."""


class Transformer(Protocol):
    """What a stream calls of a transformer; `CausalDiT` explains each."""

    config: DiTConfig

    @property
    def dtype(self) -> torch.dtype: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def words(self, embedding: Tensor) -> TextKV: ...

    def time(self, timesteps: Tensor) -> Tensor: ...

    def modulation(self, embedding: Tensor, condition: Tensor | None = None) -> Modulation: ...

    def predict(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: Any) -> Tensor: ...

    def remember(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: Any) -> None: ...


class RMSNorm(nn.Module):
    """Root-mean-square norm over the whole width, all heads together."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        # cast back before the weight: the order decides the last bit in bfloat16
        return F.rms_norm(x.float(), x.shape[-1:], eps=EPS).type_as(x) * self.weight


class Attention(nn.Module):
    """The projections of self- or cross-attention: q and k are normed, heads are split."""

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
        """x [B, T, dim] -> [B, T, heads, head_dim]."""
        return x.unflatten(-1, (self.heads, -1))

    def queries(self, x: Tensor) -> Tensor:
        """x [B, T, dim] -> [B, T, heads, head_dim]."""
        return self.split(self.norm_q(self.q(x)))

    def memory(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of x [B, T, dim]: [B, T, heads, head_dim] each."""
        return self.split(self.norm_k(self.k(x))), self.split(self.v(x))


class TransformerBlock(nn.Module):
    """One layer: self-attention and feed-forward, both modulated per frame, and cross-attention to the prompt."""

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

    def forward(self, x: Tensor, e: Tensor, words: tuple[Tensor, Tensor], attend: LayerAttend) -> Tensor:
        """x [B, F, N, dim] and its modulation e [B, F, 6, dim] -> [B, F, N, dim]."""
        m = self._modulation(e)
        x = x + self._attend_to_frames(self.norm1(x) * (1 + m[1]) + m[0], attend) * m[2]
        x = x + self._attend_to_words(self.norm3(x), words)
        return x + self.ffn(self.norm2(x) * (1 + m[4]) + m[3]) * m[5]

    def memory(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values that `forward` would hand to `attend`: [B, T, heads, head_dim] each."""
        m = self._modulation(e)
        return self.self_attn.memory((self.norm1(x) * (1 + m[1]) + m[0]).flatten(1, 2))

    def _modulation(self, e: Tensor) -> tuple[Tensor, ...]:
        """Shift, scale and gate of self-attention, then of the feed-forward: six tensors [B, F, 1, dim]."""
        return (self.modulation + e).unsqueeze(-2).unbind(2)

    def _attend_to_frames(self, x: Tensor, attend: LayerAttend) -> Tensor:
        tokens = x.flatten(1, 2)
        seen = attend(self.self_attn.queries(tokens), *self.self_attn.memory(tokens))
        return self.self_attn.o(seen.flatten(2)).view_as(x)

    def _attend_to_words(self, x: Tensor, words: tuple[Tensor, Tensor]) -> Tensor:
        # with one row of words for each frame, the frames become the batch
        queries = self.cross_attn.queries(x.reshape(len(words[0]), -1, x.shape[-1]))
        read = attention(queries, *words)
        return self.cross_attn.o(read.flatten(2)).view_as(x)


class PatchEmbedding(nn.Module):
    """Latents to tokens, one for each 2 x 2 patch: the checkpoint's convolution, computed as a matrix product."""

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
    """Tokens to the model's prediction, modulated by the time embedding."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)
        self.norm = nn.LayerNorm(config.dim, EPS, elementwise_affine=False)
        self.head = nn.Linear(config.dim, 4 * config.out_dim)

    def forward(self, tokens: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens [B, T, dim], e [B, F, dim], latents (only for their size) -> prediction [B, F, C, h, w]."""
        frames, rows, columns = latents.shape[1], latents.shape[3] // 2, latents.shape[4] // 2
        shift, scale = (self.modulation + e.unsqueeze(2)).unsqueeze(3).unbind(2)
        patches = self.head(self.norm(tokens.unflatten(1, (frames, -1))) * (1 + scale) + shift)
        patches = patches.unflatten(-1, (2, 2, -1)).unflatten(2, (rows, columns))  # [B, F, rows, columns, 2, 2, C]
        return patches.permute(0, 1, 6, 2, 4, 3, 5).flatten(5).flatten(3, 4)


def sinusoid(timesteps: Tensor, size: int) -> Tensor:
    """The sinusoidal embedding of `timesteps` [...], cosines first: [..., size], float64."""
    ladder = torch.arange(size // 2, dtype=torch.float64, device=timesteps.device) / (size // 2)
    angles = timesteps.double()[..., None] * torch.pow(10000.0, -ladder)
    return torch.cat([angles.cos(), angles.sin()], -1)


class CausalDiT(nn.Module):
    """The transformer: predicts flow or x0 of latent frames.

    embed: a module, latents [B, F, C, h, w] -> tokens [B, T, dim]; PatchEmbedding if None.
    head: a module, (tokens, time embedding [B, F, dim], latents) -> prediction [B, F, C, h, w]; Head if None.
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
        self.blocks = nn.ModuleList([TransformerBlock(config) for _ in range(config.num_layers)])
        self.head = head or Head(config)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights, and so of the activations."""
        return next(self.parameters()).dtype

    @property
    def layers(self) -> list[TransformerBlock]:
        """The blocks in order, with their type, which `nn.ModuleList` does not tell."""
        return [block for block in self.blocks if isinstance(block, TransformerBlock)]

    def words(self, embedding: Tensor) -> TextKV:
        """Each layer's keys and values of a prompt, from its embedding [B, L, text_dim]: computed once for each prompt.

        Rows up to text_len are padded with zeros, which are not masked. Raises ValueError when there are more.
        """
        text = self.text(embedding)
        return [block.cross_attn.memory(text) for block in self.layers]

    def text(self, embedding: Tensor) -> Tensor:
        """A prompt's embedding [B, L, text_dim] as the layers read it: padded, [B, text_len, dim]."""
        missing = self.config.text_len - embedding.shape[1] if self.config.text_len else 0
        if missing < 0:
            rows, most = embedding.shape[1], self.config.text_len
            raise ValueError(f"{rows} rows of text: this world reads {most}, shorten the prompt")
        text: Tensor = self.text_embedding(F.pad(embedding.to(self.dtype), (0, 0, 0, missing)))
        return text

    def time(self, timesteps: Tensor) -> Tensor:
        """The time embedding of timesteps [B, F] (0 to 1000): [B, F, dim]."""
        return self.time_embedding(sinusoid(timesteps, self.config.freq_dim).to(self.dtype))

    def modulation(self, embedding: Tensor, condition: Tensor | None = None) -> Modulation:
        """The modulation by a time embedding [B, F, dim] and a condition [B, F, dim] that is added to it."""
        e = embedding if condition is None else embedding + condition.type_as(embedding)
        return Modulation(e, self.time_projection(e).unflatten(-1, (6, -1)))

    def forward(
        self, latents: Tensor, timesteps: Tensor, words: TextKV, attend: Attend, condition: Tensor | None = None
    ) -> Tensor:
        """The prediction [B, F, C, h, w] for latents [B, F, C, h, w] at timesteps [B, F].

        words: of one prompt for each sequence (B rows) or for each frame (B * F rows).
        condition: [B, F, dim], added to the time embedding.
        """
        return self.predict(latents, self.modulation(self.time(timesteps), condition), words, attend)

    def predict(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: Attend) -> Tensor:
        """The prediction [B, F, C, h, w] for latents [B, F, C, h, w] under a modulation."""
        x = self.tokens(latents)
        for layer, block in enumerate(self.blocks):
            x = block(x, modulation.of_layers, words[layer], partial(attend, layer))
        return self.head(x.flatten(1, 2), modulation.embedding, latents.to(self.dtype))

    def remember(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: CacheAttention) -> None:
        """`predict` for the sake of the cache: no prediction, and the last layer stops at its keys and values."""
        x = self.tokens(latents)
        *others, last = self.layers
        for layer, block in enumerate(others):
            x = block(x, modulation.of_layers, words[layer], partial(attend, layer))
        attend.write(len(others), *last.memory(x, modulation.of_layers))

    def tokens(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> tokens [B, F, N, dim]."""
        return self.patch_embedding(latents.to(self.dtype)).unflatten(1, (latents.shape[1], -1))


class TimeEmbeddings:
    """The embeddings of the few timesteps that a stream uses, each computed once."""

    def __init__(self, dit: Transformer) -> None:
        self._dit = dit
        self._plain: dict[float, Modulation] = {}

    def modulation(self, timestep: float, condition: Tensor | None) -> Modulation:
        """The modulation of frames at `timestep` under a condition [B, F, dim]; of one frame for all without one."""
        if timestep not in self._plain:
            device = next(self._dit.parameters()).device
            with torch.inference_mode():
                embedding = self._dit.time(torch.tensor([[timestep]], device=device))
                self._plain[timestep] = self._dit.modulation(embedding)
        plain = self._plain[timestep]
        return plain if condition is None else self._dit.modulation(plain.embedding, condition)


class OverDiT:
    """What a transformer with faster passes leaves to the CausalDiT that it was made from.

    dit: it may have lost its layers to the faster one; its edges (embeddings and head) stay.
    """

    def __init__(self, dit: CausalDiT) -> None:
        self._edges, self.config = dit, dit.config

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the activations."""
        return self._edges.dtype

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights that the CausalDiT still has."""
        return self._edges.parameters()

    def time(self, timesteps: Tensor) -> Tensor:
        """As `CausalDiT.time`."""
        return self._edges.time(timesteps)

    def modulation(self, embedding: Tensor, condition: Tensor | None = None) -> Modulation:
        """As `CausalDiT.modulation`."""
        return self._edges.modulation(embedding, condition)
