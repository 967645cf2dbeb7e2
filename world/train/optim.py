"""Muon for the matrices of the blocks, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SLOPE = (3.4445, -4.7750, 2.0315)  # Keller Jordan's quintic: steep at zero, singular values end near 1


def orthogonal(updates: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrices to updates [n, rows, columns], roughly: Newton-Schulz in bfloat16."""
    a, b, c = SLOPE
    is_tall = updates.shape[1] > updates.shape[2]
    wide = updates.bfloat16().mT if is_tall else updates.bfloat16()
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    return (wide.mT if is_tall else wide).to(updates.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, with Nesterov's look ahead; equal shapes go together."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    shapes.setdefault(param.shape, []).append(param)
            for alike in shapes.values():
                self._move(alike, group)

    def _move(self, alike: list[Tensor], group: dict) -> None:
        grads = [param.grad for param in alike]
        means = [self.state[param].setdefault("mean", torch.zeros_like(param)) for param in alike]
        torch._foreach_lerp_(means, grads, 1 - group["momentum"])
        ahead = torch._foreach_lerp(grads, means, group["momentum"])
        torch._foreach_mul_(alike, 1 - group["lr"] * group["decay"])
        # 0.2 sqrt(longest side): as large as AdamW's updates, so that one rate suits every shape
        size = group["lr"] * 0.2 * max(alike[0].shape) ** 0.5
        torch._foreach_add_(alike, list(orthogonal(torch.stack(ahead)).unbind()), alpha=-size)


def optimisers(model: nn.Module, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for two-dimensional weights inside `blocks`, AdamW for the rest of `model`."""
    named = list(model.named_parameters())
    inner = [p for name, p in named if "blocks." in name and p.ndim == 2 and name.endswith("weight")]
    chosen = {id(p) for p in inner}
    rest = [p for _, p in named if id(p) not in chosen]
    return [Muon(inner, matrix_rate), torch.optim.AdamW(rest, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.01)]
