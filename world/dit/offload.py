"""Layers whose weights stay in host memory, for a large model that runs now and then beside one that needs the GPU.

Each call copies the weight to where its input is, through pinned memory that is used again and again, and forgets it.
Weights that are memory-mapped stay so: neither the GPU nor the host holds a copy of the model.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from world.dit.device import upload


class HostLinear(nn.Module):
    """`linear`, which has no bias, with its weight left where it is. `to` does not move it."""

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
