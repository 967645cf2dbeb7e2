"""Names of tensors: the plain name under what wrappers and containers add, and a state dict within its container."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from world.info import WorldError
from world.wan.checkpoint import Tensors, only_tensors, told

# Parts of dotted names that only say what a model was wrapped in. No weight of ours has such a part in its own name.
WRAPPERS = frozenset(
    (
        *("model", "module", "diffusion_model", "base_model", "transformer", "dit", "generator", "vae"),
        *("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_module"),
    )
)
TRAINED, AVERAGE = "generator", "generator_ema"  # of one training
CONTAINERS = (
    *(TRAINED, AVERAGE, "model", "state_dict", "model_state_dict", "module", "params_ema", "params"),
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


# The transformer as the library diffusers names its parts. Its norm2 is our norm3: the others have no parameters.
_DIFFUSERS = (
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"^scale_shift_table$", "head.modulation"),
    (r"^proj_out\.", "head.head."),
    (r"\.scale_shift_table$", ".modulation"),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"_attn\.to_([qkv])\.", r"_attn.\1."),
    (r"_attn\.to_out\.0\.", "_attn.o."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
    (r"\.ffn\.net\.2\.", ".ffn.2."),
    (r"(blocks\.\d+)\.norm2\.", r"\1.norm3."),
)


def transformer_names(tensors: Tensors) -> Tensors:
    """The transformer's `tensors` under Wan's names, whether they have those already or those of diffusers."""
    if "condition_embedder.time_proj.weight" not in tensors:
        return tensors
    found = {}
    for name, tensor in tensors.items():
        for pattern, ours in _DIFFUSERS:
            name = re.sub(pattern, ours, name)
        found[name] = tensor
    return found


# Parts of names that only models of other families have, whose transformers have modules that are not made here.
_STRANGERS = {
    "action_model": "Matrix-Game, which has modules for actions",
    "cam_injector_layer1": "lingbot-world, which has modules for the camera",
    "patch_embedding_wancamctrl": "lingbot-world, which has modules for the camera",
    "linear_proj": "Hybrid Forcing, which attends linearly to what left the window",
    "img_emb": "a model that begins with a picture",
    "k_img": "a model that begins with a picture",
}


def refuse_strangers(tensors: Tensors, path: Path) -> None:
    """Raise WorldError, with the family, if there are weights of modules that are not made here."""
    for name in tensors:
        what = next((what for part, what in _STRANGERS.items() if part in name.split(".")), None)
        if what:
            raise WorldError(f"{path} holds {told(name)}: it is of {what}, and cannot be played here")


def state_dict_of(content: Mapping[Any, Any], path: Path, entry: str, is_said: bool = False) -> Tensors:
    """The state dict of a generator: under `entry`, or in the only container that there is, level by level.

    is_said: whether somebody asked for this very entry. Raises WorldError where it is not clear which weights are
    meant: weights in training and their running average are both whole, and only one of them makes the pictures.
    """
    seen = list[str]()
    for _ in range(DEPTH):
        there = dict.fromkeys(name for name in (entry, *CONTAINERS) if isinstance(content.get(name), Mapping))
        seen += there
        is_missing = entry not in seen
        if not there and not (is_said and is_missing):
            return only_tensors(content, path)
        is_in_training = is_missing and entry == AVERAGE and TRAINED in there
        if not there or (entry not in there and (len(there) > 1 or is_in_training)):
            held = " and ".join(seen) or "no entries"
            raise WorldError(f"{path} holds {held}, and {told(entry)} is to be played: say the entry in world.toml")
        content = content[next(iter(there))]
    raise WorldError(f"{path} holds no weights by name within {DEPTH} levels")


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
