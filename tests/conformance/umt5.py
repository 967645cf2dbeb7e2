"""Kind `umt5_encoder`: encoder output before and after the rows of padding are zeroed."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tests.conformance import difference, differences, state_dict
from world.wan.umt5 import UMT5, UMT5Config


def build(tensors: dict[str, Tensor], case: dict[str, Any]) -> UMT5:
    """The case's model, its weights loaded."""
    sizes = case["config"]
    names = ("vocab", "dim", "dim_attn", "dim_ffn", "num_heads", "num_layers")
    rows = {"buckets": sizes.get("num_buckets", 32), "far": sizes.get("max_dist", 128)}
    model = UMT5(UMT5Config(*(sizes[name] for name in names), **rows))
    model.load_state_dict(state_dict(tensors))
    return model.to(tensors["ids"].device)


def check(tensors: dict[str, Tensor], case: dict[str, Any]) -> dict[str, float]:
    """The largest absolute error of each output; `alone` encodes each prompt by itself, without padding."""
    model, ids, mask = build(tensors, case), tensors["ids"], tensors["mask"]
    ours = model.embed(ids, mask)
    lengths = mask.sum(1).int().tolist()
    alone = [
        difference(model.embed(ids[i : i + 1, :n], mask[i : i + 1, :n]), ours[i : i + 1, :n])
        for i, n in enumerate(lengths)
    ]
    is_right = lengths == case["config"].get("lens", lengths)
    errors = differences({"raw": model(ids, mask), "prompt_embeds": ours}, tensors)
    return {**errors, "alone": max(alone), "lens": 0.0 if is_right else 1.0} if errors else {}
