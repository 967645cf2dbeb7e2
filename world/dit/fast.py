"""The transformer made fast for the machine at hand: fewer and larger products, compiled layers, captured CUDA graphs.

It computes what `dit.CausalDiT` computes, within rounding, and is called like it. The passes of a full window all have
the same shapes, so that one compiled function makes each of their layers; every other pass, at the beginning of a
scene, runs the same layers uncompiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.dit.cache import CacheBank, CachedPass
from world.dit.dit import EPS, CausalDiT, LayerAttend, Modulation, OverDiT, TextKV, TransformerBlock
from world.dit.kernels import AttentionKernel, linear_gelu
from world.dit.linears import Float8Linear, Int8Linear
from world.dit.pass_graph import Memory, PassGraphs, PassInputs
from world.dit.rope import rotate_pairs

EIGHT_BIT: dict[str, Callable[[Tensor, Tensor], nn.Module]] = {"fp8": Float8Linear, "int8": Int8Linear}


class FastBlock(nn.Module):
    """`TransformerBlock` with one product for queries, keys and values, and with its largest products by `linear`.

    linear: called with a weight and a bias, gives the layer.
    """

    def __init__(self, block: TransformerBlock, linear: Callable[[Tensor, Tensor], nn.Module]) -> None:
        super().__init__()
        own, self.cross = block.self_attn, block.cross_attn
        self.heads, self.modulation = own.heads, block.modulation
        self.qkv = linear(*stacked([own.q, own.k, own.v]))
        self.norm_q, self.norm_k, self.o, self.norm3 = own.norm_q, own.norm_k, own.o, block.norm3
        up, _, down = block.ffn
        self.up, self.down = linear(*stacked([up])), linear(*stacked([down]))

    def forward(self, x: Tensor, e: Tensor, words: tuple[Tensor, Tensor], attend: LayerAttend) -> Tensor:
        """x [B, F, N, dim] and its modulation e [B, F, 6, dim] -> [B, F, N, dim], with any attention."""
        m = self._modulation(e)
        return self._after(x, attend(*self._qkv(x, m)), m, words)

    def memory(self, x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values that `forward` would hand to `attend`: [B, T, heads, head_dim] each."""
        _, k, v = self._qkv(x, self._modulation(e))
        return k, v

    def steady(
        self, x: Tensor, e: Tensor, words: tuple[Tensor, Tensor], memory: Memory, kernel: AttentionKernel
    ) -> Tensor:
        """`forward` over a full cache, to which it writes first."""
        m = self._modulation(e)
        q, k, v = self._qkv(x, m)
        self._write(memory, k, v, x.shape[1])
        seen = kernel(rotate_pairs(q, memory.rotation), memory.keys.flatten(1, 2), memory.values.flatten(1, 2))
        return self._after(x, seen, m, words)

    def steady_write(self, x: Tensor, e: Tensor, memory: Memory) -> None:
        """Write what `steady` writes, and no more."""
        self._write(memory, *self.memory(x, e), x.shape[1])

    def _modulation(self, e: Tensor) -> tuple[Tensor, ...]:
        return (self.modulation + e).unsqueeze(-2).unbind(2)

    def _qkv(self, x: Tensor, m: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys, normed and not rotated, and values: [B, T, heads, head_dim] each."""
        q, k, v = self.qkv((_norm(x) * (1 + m[1]) + m[0]).flatten(1, 2)).chunk(3, -1)
        return self._split(self.norm_q(q)), self._split(self.norm_k(k)), self._split(v)

    def _write(self, memory: Memory, k: Tensor, v: Tensor, frames: int) -> None:
        for buffer, new in ((memory.keys, rotate_pairs(k, memory.rotation)), (memory.values, v)):
            buffer.index_copy_(1, memory.written, new.unflatten(1, (frames, -1)))

    def _after(self, x: Tensor, seen: Tensor, m: tuple[Tensor, ...], words: tuple[Tensor, Tensor]) -> Tensor:
        """What follows the attention to frames, `seen` [B, T, heads, head_dim]."""
        x = x + self.o(seen.flatten(2)).view_as(x) * m[2]
        # with one row of words for each frame, the frames become the batch
        queries = self.cross.queries(self.norm3(x).reshape(len(words[0]), -1, x.shape[-1]))
        x = x + self.cross.o(AttentionKernel()(queries, *words).flatten(2)).view_as(x)
        return x + self.down(self._widened(_norm(x) * (1 + m[4]) + m[3])) * m[5]

    def _widened(self, x: Tensor) -> Tensor:
        """The first half of the feed-forward: [..., dim] -> [..., ffn_dim]."""
        if x.is_cuda and isinstance(self.up, nn.Linear):
            return linear_gelu(x, self.up.weight, self.up.bias)
        return F.gelu(self.up(x), approximate="tanh")

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


class FastDiT(OverDiT):
    """A CausalDiT with fast passes. It takes over the layers of `dit`, which keeps only its edges.

    speed: "fast", or "fp8" or "int8" for the largest products in eight bits. kernel: of self-attention in a block.
    is_compiled: whether layers are compiled; without a compiler they run as they are written.
    graphs: how whole passes are replayed; None for not at all.
    """

    def __init__(
        self,
        dit: CausalDiT,
        speed: str = "fast",
        kernel: AttentionKernel | None = None,
        is_compiled: bool = True,
        graphs: PassGraphs | None = None,
    ) -> None:
        self.speed, self.kernel = speed, kernel or AttentionKernel()
        super().__init__(dit)
        self.blocks = [FastBlock(block, EIGHT_BIT.get(speed, _linear)) for block in _popped(dit.blocks)]
        steady, write = FastBlock.steady, FastBlock.steady_write
        self._steady = torch.compile(steady, dynamic=False) if is_compiled else steady
        self._steady_write = torch.compile(write, dynamic=False) if is_compiled else write
        self._graphs = graphs or PassGraphs()

    def words(self, embedding: Tensor) -> TextKV:
        """As `CausalDiT.words`."""
        text = self._edges.text(embedding)
        return [block.cross.memory(text) for block in self.blocks]

    def predict(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: CachedPass) -> Tensor:
        """As `CausalDiT.predict`, over a cache."""
        if attend.is_steady:
            made = self._graphs.run(self._predict_steady, latents, modulation, words, attend)
            assert made is not None
            return made
        x = self._edges.tokens(latents)
        for layer, block in enumerate(self.blocks):
            x = block(x, modulation.of_layers, words[layer], partial(attend, layer))
        return self._head(x, modulation, latents)

    def remember(self, latents: Tensor, modulation: Modulation, words: TextKV, attend: CachedPass) -> None:
        """As `CausalDiT.remember`."""
        if attend.is_steady:
            self._graphs.run(self._remember_steady, latents, modulation, words, attend)
            return
        x = self._edges.tokens(latents)
        *others, last = self.blocks
        for layer, block in enumerate(others):
            x = block(x, modulation.of_layers, words[layer], partial(attend, layer))
        attend.write(len(others), *last.memory(x, modulation.of_layers))

    def prepare(self, bank: CacheBank, latents: Tensor, modulation: Modulation) -> None:
        """Capture the passes over an empty bank, so that no show waits for that. The bank is empty again afterwards.

        latents [B, F, C, h, w] and modulation: examples, of a block.
        """
        config = bank.config
        if config.window == -1 or config.window != config.size:
            return  # no two passes are alike
        rows = self.config.text_len or 1
        words = self.words(torch.zeros(1, rows, self.config.text_dim, device=latents.device))
        bank.reset(config.size)
        for make in (self.predict, self.remember):
            make(latents, modulation, words, bank.attend(config.size, config.block))
        bank.clear()

    def _predict_steady(self, inputs: PassInputs) -> Tensor:
        return self._head(self._through(self.blocks, inputs), inputs.modulation, inputs.latents)

    def _remember_steady(self, inputs: PassInputs) -> None:
        *others, last = self.blocks
        self._steady_write(last, self._through(others, inputs), inputs.modulation.of_layers, inputs.memory[-1])

    def _through(self, blocks: list[FastBlock], inputs: PassInputs) -> Tensor:
        """The tokens after these layers: [B, F, N, dim]."""
        x, e = self._edges.tokens(inputs.latents), inputs.modulation.of_layers
        # the many queries of a recache fill a GPU by themselves
        is_block = x.shape[1] * 2 <= inputs.memory[0].keys.shape[1] and len(x) == 1
        kernel = self.kernel if is_block else replace(self.kernel, parts=1)
        for block, words, memory in zip(blocks, inputs.words, inputs.memory, strict=False):
            x = self._steady(block, x, e, words, memory, kernel)
        return x

    def _head(self, x: Tensor, modulation: Modulation, latents: Tensor) -> Tensor:
        made: Tensor = self._edges.head(x.flatten(1, 2), modulation.embedding, latents.to(self.dtype))
        return made


def _popped(blocks: nn.ModuleList) -> Iterator[Any]:
    """Each block, taken out of the list: its weights are freed as soon as nobody uses them."""
    while len(blocks):
        block = blocks[0]
        del blocks[0]
        yield block


def stacked(layers: Sequence[nn.Module]) -> tuple[Tensor, Tensor]:
    """Weight and bias of linear layers of one input, as if they were one layer."""
    weights, biases = zip(*[(layer.weight, layer.bias) for layer in layers], strict=True)
    return torch.cat(weights), torch.cat(biases)


def _linear(weight: Tensor, bias: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = (nn.Parameter(x.detach(), requires_grad=False) for x in (weight, bias))
    return layer


def _norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=EPS)
