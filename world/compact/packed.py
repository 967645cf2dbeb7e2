"""Weights in one byte each: matrices as int8 with a scale for each row, everything else in half precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from world.info import WorldError

LARGE = 4096  # elements; a smaller tensor saves too little to be worth the rounding
SCALE = ".scale"


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` as they are stored: int8 matrices beside their float32 scales, named with `.scale`; float16 others."""
    packed = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.numel() < LARGE:
            packed[name] = tensor.half().contiguous()
            continue
        rows = tensor.float().flatten(1)
        scale = (rows.abs().amax(1) / 127).clamp(min=1e-8)
        packed[name] = (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape).contiguous()
        packed[name + SCALE] = scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `pack`, in float32; a matrix comes back to within half of its row's scale."""
    tensors = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in packed:
            continue
        if tensor.dtype == torch.int8:
            scale = packed[name + SCALE].view(-1, *[1] * (tensor.ndim - 1))
            tensor = tensor * scale
        tensors[name] = tensor.float()
    return tensors


def write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Pack `tensors` and save them to a safetensors file, with words of its own in its header (`metadata`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(pack(tensors), path, metadata)


def read_packed(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `write` made, unpacked; raises WorldError if it is missing or damaged."""
    try:
        return unpack(load_file(path))
    except (OSError, KeyError, SafetensorError) as error:
        raise WorldError(f"weights cannot be read ({error})") from None
