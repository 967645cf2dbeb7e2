"""A compact world's transformer on a CPU: fewer and larger calls, since they cost more than what they compute.

It computes what `dit.CausalDiT` computes, within rounding, and is called like it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.compact.layers import ConvHead, PlacedEmbed
from world.compact.onednn import PackedConv, PackedLinear
from world.dit.attend import attention
from world.dit.cache import CachedPass
from world.dit.dit import EPS, CausalDiT, LayerAttend, Modulation, TextKV, TransformerBlock
from world.dit.fast import stacked

Rows = tuple[Tensor, ...]  # shift, scale and gate of self-attention, then of the feed-forward


class CpuDiT:
    """Implements dit.Transformer for one sequence, from a CausalDiT in float32.

    dit: it still computes what a stream needs less often than in each pass.
    """

    def __init__(self, dit: CausalDiT) -> None:
        assert isinstance(dit.patch_embedding, PlacedEmbed) and isinstance(dit.head, ConvHead)
        self.config, self._edges = dit.config, dit
        self._embed = CpuEmbed(dit.patch_embedding)
        tokens = len(dit.patch_embedding.features)
        self._layers = [CpuLayer(block, tokens) for block in dit.layers]
        self._head = CpuHead(dit.head, tokens)
        own = torch.stack([block.modulation.detach() for block in dit.layers])  # [layers, 1, 6, dim]
        own[:, :, (1, 4)] += 1  # a scale is one more than its row
        self._own = own

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the activations."""
        return self._edges.dtype

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights of the transformer that this one was made from."""
        return self._edges.parameters()

    def words(self, embedding: Tensor) -> TextKV:
        """As `CausalDiT.words`."""
        return self._edges.words(embedding)

    def time(self, timesteps: Tensor) -> Tensor:
        """As `CausalDiT.time`."""
        return self._edges.time(timesteps)

    def modulation(self, embedding: Tensor, condition: Tensor | None = None) -> Modulation:
        """As `CausalDiT.modulation`."""
        return self._edges.modulation(embedding, condition)

    def predict(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: CachedPass) -> Tensor:
        """As `CausalDiT.predict`, over a cache."""
        x = self._embed(latents)
        for number, (layer, rows) in enumerate(zip(self._layers, self._rows(modulation), strict=True)):
            x = layer(x, rows, words[number], partial(attend, number))
        return self._head(x, modulation.embedding[0], latents)

    def remember(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: CachedPass) -> None:
        """As `CausalDiT.remember`."""
        x, rows, last = self._embed(latents), self._rows(modulation), len(self._layers) - 1
        for number, layer in enumerate(self._layers[:-1]):
            x = layer(x, rows[number], words[number], partial(attend, number))
        attend.write(last, *self._layers[last].memory(x, rows[last]))

    def _rows(self, modulation: Modulation) -> list[Rows]:
        """Of each layer six tensors: [dim] where all frames are alike, else [F, 1, dim]."""
        rows = self._own + modulation.of_layers  # [layers, F, 6, dim]
        if rows.shape[1] == 1:
            return [layer.unbind(0) for layer in rows.squeeze(1).unbind(0)]
        return [layer.unbind(1) for layer in rows.unsqueeze(3).unbind(0)]


class CpuEmbed:
    """`PlacedEmbed`, with what depends on the place alone added up once."""

    def __init__(self, embed: PlacedEmbed) -> None:
        self._patch, self._weight, self._bias = embed.geometry.patch, embed.patch.weight, embed.patch.bias
        with torch.inference_mode():
            self._place = embed.place(embed.features) + embed.position + self._bias

    def __call__(self, latents: Tensor) -> Tensor:
        """latents [1, F, C, h, w] -> tokens [F, N, dim]."""
        (rows, columns), (_, frames, channels, height, width) = self._patch, latents.shape
        split = latents.view(frames, channels, height // rows, rows, width // columns, columns)
        patches = split.permute(0, 2, 4, 1, 3, 5).reshape(frames, len(self._place), -1)
        return F.linear(patches, self._weight).add_(self._place)


class CpuLayer:
    """`TransformerBlock` over tokens [F, N, dim]. tokens: how many most passes have."""

    def __init__(self, block: TransformerBlock, tokens: int) -> None:
        own, self._cross = block.self_attn, block.cross_attn
        self._heads = own.heads
        self._qkv = PackedLinear(*stacked([own.q, own.k, own.v]), tokens)
        self._norm = torch.stack([own.norm_q.weight, own.norm_k.weight]).detach()  # [2, dim]
        self._norm_cross, self._norm3 = block.cross_attn.norm_q.weight.detach(), block.norm3
        self._o = PackedLinear(own.o.weight, own.o.bias, tokens)
        self._cross_q, self._cross_o = (PackedLinear(x.weight, x.bias, tokens) for x in (self._cross.q, self._cross.o))
        up, _, down = block.ffn
        self._up = PackedLinear(*stacked([up]), tokens, is_gelu=True)
        self._down = PackedLinear(*stacked([down]), tokens)

    def __call__(self, x: Tensor, rows: Rows, words: tuple[Tensor, Tensor], attend: LayerAttend) -> Tensor:
        """x [F, N, dim] -> [F, N, dim], with any attention."""
        shift, scale, gate, shift_2, scale_2, gate_2 = rows
        seen = attend(*self._project(x, shift, scale))
        x = torch.addcmul(x, self._o(seen.view(x.shape)), gate)
        queries = self._cross_q(torch.layer_norm(x, x.shape[-1:], self._norm3.weight, self._norm3.bias, EPS))
        queries = normed(queries, self._norm_cross).view(1, -1, self._heads, words[0].shape[-1])
        x = self._cross_o(attention(queries, *words).reshape(x.shape)).add_(x)
        return torch.addcmul(x, self._down(self._up(modulated(x, shift_2, scale_2))), gate_2)

    def memory(self, x: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """The keys and values that a call would hand to `attend`: [1, T, heads, head_dim] each."""
        return self._project(x, rows[0], rows[1])[1:]

    def _project(self, x: Tensor, shift: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normed and not rotated, and values: [1, T, heads, head_dim] each."""
        made = self._qkv(modulated(x, shift, scale)).view(1, -1, 3, x.shape[-1])
        of_pair = normed(made[:, :, :2], self._norm).unflatten(-1, (self._heads, -1))
        q, k = of_pair.unbind(2)
        return q, k, made[:, :, 2].unflatten(-1, (self._heads, -1))


