"""Kind `causal_dit_cached`: block after block against a cache; outputs, pointers and what the cache holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.conformance import difference, grid
from tests.conformance.uncached import build
from world.dit.cache import CacheBank
from world.dit.config import CacheConfig
from world.dit.rope import rotate, rotation

POINTERS = {"global_end_index": "made", "local_end_index": "filled"}


def cache_config(case: dict[str, Any], latents: Tensor, frames: int, keep_sink: bool = True) -> CacheConfig:
    """The cache that the case asks for, to make `frames` latent frames like `latents` [..., h, w] in all."""
    sizes, tokens = case["config"], grid(latents)[0] * grid(latents)[1]
    window = sizes["window_frames"]
    if window != -1 and "max_attention_tokens" in sizes:
        window = sizes["max_attention_tokens"] // tokens
    return CacheConfig(
        window=window,
        sink=sizes["sink_frames"],
        block=sizes["frames_per_block"],
        slots=sizes.get("cache_frames", window if window != -1 else frames),
        positions="absolute" if sizes.get("rope", "absolute") == "absolute" else "relative",
        keep_sink=keep_sink,
        published=True,
    )


def stored(bank: CacheBank, layer: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Keys and values of `layer` as the reference stores them: in order of time, keys rotated if absolute."""
    keys, values = (part.flatten(1, 2) for part in bank.logical(layer))
    if bank.config.positions == "absolute":
        frames = torch.tensor([bank.slots.frame[slot] for slot in bank.slots.order], device=keys.device)
        keys = rotate(keys, rotation(frames, size, keys.shape[-1]))
    return keys, values


def compare_cache(bank: CacheBank, golden: dict[str, Tensor], prefix: str, size: tuple[int, int]) -> dict[str, float]:
    """The error of every tensor named PREFIXk.LAYER or PREFIXv.LAYER."""
    errors = {}
    for name in (name for name in golden if name.startswith(prefix)):
        part, layer = name.removeprefix(prefix).split(".")
        errors[name] = difference(stored(bank, int(layer), size)["kv".index(part)], golden[name])
    return errors


def compare_pointers(bank: CacheBank, golden: dict[str, Any], tokens: int) -> float:
    """How many tokens the pointers that `golden` has are off."""
    ours = {name: getattr(bank.slots, field) * tokens for name, field in POINTERS.items()}
    return float(max((abs(ours[name] - golden[name]) for name in ours if name in golden), default=0))


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest error of outputs, of each cache tensor, and of the pointers in tokens (0 if right)."""
    latents, dit = tensors["x"], build(tensors, case)
    _, batch, frames = latents.shape[:3]
    size, words = grid(latents), dit.words(tensors["context"])
    config = cache_config(case, latents, max(call["start_frame"] for call in case["calls"]) + frames)
    bank = CacheBank(config, dit.config, size, batch, latents.device)
    errors = {"out": 0.0, "pointers": 0.0}
    for call in case["calls"]:
        i = call["i"]
        made = dit(latents[i], tensors["t"][i], words, bank.attend(call["start_frame"], frames))
        errors["out"] = max(errors["out"], difference(made, tensors["out"][i]))
        errors["pointers"] = max(errors["pointers"], compare_pointers(bank, call, size[0] * size[1]))
        errors |= compare_cache(bank, tensors, f"snap.{i}.", size)
    return errors | compare_cache(bank, tensors, "final.", size)
