"""Names of tensors: the plain name under what wrappers and containers add, and a state dict within its container."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from world.info import WorldError
from world.wan.checkpoint import Tensors, only_tensors

# Parts of dotted names that only say what a model was wrapped in. No weight of ours has such a part in its own name.
WRAPPERS = frozenset(
    (
        *("model", "module", "diffusion_model", "base_model", "transformer", "dit", "generator", "vae"),
        *("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_module"),
    )
)
CONTAINERS = (
    *("generator", "generator_ema", "model", "state_dict", "model_state_dict", "module", "params_ema", "params"),
    *("ema", "ema_model", "ema_state_dict", "model_ema", "weights"),
)
DEPTH = 6  # containers within each other


def plain_name(name: str) -> str:
    """`name` without the parts that wrappers add: model.module.blocks.0._orig_mod.ffn -> blocks.0.ffn."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def plain_names(tensors: Tensors, path: Path) -> Tensors:
    """`tensors`, read from `path`, under their plain names; raises WorldError if two of them share one."""
    names: dict[str, str] = {}
    for name in tensors:
        other = names.setdefault(plain_name(name), name)
        if other != name:
            raise WorldError(f"{path} holds {plain_name(name)} twice, as {other} and as {name}: keep one of them")
    return {plain: tensors[name] for plain, name in names.items()}


# The text encoder as the library transformers names its parts. Its gate is wi_0.
_TRANSFORMERS = (
    (r"^shared\.", "token_embedding."),
    (r"^encoder\.final_layer_norm\.", "norm."),
    (r"^encoder\.block\.(\d+)\.", r"blocks.\1."),
    (r"\.layer\.0\.SelfAttention\.relative_attention_bias\.", ".pos_embedding.embedding."),
    (r"\.layer\.0\.SelfAttention\.", ".attn."),
    (r"\.layer\.0\.layer_norm\.", ".norm1."),
    (r"\.layer\.1\.layer_norm\.", ".norm2."),
    (r"\.layer\.1\.DenseReluDense\.wi_0\.", ".ffn.gate.0."),
    (r"\.layer\.1\.DenseReluDense\.wi_1\.", ".ffn.fc1."),
    (r"\.layer\.1\.DenseReluDense\.wo\.", ".ffn.fc2."),
)
_UNUSED = ("encoder.embed_tokens.weight", "spiece_model")  # a second copy, and the tokenizer


def encoder_names(tensors: Tensors) -> Tensors:
    """The text encoder's `tensors` under Wan's names, whether they have those already or those of transformers."""
    if "shared.weight" not in tensors:
        return tensors
    found = {}
    for name, tensor in tensors.items():
        if name in _UNUSED:
            continue
        for pattern, ours in _TRANSFORMERS:
            name = re.sub(pattern, ours, name)
        found[name] = tensor
    return found


def state_dict_in(content: Mapping[Any, Any], path: Path, entries: Sequence[str] = CONTAINERS) -> Tensors:
    """The state dict in `content`: under the first of `entries` that it has, level by level, or else all of it.

    Raises WorldError if there is none.
    """
    for _ in range(DEPTH):
        inner = next((content[name] for name in entries if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            return only_tensors(content, path)
        content = inner
    raise WorldError(f"{path} holds no weights by name within {DEPTH} levels")
