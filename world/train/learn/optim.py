"""The optimisers: Muon for the matrices inside the transformer's blocks, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

# a quintic of Keller Jordan's Muon: steep at zero, it moves all singular values near 1 in a few steps
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(updates: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrices to updates [n, rows, columns], approximately.

    Newton-Schulz iterations in bfloat16; the result has the dtype of `updates`.
    """
    a, b, c = NEWTON_SCHULZ
    is_tall = updates.shape[1] > updates.shape[2]
    wide = updates.bfloat16().mT if is_tall else updates.bfloat16()
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    return (wide.mT if is_tall else wide).to(updates.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose update is made orthogonal; parameters of one shape are updated together.

    Checkpoints hold its state under the names "momentum", "decay" and "mean".
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure: nothing here needs one
        """Update the parameters that have a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    by_shape.setdefault(param.shape, []).append(param)
            for params in by_shape.values():
                self._update(params, group)

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> None:
        grads = [param.grad for param in params if param.grad is not None]
        means = [self.state[param].setdefault("mean", torch.zeros_like(param)) for param in params]
        torch._foreach_lerp_(means, grads, 1 - group["momentum"])
        ahead = torch._foreach_lerp(grads, means, group["momentum"])
        torch._foreach_mul_(params, 1 - group["lr"] * group["decay"])
        # 0.2 sqrt(longest side): as large as AdamW's updates, so that one learning rate suits every shape
        size = group["lr"] * 0.2 * max(params[0].shape) ** 0.5
        torch._foreach_add_(params, list(orthogonalise(torch.stack(ahead)).unbind()), alpha=-size)


def build_optimisers(model: nn.Module, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the two-dimensional weights inside `blocks` of `model`, and AdamW for its other parameters."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if "blocks." in name and p.ndim == 2 and name.endswith("weight")]
    matrix_ids = {id(p) for p in matrices}
    others = [p for _, p in named if id(p) not in matrix_ids]
    return [Muon(matrices, matrix_rate), torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.01)]
