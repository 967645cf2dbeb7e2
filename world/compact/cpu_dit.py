"""A compact world's transformer on a CPU: fewer and larger calls, since they cost more than what they compute.

It computes what `dit.CausalDiT` computes, within rounding, and is called like it.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from world.compact.layers import ConvHead, PlacedEmbed
from world.compact.model import HEAD_DIM
from world.compact.onednn import PackedConv
from world.dit.attend import attention
from world.dit.cache import CachedPass
from world.dit.dit import EPS, CausalDiT, LayerAttend, Modulation, OverDiT, TextKV, TransformerBlock
from world.dit.fast import stacked
from world.dit.linears import PackedLinear

Rows = tuple[Tensor, ...]  # shift, scale and gate of self-attention, then of the feed-forward


class CpuDiT(OverDiT):
    """Implements dit.Transformer for one sequence, from a CausalDiT in float32.

    dit: it still computes what a stream needs less often than in each pass.
    """

    def __init__(self, dit: CausalDiT) -> None:
        assert isinstance(dit.patch_embedding, PlacedEmbed) and isinstance(dit.head, ConvHead)
        super().__init__(dit)
        self._embed = CpuEmbed(dit.patch_embedding)
        tokens = len(dit.patch_embedding.features)
        self._layers = [CpuLayer(block, tokens) for block in dit.layers]
        self._head = CpuHead(dit.head, tokens)
        own = torch.stack([block.modulation.detach() for block in dit.layers])  # [layers, 1, 6, dim]
        own[:, :, (1, 4)] += 1  # a scale is one more than its row
        self._own = own

    def words(self, embedding: Tensor) -> TextKV:
        """As `CausalDiT.words`."""
        return self._edges.words(embedding)

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
        own, cross = block.self_attn, block.cross_attn
        self._heads = own.heads
        self._qkv = PackedLinear(*stacked([own.q, own.k, own.v]), tokens)
        self._norm = torch.stack([own.norm_q.weight, own.norm_k.weight]).detach()  # [2, dim]
        self._norm3, self._norm_cross = block.norm3, cross.norm_q.weight.detach()
        self._o, self._cross_q, self._cross_o = (
            PackedLinear(x.weight, x.bias, tokens) for x in (own.o, cross.q, cross.o)
        )
        up, _, down = block.ffn
        self._up = PackedLinear(*stacked([up]), tokens, is_gelu=True)
        self._down = PackedLinear(*stacked([down]), tokens)

    def __call__(self, x: Tensor, rows: Rows, words: tuple[Tensor, Tensor], attend: LayerAttend) -> Tensor:
        """x [F, N, dim] -> [F, N, dim], with any attention."""
        shift, scale, gate, shift_2, scale_2, gate_2 = rows
        seen = attend(*self._project(x, shift, scale))
        x = torch.addcmul(x, self._o(seen.reshape(x.shape)), gate)
        queries = self._cross_q(torch.layer_norm(x, x.shape[-1:], self._norm3.weight, self._norm3.bias, EPS))
        queries = torch.rms_norm(queries, x.shape[-1:], self._norm_cross, EPS).view(1, -1, self._heads, HEAD_DIM)
        x = self._cross_o(attention(queries, *words).reshape(x.shape)).add_(x)
        return torch.addcmul(x, self._down(self._up(modulated(x, shift_2, scale_2))), gate_2)

    def memory(self, x: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """The keys and values that a call would hand to `attend`: [1, T, heads, head_dim] each."""
        return self._project(x, rows[0], rows[1])[1:]

    def _project(self, x: Tensor, shift: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normed and not rotated, and values: [1, T, heads, head_dim] each."""
        made = self._qkv(modulated(x, shift, scale)).view(1, -1, 3, x.shape[-1])
        turned = torch.rms_norm(made[:, :, :2], x.shape[-1:], None, EPS).mul_(self._norm)
        q, k = turned.view(1, -1, 2, self._heads, HEAD_DIM).unbind(2)
        return q, k, made[:, :, 2].view(1, -1, self._heads, HEAD_DIM)


class CpuHead:
    """`ConvHead` over tokens [F, N, dim]."""

    def __init__(self, head: ConvHead, tokens: int) -> None:
        self._geometry, g = head.geometry, head.geometry
        self._own = head.modulation.detach().clone()
        self._own[:, 1] += 1
        # of each token: rows and columns of latents, and their channels, as a convolution reads them
        order = torch.arange(len(head.out.weight)).view(g.channels, *g.patch).permute(1, 2, 0).flatten()
        self._out = PackedLinear(head.out.weight[order], head.out.bias[order], tokens)
        self._film, self._film_bias = head.film.weight, head.film.bias.detach().clone()
        self._film_bias.view(4, -1)[(0, 2), :] += 1
        convs, size = (head.first, head.second, head.third), (g.rows, g.columns)
        self._first, self._second, self._third = (PackedConv(conv.weight, conv.bias, size) for conv in convs)

    def __call__(self, x: Tensor, e: Tensor, latents: Tensor) -> Tensor:
        """tokens x [F, N, dim], time embedding e [F, dim], latents [1, F, C, h, w] -> x0 [1, F, C, h, w]."""
        rough = self._unpatched(x, e)
        film = F.linear(F.silu(e), self._film, self._film_bias).view(len(e), 4, -1, 1, 1)
        scale_1, shift_1, scale_2, shift_2 = film.unbind(1)
        fine = self._first(torch.cat([rough, latents[0].permute(0, 2, 3, 1)], -1).permute(0, 3, 1, 2))
        fine = self._second(F.gelu(torch.addcmul(shift_1, fine, scale_1), approximate="tanh"))
        fine = self._third(F.gelu(torch.addcmul(shift_2, fine, scale_2), approximate="tanh"))
        return fine.add_(rough.permute(0, 3, 1, 2)).contiguous()[None]

    def _unpatched(self, x: Tensor, e: Tensor) -> Tensor:
        """The latents that the tokens stand for: [F, h, w, C]."""
        g, (shift, scale) = self._geometry, (self._own + e.unsqueeze(1)).unsqueeze(2).unbind(1)
        patches = self._out(torch.addcmul(shift, torch.layer_norm(x, x.shape[-1:], eps=EPS), scale))
        split = patches.view(len(x), *g.grid, g.patch_rows, -1).transpose(2, 3)
        return split.reshape(len(x), g.rows, g.columns, g.channels)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x [F, N, dim], normed to mean 0 and variance 1, times a scale plus a shift: [dim] each, or [F, 1, dim]."""
    if scale.ndim == 1:
        return torch.layer_norm(x, x.shape[-1:], scale, shift, EPS)
    return torch.addcmul(shift, torch.layer_norm(x, x.shape[-1:], eps=EPS), scale)
