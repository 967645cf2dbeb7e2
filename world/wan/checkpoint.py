"""Checkpoint files: find them, read them without running code, check every name, and load them without a copy."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from world.info import WorldError

Tensors = dict[str, Tensor]


def find(folder: Path, places: Sequence[str], name: str) -> Path | None:
    """The file or folder `name` in the first of `places` below `folder` that has it; None if none has."""
    paths = (folder / place / name for place in places)
    return next((path for path in paths if path.exists()), None)


def need(folder: Path, places: Sequence[str], name: str) -> Path:
    """As `find`, but raises WorldError, with the places that were looked at, if none has it."""
    path = find(folder, places, name)
    if path is None:
        looked = ", ".join(str(Path(place) / name) for place in places)
        raise WorldError(f"{folder} has no {name}: looked for {looked}")
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a .safetensors, .pt or .pth file. Tensors are on the CPU, memory-mapped where possible.

    Code in the file is not run. Raises WorldError, one line, for a file that cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # older files are no zip archives and cannot be mapped
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # each library raises its own, another for each kind of damage
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
    """`content` if it is a state dict, tensors by name; raises WorldError otherwise."""
    if not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise WorldError(f"{path} holds no weights by name: found {first(list(content))}")
    return dict(content)


def fill(
    module: nn.Module,
    tensors: Tensors,
    path: Path,
    dtype: torch.dtype,
    device: torch.device,
    change: Callable[[str, Tensor], Tensor] | None = None,
) -> None:
    """Make `tensors`, read from `path`, the weights of `module`, which may have been built on the meta device.

    change: called with each name and its tensor on `device`, gives the weight to load in its place, say with a LoRA
        merged. Tensors are changed one at a time, so that a large file is never in memory twice.
    Raises WorldError, and loads nothing, if tensors are missing, left over or of another shape; it names them.
    """
    _check(module, tensors, path)
    if change is None:
        weights = {name: t.to(device, dtype) for name, t in tensors.items()}
    else:
        weights = {name: change(name, t.to(device)).to(dtype) for name, t in tensors.items()}
    module.load_state_dict(weights, assign=True)
    module.to(device).requires_grad_(False).eval()


def _check(module: nn.Module, tensors: Tensors, path: Path) -> None:
    expected = module.state_dict()
    shapes = [
        f"{name} is {shape_text(tensors[name])}, expected {shape_text(t)}"
        for name, t in expected.items()
        if name in tensors and tensors[name].shape != t.shape
    ]
    faults = {
        "missing": [name for name in expected if name not in tensors],
        "not expected": [name for name in tensors if name not in expected],
        "of another shape": shapes,
    }
    found = [f"{len(names)} {fault}: {first(names)}" for fault, names in faults.items() if names]
    if found:
        raise WorldError(f"{path} does not fit the model: {'; '.join(found)}")


def shape_text(tensor: Tensor) -> str:
    """The shape of `tensor` for an error message, like 32x16."""
    return "x".join(map(str, tensor.shape)) or "a number"


def first(names: Sequence[str], count: int = 3) -> str:
    """The first few of `names` for an error message, like a, b, c, ..."""
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
