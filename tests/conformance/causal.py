"""Kind `causal_dit_cached`: block after block against a cache; outputs, pointers and what the cache holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference
from tests.conformance.uncached import build, grid
from world.cache import CacheBank
from world.config import CacheConfig
from world.rope import rotate, rotation


def cache_config(case: dict[str, Any], keep_sink: bool = True) -> CacheConfig:
    """The cache that the case asks for."""
    sizes = case["config"]
    window = sizes["window_frames"]
    if window != -1 and "max_attention_tokens" in sizes:
        window = sizes["max_attention_tokens"] // sizes["tokens_per_frame"]
    return CacheConfig(
        window=window,
        sink=sizes["sink_frames"],
        block=sizes["frames_per_block"],
        slots=sizes.get("cache_frames", window if window != -1 else sizes.get("frames")),
        positions="absolute" if sizes["rope"] == "absolute" else "relative",
        keep_sink=keep_sink,
        published=True,
    )


def stored(bank: CacheBank, layer: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Keys and values of `layer` as the reference stores them: in order of time, keys rotated if absolute."""
    keys, values = (part.flatten(1, 2) for part in bank.logical(layer))
    if bank.config.positions == "absolute":
        frames = torch.tensor([bank.slots.frame[slot] for slot in bank.slots.order])
        keys = rotate(keys, rotation(frames, size, keys.shape[-1]))
    return keys, values


def compare_cache(bank: CacheBank, golden: dict[str, Tensor], prefix: str, size: tuple[int, int]) -> dict[str, float]:
    """The error of every tensor named PREFIXk.LAYER or PREFIXv.LAYER."""
    errors = {}
    for name in (name for name in golden if name.startswith(prefix)):
        part, layer = name.removeprefix(prefix).split(".")
        errors[name] = difference(stored(bank, int(layer), size)["kv".index(part)], golden[name])
    return errors


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest error of outputs, of each cache tensor, and of the pointers in tokens (0 if right)."""
    dit, size, tokens = build(tensors, case), grid(case), case["config"]["tokens_per_frame"]
    bank = CacheBank(cache_config(case), dit.config, size, tensors["x"].shape[1])
    words = dit.words(tensors["context"])
    errors = {"out": 0.0, "pointers": 0.0}
    for call in case["calls"]:
        i, x = call["i"], tensors["x"][call["i"]]
        made = dit(x, tensors["t"][i], words, bank.attend(call["start_frame"], x.shape[1]))
        errors["out"] = max(errors["out"], difference(made, tensors["out"][i]))
        ours = (bank.slots.made * tokens, bank.slots.filled * tokens)
        golden = (call["global_end_index"], call["local_end_index"])
        errors["pointers"] = max(errors["pointers"], *(float(abs(a - b)) for a, b in zip(ours, golden, strict=True)))
        errors |= compare_cache(bank, tensors, f"snap.{i}.", size)
    return errors | compare_cache(bank, tensors, "final.", size)
