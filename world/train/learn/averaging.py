"""Averages of weights: over the workers of one training, and over the steps of one model."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from world.train.learn.device import default_device


def join_workers(rank: int, workers: int, meeting: Path) -> None:
    """Connect this process with the other workers, so that they can average their weights; one worker needs nothing.

    Under torchrun the workers find one another by its environment, and otherwise by the file `meeting`.
    """
    if workers > 1:
        method = "env://" if "MASTER_ADDR" in os.environ else meeting.absolute().as_uri()
        backend = "gloo" if default_device().type == "cpu" else "nccl"
        dist.init_process_group(backend, rank=rank, world_size=workers, init_method=method)


@torch.no_grad()
def average_workers(model: nn.Module, share: float, workers: int) -> float:
    """Average the weights of `model` over all workers, in place; gives the average of their `share`.

    share: the used share of a worker's time. All workers get the same average and so stop at the same step.
    """
    if workers == 1:
        return share
    weights = list(model.parameters())
    flat = torch.cat([w.flatten() for w in weights] + [torch.tensor([share])])
    dist.all_reduce(flat)
    flat /= workers
    for weight, part in zip(weights, flat[:-1].split([w.numel() for w in weights]), strict=True):
        weight.copy_(part.view_as(weight))
    return float(flat[-1])


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, kept: float) -> None:
    """Update a running average of the weights of `model`, in place: `kept` of the old average stays."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - kept)
