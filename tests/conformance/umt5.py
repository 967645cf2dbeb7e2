"""Kind `umt5_encoder`: encoder output before and after the rows of padding are zeroed."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tests.conformance import difference, state_dict
from world.umt5 import UMT5, UMT5Config


def build(tensors: dict[str, Tensor], case: dict[str, Any]) -> UMT5:
    """The case's model, its weights loaded."""
    sizes = case["config"]
    names = ("vocab", "dim", "dim_attn", "dim_ffn", "num_heads", "num_layers")
    model = UMT5(UMT5Config(*(sizes[name] for name in names)))
    model.load_state_dict(state_dict(tensors))
    return model


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output; `alone` encodes each prompt by itself, without padding."""
    model, ids, mask = build(tensors, case), tensors["ids"], tensors["mask"]
    golden = tensors["prompt_embeds"]
    alone = [
        difference(model.embed(ids[i : i + 1, :n], mask[i : i + 1, :n]), golden[i : i + 1, :n])
        for i, n in enumerate(case["config"]["lens"])
    ]
    return {
        "raw": difference(model(ids, mask), tensors["raw"]),
        "prompt_embeds": difference(model.embed(ids, mask), golden),
        "alone": max(alone),
    }
