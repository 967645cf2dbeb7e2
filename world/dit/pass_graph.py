"""Steady passes captured as CUDA graphs: one launch for a whole pass, where a layer alone is some thirty."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from world.dit.cache import CacheBank, CachedPass
from world.dit.device import Replay, graph_pool
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
Capture = Callable[[Callable[[], Any], Any], Replay]  # (function, pool)


def memory_of(attend: CachedPass, written: Tensor) -> list[Memory]:
    """Every layer of the bank that a pass uses. written: `attend.written`, or another tensor that holds it."""
    rotation = torch.view_as_real(attend.rotation)
    bank = attend.bank
    return [Memory(keys, values, written, rotation) for keys, values in zip(bank.keys, bank.values, strict=True)]


class PassGraphs:
    """The graphs of a model, for each bank and kind of pass.

    capture: turns a function into its replay; None to make every pass as it is written, as on a CPU.
    """

    def __init__(self, capture: Capture | None = None) -> None:
        self._capture = capture
        self._banks: WeakKeyDictionary[CacheBank, BankGraphs] = WeakKeyDictionary()

    def run(
        self, kind: Run, latents: Tensor, modulation: Modulation, words: TextKV, attend: CachedPass
    ) -> Tensor | None:
        """Make a steady pass. Passes over more frames than a block has are made without a graph."""
        inputs = PassInputs(latents, modulation, words, memory_of(attend, attend.written))
        if self._capture is None or attend.frames != attend.bank.config.block:
            return kind(inputs)
        if attend.bank not in self._banks:
            self._banks[attend.bank] = BankGraphs(self._capture, graph_pool(latents.device))
        return self._banks[attend.bank].run(kind, inputs, attend)


class BankGraphs:
    """The graphs that use one bank. They share their inputs and their memory, so that only one of them runs at a time.

    Passes over another bank may run beside them, which is what a recache ahead does.
    """

    def __init__(self, capture: Capture, pool: Any) -> None:
        self._capture, self._pool = capture, pool
        self._inputs: PassInputs | None = None
        self._words: TextKV | None = None  # those that lie in the inputs
        self._replays: dict[str, Replay] = {}

    def run(self, kind: Run, inputs: PassInputs, attend: CachedPass) -> Tensor | None:
        """Make a pass by its graph, which is captured the first time; without it, for a text of another length."""
        if self._words and inputs.words[0][0].shape != self._words[0][0].shape:
            return kind(inputs)
        own, name = self._fill(inputs, attend), kind.__name__
        if name not in self._replays:
            self._replays[name] = self._capture(partial(kind, own), self._pool)
        made = self._replays[name]()
        return None if made is None else made.clone()

    def _fill(self, inputs: PassInputs, attend: CachedPass) -> PassInputs:
        """Copy what changes from pass to pass to where the graphs read it."""
        if self._inputs is None:
            words = [(_copy(k), _copy(v)) for k, v in inputs.words]
            modulation = Modulation(*map(_copy, inputs.modulation))
            memory = memory_of(attend, _copy(attend.written))
            self._inputs, self._words = PassInputs(_copy(inputs.latents), modulation, words, memory), inputs.words
        own = self._inputs
        own.latents.copy_(inputs.latents)
        own.memory[0].written.copy_(attend.written)
        torch._foreach_copy_(list(own.modulation), list(inputs.modulation))
        if self._words is not inputs.words:
            self._words = inputs.words
            torch._foreach_copy_([x for pair in own.words for x in pair], [x for pair in inputs.words for x in pair])
        return own


def _copy(x: Tensor) -> Tensor:
    """A copy that compiled code takes for the same kind of tensor: made in inference mode, or not."""
    with torch.inference_mode(x.is_inference()):
        return x.clone()
