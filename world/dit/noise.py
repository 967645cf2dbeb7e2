"""Noise as a pure function: the same seed, block and step give the same numbers, whatever was drawn before."""

from __future__ import annotations

import torch
from torch import Tensor

from world.seeds import mix


def normal(seed: int, block: int, step: int, shape: tuple[int, ...]) -> Tensor:
    """Unit normal noise of `shape`: float32, drawn on the CPU so that every device gets the same numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(mix(seed, block, step)))
