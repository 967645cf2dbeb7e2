"""LoRA: low-rank updates, checked against the weights they adapt and merged into them.

Source of the names: PEFT (`lora_A`, `lora_B`), diffusers (its own names of Wan's layers), and kohya's scripts
(`lora_down`, `lora_up`, `alpha`, layers with underscores in place of dots).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from world.info import WorldError
from world.wan.adapter import LARGEST, LoraRules
from world.wan.checkpoint import first
from world.wan.names import plain_name
from world.wan.weights import FLOATS, dtype_text, is_finite, shape_text

_SIDE = re.compile(
    r"^(?P<layer>.+)\.lora(?:_linear_layer)?[._](?P<side>A|B|down|up)(?:\.(?!weight$|bias$)[^.]+)?\.weight$"
)
_ALPHA = re.compile(r"^(?P<layer>.+)\.(?:lora_)?alpha$")
_OTHER_KINDS = {
    "DoRA": ("lora_magnitude_vector", "dora_scale"),
    "a LoHa": (".hada_",),
    "a LoKr": (".lokr_",),
    "a LoCon with a middle part": (".lora_mid",),
    "an OFT": (".oft_", ".boft_"),
    "a VeRA": ("vera_lambda_",),
    "an IA3": ("ia3_l",),
    "whole weights or biases": (".diff", ".diff_b", ".lora_B.bias", ".lora_up.bias", ".set_weight"),
}

# Wan's own names of layers and those of diffusers, as parts that are replaced one after the other.
_DIFFUSERS = (
    ("self_attn.", "attn1."),
    ("cross_attn.", "attn2."),
    (".ffn.0", ".ffn.net.0.proj"),
    (".ffn.2", ".ffn.net.2"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("head.head", "proj_out"),
)


@dataclass
class _Update:
    """What a file says of one layer. names: the layer as the file calls it, then as the model calls it."""

    names: tuple[str, str]
    sides: dict[str, Tensor] = field(default_factory=dict)
    alpha: float | None = None


class Lora:
    """Updates of some layers' weights, W + scale * B A.

    tensors: A [rank, in] and B [out, rank] of each layer, and its alpha if it has its own, read from `path`.
    weights: the weights of the model by name, of which only the shapes are looked at.
    Raises WorldError, by name, for tensors that are no LoRA, do not fit, or are not finite.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], path: Path, weights: Mapping[str, Tensor], rules: LoraRules | None = None
    ) -> None:
        self._path, self._rules = path, rules or LoraRules()
        self._updates = _updates(tensors, path, weights)
        for layer, update in self._updates.items():
            self._check(layer, update)
        self._is_transposed = self._needs_transposing(weights)
        for layer, update in self._updates.items():
            self._check_fit(update, weights[f"{layer}.weight"])

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """`weight` with its update added, in float32; unchanged if it has none. Raises WorldError if it overflows."""
        update = self._updates.get(name.removesuffix(".weight"))
        if update is None or not name.endswith(".weight"):
            return weight
        a, b = (update.sides[side].to(weight.device).float() for side in "AB")
        scale = self._rules.scale(update.names, len(a), update.alpha)
        wide = weight.float()
        merged = wide.addmm(a.T, b.T, alpha=scale) if self._is_transposed else wide.addmm(b, a, alpha=scale)
        if is_finite(wide) and not is_finite(merged):
            raise WorldError(f"{self._path}: the LoRA of {update.names[0]}, scaled by {scale:g}, is not finite")
        return merged

    def _check(self, layer: str, update: _Update) -> None:
        if len(update.sides) != 2:
            raise WorldError(f"{self._path} has lora_A or lora_B but not both for {update.names[0]}")
        a, b = update.sides["A"], update.sides["B"]
        for side in (a, b):
            if side.dtype not in FLOATS:
                raise WorldError(f"{self._path}: the LoRA of {layer} is {dtype_text(side)}, expected floats")
            if not is_finite(side.float()):
                raise WorldError(f"{self._path}: the LoRA of {layer} has numbers that are not finite")
        rank = self._rules.rank_of(update.names)
        if rank is not None and a.ndim == 2 and rank != len(a):
            raise WorldError(f"{self._path}: the LoRA of {layer} has rank {len(a)}, adapter_config.json says {rank}")

    def _needs_transposing(self, weights: Mapping[str, Tensor]) -> bool:
        """Whether B A has to be transposed: as the rules say, unless a layer that is not square shows the opposite.

        PEFT itself keeps fan_in_fan_out only for layers that hold their weights as [in, out].
        """
        if not self._rules.fan_in_fan_out:
            return False
        return not any(
            _product(update) == tuple(weights[f"{layer}.weight"].shape) != _product(update)[::-1]
            for layer, update in self._updates.items()
        )

    def _check_fit(self, update: _Update, weight: Tensor) -> None:
        a, b = update.sides["A"], update.sides["B"]
        product = _product(update)[:: -1 if self._is_transposed else 1]
        if not (a.ndim == b.ndim == 2 and 0 < len(a) == b.shape[1] and tuple(weight.shape) == product):
            sizes = f"{shape_text(b)} times {shape_text(a)} onto {shape_text(weight)}"
            raise WorldError(f"{self._path}: the LoRA of {update.names[0]} does not fit: {sizes}")