class CpuHead:
    """`ConvHead` over tokens [F, N, dim]."""

    def __init__(self, head: ConvHead, tokens: int) -> None:
        self._geometry, self._film = head.geometry, head.film
        self._own = head.modulation.detach().clone()
        self._own[:, 1] += 1
        self._out = PackedLinear(head.out.weight, head.out.bias, tokens)
        size = (head.geometry.rows, head.geometry.columns)
        self._convs = [PackedConv(conv.weight, conv.bias, size) for conv in (head.first, head.second, head.third)]

    def __call__(self, x: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens x [F, N, dim], time embedding e [F, dim], latents [1, F, C, h, w] -> x0 [1, F, C, h, w]."""
        shift, scale = (self._own + e.unsqueeze(1)).unsqueeze(2).unbind(1)
        g, patches = self._geometry, self._out(torch.addcmul(shift, torch.layer_norm(x, x.shape[-1:], eps=EPS), scale))
        split = patches.view(len(x), *g.grid, g.channels, *g.patch)  # [F, rows, columns, C, p, q]
        rough = split.permute(0, 3, 1, 4, 2, 5).reshape(latents.shape[1:])
        scale_1, shift_1, scale_2, shift_2 = self._film(F.silu(e))[..., None, None].chunk(4, 1)
        first, second, third = self._convs
        x = torch.cat([rough, latents[0]], 1).contiguous(memory_format=torch.channels_last)
        x = F.gelu(torch.addcmul(shift_1, first(x), scale_1 + 1), approximate="tanh")
        x = F.gelu(torch.addcmul(shift_2, second(x), scale_2 + 1), approximate="tanh")
        return (third(x) + rough).view(latents.shape)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x [F, N, dim], normed to mean 0 and variance 1, times a scale plus a shift: [dim] each, or [F, 1, dim]."""
    if scale.ndim == 1:
        return torch.layer_norm(x, x.shape[-1:], scale, shift, EPS)
    return torch.addcmul(shift, torch.layer_norm(x, x.shape[-1:], eps=EPS), scale)


def normed(x: Tensor, weight: Tensor) -> Tensor:
    """`RMSNorm` of x [..., dim] by a weight [dim], or [n, dim]."""
    mean = torch.linalg.vecdot(x, x).mul_(1 / x.shape[-1]).add_(EPS)
    return (x * mean.rsqrt_().unsqueeze(-1)).mul_(weight)
