"""Tensors of a checkpoint as the weights of a model: checked by name, loaded without a copy, or left in host memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.dit.device import upload
from world.info import WorldError
from world.wan.checkpoint import Tensors, first

FLOAT8 = (torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64, *FLOAT8)


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
    Raises WorldError, and loads nothing, if tensors are missing, left over, of another shape, no floating-point
    numbers, or not finite; it names them.
    """
    check_fit(module, tensors, path)
    weights = {}
    for name, tensor in tensors.items():
        weight = tensor.to(device)
        if weight.dtype in FLOAT8:  # torch converts them, and computes nothing else with them
            weight = weight.float()
        if change is not None:
            weight = change(name, weight)
        weights[name] = weight.to(dtype)
        if not is_finite(weights[name]):
            raise WorldError(f"{path}: {name} has numbers that are not finite")
    module.load_state_dict(weights, assign=True)
    module.to(device).requires_grad_(False).eval()


def check_fit(module: nn.Module, tensors: Tensors, path: Path) -> None:
    """Raise WorldError, by name, unless `tensors` have the names and shapes of the weights of `module`, and are floats.

    Looks at no numbers.
    """
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
        "of no floating-point numbers": [
            f"{name} is {dtype_text(t)}" for name, t in tensors.items() if name in expected and t.dtype not in FLOATS
        ],
    }
    found = [f"{len(names)} {fault}: {first(names)}" for fault, names in faults.items() if names]
    if found:
        raise WorldError(f"{path} does not fit the model: {'; '.join(found)}")


def is_finite(tensor: Tensor) -> bool:
    """Whether no number in `tensor` is NaN or infinite. On a GPU this waits for it: for loading only."""
    if not tensor.numel():
        return True
    # one pass over the numbers that allocates nothing; NaN wins over every other number
    low, high = tensor.aminmax()
    return bool(low.isfinite() & high.isfinite())


def shape_text(tensor: Tensor) -> str:
    """The shape of `tensor` for an error message, like 32x16."""
    return "x".join(map(str, tensor.shape)) or "a number"


def dtype_text(tensor: Tensor) -> str:
    """The dtype of `tensor` for an error message, like int64."""
    return str(tensor.dtype).removeprefix("torch.")


class HostLinear(nn.Module):
    """`linear`, which has no bias, with its weight left in host memory. `to` does not move it.

    Each call copies the weight to where its input is, through pinned memory that is used again and again, and forgets
    it. A weight that is memory-mapped stays so: neither the GPU nor the host holds a copy of the model.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        assert len(list(linear.parameters())) == 1, "only a weight is copied"
        self._weight: Tensor = linear.weight.detach()

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inner] -> [..., outer], on the device of x."""
        return F.linear(x, upload(self._weight, x.device))


class HostEmbedding(nn.Module):
    """`embedding` with its table left where it is: only the rows that are asked for are copied."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self._weight: Tensor = embedding.weight.detach()

    def forward(self, ids: Tensor) -> Tensor:
        """ids int64 [...] -> [..., dim], on the device of ids."""
        return upload(F.embedding(ids.to(self._weight.device), self._weight), ids.device)


def leave_on_host(module: nn.Module) -> None:
    """Let the linear layers in `module` be such layers from now on."""
    for name, part in module.named_children():
        if isinstance(part, nn.Linear):
            module.register_module(name, HostLinear(part))
        else:
            leave_on_host(part)
