"""Steady passes captured as CUDA graphs: one launch for a whole pass, where a layer alone is some thirty."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from world.dit.cache import CacheBank, CachedPass
from world.dit.dit import Modulation, TextKV


class Memory(NamedTuple):
    """One layer of a bank as a steady pass uses it.

    keys, values: [B, slots, N, heads, head_dim], all of them visible. written: the slots of the pass's frames, [F].
    rotation: of those frames, [F * N, 1, head_dim / 2, 2].
    """

    keys: Tensor
    values: Tensor
    written: Tensor
    rotation: Tensor


class PassInputs(NamedTuple):
    """What a steady pass reads; memory: of each layer."""

    latents: Tensor
    modulation: Modulation
    words: TextKV
    memory: list[Memory]


Run = Callable[[PassInputs], Tensor | None]


def memory_of(attend: CachedPass, written: Tensor) -> list[Memory]:
    """Every layer of the bank that a pass uses. written: `attend.written`, or another tensor that holds it."""
    rotation = torch.view_as_real(attend.rotation)
    bank = attend.bank
    return [Memory(keys, values, written, rotation) for keys, values in zip(bank.keys, bank.values, strict=True)]


class PassGraphs:
    """The graphs of a model, for each bank and kind of pass. A kind is made once without a graph, then captured.

    On a CPU every pass is made without one.
    """

    def __init__(self) -> None:
        self._banks: WeakKeyDictionary[CacheBank, BankGraphs] = WeakKeyDictionary()

    def run(
        self, kind: Run, latents: Tensor, modulation: Modulation, words: TextKV, attend: CachedPass
    ) -> Tensor | None:
        """Make a steady pass. Passes over more frames than a block has are made without a graph."""
        inputs = PassInputs(latents, modulation, words, memory_of(attend, attend.written))
        if latents.device.type != "cuda" or attend.frames != attend.bank.config.block:
            return kind(inputs)
        graphs = self._banks.setdefault(attend.bank, BankGraphs())
        return graphs.run(kind, inputs, attend)


class BankGraphs:
    """The graphs that use one bank. They share their inputs and their memory, so that only one of them runs at a time.

    Passes over another bank may run beside them, which is what a recache ahead does.
    """

    def __init__(self) -> None:
        self._inputs: PassInputs | None = None
        self._words: TextKV | None = None  # those that lie in the inputs
        self._graphs: dict[str, tuple[torch.cuda.CUDAGraph, Tensor | None]] = {}
        self._seen: set[str] = set()
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, kind: Run, inputs: PassInputs, attend: CachedPass) -> Tensor | None:
        """Make a pass: by its graph from the second time on."""
        name = kind.__name__
        if name not in self._seen:
            self._seen.add(name)
            return kind(inputs)
        self._fill(inputs, attend)
        if name not in self._graphs:
            self._graphs[name] = self._capture(kind)
        graph, out = self._graphs[name]
        graph.replay()
        return None if out is None else out.clone()

    def _fill(self, inputs: PassInputs, attend: CachedPass) -> None:
        """Copy what changes from pass to pass to where the graphs read it."""
        if self._inputs is None:
            modulation = Modulation(*(part.clone() for part in inputs.modulation))
            words = [(k.clone(), v.clone()) for k, v in inputs.words]
            memory = memory_of(attend, attend.written.clone())
            self._inputs, self._words = PassInputs(inputs.latents.clone(), modulation, words, memory), inputs.words
        own = self._inputs
        own.latents.copy_(inputs.latents)
        own.memory[0].written.copy_(attend.written)
        torch._foreach_copy_(list(own.modulation), list(inputs.modulation))
        if self._words is not inputs.words:
            self._words = inputs.words
            torch._foreach_copy_([x for pair in own.words for x in pair], [x for pair in inputs.words for x in pair])

    def _capture(self, kind: Run) -> tuple[torch.cuda.CUDAGraph, Tensor | None]:
        graph = torch.cuda.CUDAGraph()
        assert self._inputs is not None
        # other threads may use the device meanwhile: one of them encodes prompts
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            out = kind(self._inputs)
        return graph, out
