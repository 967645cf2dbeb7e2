"""LoRA: low-rank updates in PEFT's format, checked against the weights they adapt and merged into them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from world.info import WorldError
from world.wan.checkpoint import first, shape_text

_NAME = re.compile(r"^(?:base_model\.model\.)?(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight$")


class Lora:
    """Updates of some layers' weights, W + B A alpha / rank.

    tensors: A [rank, in] and B [out, rank] of each layer under PEFT's names, read from `path`.
    alpha: None for a scale of 1, which is how the released file is meant.
    Raises WorldError for other names, or for an A without its B.
    """

    def __init__(self, tensors: Mapping[str, Tensor], path: Path, alpha: float | None = None) -> None:
        self._pairs, self._path, self._alpha = _pairs(tensors, path), path, alpha

    def check(self, weights: Mapping[str, Tensor]) -> None:
        """Raise WorldError if a layer is not among `weights` or has another shape there."""
        unknown = [layer for layer in self._pairs if f"{layer}.weight" not in weights]
        if unknown:
            raise WorldError(f"{self._path} adapts layers the model has not ({len(unknown)}): {first(unknown)}")
        for layer, (a, b) in self._pairs.items():
            weight = weights[f"{layer}.weight"]
            if a.shape[0] != b.shape[1] or weight.shape != (b.shape[0], a.shape[1]):
                sizes = f"{shape_text(b)} times {shape_text(a)} onto {shape_text(weight)}"
                raise WorldError(f"{self._path}: the LoRA of {layer} does not fit: {sizes}")

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """`weight` with its update added, in float32; unchanged if it has none."""
        pair = self._pairs.get(name.removesuffix(".weight"))
        if pair is None or not name.endswith(".weight"):
            return weight
        a, b = (side.to(weight.device).float() for side in pair)
        scale = 1.0 if self._alpha is None else self._alpha / len(a)
        return weight.float().addmm(b, a, alpha=scale)


def _pairs(tensors: Mapping[str, Tensor], path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _NAME.match(name)
        if match is None:
            raise WorldError(f"{path}: {name} is no LoRA tensor: expected names ending in lora_A.weight, lora_B.weight")
        sides.setdefault(match["layer"], {})[match["side"]] = tensor
    halves = [layer for layer, pair in sides.items() if len(pair) != 2]
    if halves:
        raise WorldError(f"{path} has lora_A or lora_B but not both for {first(halves)}")
    return {layer: (pair["A"], pair["B"]) for layer, pair in sides.items()}
