"""Checkpoint files: found, read without running code, checked name by name, and put into a model without a copy."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from world.info import WorldError

Tensors = dict[str, Tensor]


def find(folder: Path, places: Sequence[str], name: str) -> Path | None:
    """The file or folder `name` in the first of `places` under `folder` that has it."""
    paths = (folder / place / name for place in places)
    return next((path for path in paths if path.exists()), None)


def need(folder: Path, places: Sequence[str], name: str) -> Path:
    """As `find`; raises WorldError that says where was looked."""
    path = find(folder, places, name)
    if path is None:
        looked = ", ".join(str(Path(place) / name) for place in places)
        raise WorldError(f"{folder} has no {name}: looked for {looked}")
    return path


def read(path: Path) -> dict[str, Any]:
    """The content of a .safetensors, .pt or .pth file, tensors on the CPU, mapped rather than read where possible."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # files of the older, unzipped kind cannot be mapped
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # each library and each kind of damage raises its own
        raise WorldError(_complaint(path, error)) from None
    if not isinstance(content, Mapping):
        raise WorldError(f"{path} holds a {type(content).__name__}, expected tensors by name")
    return dict(content)


def _complaint(path: Path, error: Exception) -> str:
    code = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and code:
        return f"{path} holds Python code ({code[1]}), not only tensors; it was not run: use the published file"
    size = path.stat().st_size if path.exists() else 0
    return f"{path} cannot be read ({size:,} bytes): it is cut short or not a checkpoint; copy or download it again"


def only_tensors(content: Mapping[str, Any], path: Path) -> Tensors:
    """`content` if it is a state dict; raises WorldError otherwise."""
    strangers = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if strangers or not content:
        raise WorldError(f"{path} holds no weights by name: found {_first(list(content))}")
    return dict(content)


def fill(module: nn.Module, tensors: Tensors, path: Path, dtype: torch.dtype, device: torch.device) -> None:
    """Make `tensors` the weights of `module`, which may have been declared on the meta device.

    Raises WorldError that names what is missing, left over or of another shape; nothing is loaded then.
    """
    _check(module, tensors, path)
    weights = {name: t.to(device, dtype) for name, t in tensors.items()}
    module.load_state_dict(weights, assign=True)
    module.to(device).requires_grad_(False).eval()


def _check(module: nn.Module, tensors: Tensors, path: Path) -> None:
    expected = module.state_dict()
    shapes = [
        f"{name} is {_size(tensors[name])}, expected {_size(t)}"
        for name, t in expected.items()
        if name in tensors and tensors[name].shape != t.shape
    ]
    faults = {
        "missing": [name for name in expected if name not in tensors],
        "not expected": [name for name in tensors if name not in expected],
        "of another shape": shapes,
    }
    found = [f"{len(names)} {fault}: {_first(names)}" for fault, names in faults.items() if names]
    if found:
        raise WorldError(f"{path} does not fit the model: {'; '.join(found)}")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _first(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


_LORA = re.compile(r"^(?:base_model\.model\.)?(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight$")


def lora_pairs(tensors: Mapping[str, Tensor], path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """PEFT names to layer -> (A [rank, in], B [out, rank]); raises WorldError on a name that is neither."""
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _LORA.match(name)
        if match is None:
            raise WorldError(
                f"{path}: {name} is not a LoRA tensor: expected names ending in lora_A.weight, lora_B.weight"
            )
        sides.setdefault(match["layer"], {})[match["side"]] = tensor
    halves = [layer for layer, pair in sides.items() if len(pair) != 2]
    if halves:
        raise WorldError(f"{path}: {len(halves)} layers have lora_A or lora_B but not both: {_first(halves)}")
    return {layer: (pair["A"], pair["B"]) for layer, pair in sides.items()}


def merge_lora(weights: Tensors, lora: Mapping[str, Tensor], path: Path, alpha: float | None = None) -> Tensors:
    """`weights` with W + B A alpha / rank for each layer of `lora`; without `alpha` the scale is 1, as released.

    The sum is made in float32 and kept in the dtype of W. Raises WorldError where a layer is unknown or does not fit.
    """
    pairs = lora_pairs(lora, path)
    strangers = [layer for layer in pairs if f"{layer}.weight" not in weights]
    if strangers:
        raise WorldError(f"{path} adapts {len(strangers)} layers that the model has not: {_first(strangers)}")
    merged = dict(weights)
    for layer, (a, b) in pairs.items():
        weight = weights[f"{layer}.weight"]
        if a.shape[0] != b.shape[1] or weight.shape != (b.shape[0], a.shape[1]):
            sizes = f"{_size(b)} times {_size(a)} onto {_size(weight)}"
            raise WorldError(f"{path}: the LoRA of {layer} does not fit: {sizes}")
        scale = 1.0 if alpha is None else alpha / a.shape[0]
        merged[f"{layer}.weight"] = (weight.float() + b.float() @ a.float() * scale).to(weight.dtype)
    return merged