def _product(update: _Update) -> tuple[int, ...]:
    """The shape of B A."""
    return (*update.sides["B"].shape[:1], *update.sides["A"].shape[1:])


def _updates(tensors: Mapping[str, Tensor], path: Path, weights: Mapping[str, Tensor]) -> dict[str, _Update]:
    """The update of each layer, under the model's own name of the layer."""
    layers = {alias: layer for layer in _layers(weights) for alias in _aliases(layer)}
    updates: dict[str, _Update] = {}
    unknown: dict[str, None] = {}
    for name, tensor in tensors.items():
        match = _SIDE.match(name) or _ALPHA.match(name)
        if match is None:
            raise WorldError(f"{path}: {_reason(name)}")
        called = match["layer"].removeprefix("base_model.model.")
        layer = layers.get(plain_name(called))
        if layer is None:
            unknown[plain_name(called)] = None
            continue
        update = updates.setdefault(layer, _Update((called, layer)))
        if "side" in match.groupdict():
            side = {"down": "A", "up": "B"}.get(match["side"], match["side"])
            if side in update.sides:
                raise WorldError(f"{path} holds the LoRA of {layer} twice: keep one of them")
            update.sides[side] = tensor
        else:
            update.alpha = _alpha(name, tensor, path)
    if unknown:
        raise WorldError(f"{path} adapts layers the model has not ({len(unknown)}): {first(list(unknown))}")
    return updates


def _reason(name: str) -> str:
    for kind, marks in _OTHER_KINDS.items():
        if any(mark in name for mark in marks):
            return f"{name} is of {kind}, which cannot be merged here: expected a plain LoRA"
    return f"{name} is no LoRA tensor: expected names ending in lora_A.weight, lora_B.weight"


def _alpha(name: str, tensor: Tensor, path: Path) -> float:
    # whole numbers are usual here; more than a float32 can hold would raise when it multiplies
    if tensor.numel() != 1 or tensor.is_complex() or not abs(float(tensor.double().item())) < LARGEST:
        raise WorldError(f"{path}: {name} is no finite number")
    return float(tensor.double().item())


def _layers(weights: Mapping[str, Tensor]) -> Iterator[str]:
    return (name.removesuffix(".weight") for name in weights if name.endswith(".weight"))


def _aliases(layer: str) -> Iterator[str]:
    """The names under which files know `layer`, its own among them."""
    names = [layer]
    theirs = re.sub(r"_attn\.([qkv])$", r"_attn.to_\1", re.sub(r"_attn\.o$", "_attn.to_out.0", layer))
    for wan, diffusers in _DIFFUSERS:
        theirs = theirs.replace(wan, diffusers)
    names.append(theirs)
    for name in names:
        yield name
        yield f"lora_unet_{name.replace('.', '_')}"
        yield f"lora_transformer_{name.replace('.', '_')}"
