"""Scales of weights that are stored in float8: taken out of a checkpoint, and multiplied in while it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from world.info import WorldError
from world.wan.checkpoint import Tensors
from world.wan.weights import FLOATS, is_finite, shape_text

WEIGHT_SCALES = (".scale_weight", ".weight_scale", ".weight.scale")
# scales of activations, and a marker: for a product in float8, which is not made here
UNUSED = (".scale_input", ".input_scale")
MARKER = "scaled_fp8"


class Scales:
    """The factors by which stored weights are multiplied: one for a whole weight, or one for each of its rows."""

    def __init__(self, factors: Mapping[str, Tensor]) -> None:
        self._factors = factors

    def applied(self, name: str, weight: Tensor) -> Tensor:
        """`weight` times its scale, in float32; unchanged if it has none."""
        factor = self._factors.get(name)
        if factor is None:
            return weight
        return weight.float() * factor.to(weight.device).float().view(-1, *[1] * (weight.ndim - 1))


def without_scales(tensors: Tensors, path: Path) -> tuple[Tensors, Scales]:
    """The weights among `tensors`, read from `path`, and the scales that belong to them.

    Raises WorldError for a scale that is not one number for a weight or for each of its rows. Other tensors stay,
    so that whoever loads them names them.
    """
    weights, factors = dict(tensors), {}
    weights.pop(MARKER, None)
    for name, tensor in tensors.items():
        suffix = next((suffix for suffix in (*WEIGHT_SCALES, *UNUSED) if name.endswith(suffix)), None)
        if suffix is None:
            continue
        weight_name = f"{name.removesuffix(suffix)}.weight"
        if weight_name not in tensors:
            continue
        del weights[name]
        if suffix in WEIGHT_SCALES:
            _check(name, tensor, tensors[weight_name], path)
            factors[weight_name] = tensor
    return weights, Scales(factors)


def _check(name: str, scale: Tensor, weight: Tensor, path: Path) -> None:
    rows = weight.shape[0] if weight.ndim else 1
    if scale.dtype not in FLOATS or scale.numel() not in (1, rows) or max(scale.shape, default=1) != scale.numel():
        of = f"{shape_text(scale)} for a weight of {shape_text(weight)}"
        raise WorldError(f"{path}: {name} is {of}: expected one number, or one for each row")
    if not is_finite(scale.float()):
        raise WorldError(f"{path}: {name} has numbers that are not finite")
