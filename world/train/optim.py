"""Muon for the matrices of the blocks, AdamW for everything else."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SLOPE = (3.4445, -4.7750, 2.0315)  # Keller Jordan's quintic: steep at zero, singular values end near 1


def orthogonal(update: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrix, roughly, by Newton-Schulz iterations in bfloat16."""
    a, b, c = SLOPE
    wide = update.bfloat16() if update.shape[0] <= update.shape[1] else update.bfloat16().mT
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    return (wide if update.shape[0] <= update.shape[1] else wide.mT).to(update.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, with Nesterov's look ahead and weight decay."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._move(param, group)

    def _move(self, param: Tensor, group: dict) -> None:
        state = self.state[param]
        mean = state.setdefault("mean", torch.zeros_like(param))
        mean.lerp_(param.grad, 1 - group["momentum"])
        ahead = param.grad.lerp(mean, group["momentum"])
        param.mul_(1 - group["lr"] * group["decay"])
        # 0.2 sqrt(longest side): as large as AdamW's updates, so that one rate suits every shape
        param.add_(orthogonal(ahead), alpha=-group["lr"] * 0.2 * max(param.shape) ** 0.5)


def optimisers(model: nn.Module, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for two-dimensional weights inside `blocks`, AdamW for the rest of `model`."""
    named = list(model.named_parameters())
    inner = [p for name, p in named if "blocks." in name and p.ndim == 2 and name.endswith("weight")]
    chosen = {id(p) for p in inner}
    rest = [p for _, p in named if id(p) not in chosen]
    return [Muon(inner, matrix_rate), torch.optim.AdamW(rest, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.01)]
