"""Randomness as a function: the same seed, block and step give the same numbers, whatever was drawn before."""

from __future__ import annotations

import torch
from torch import Tensor

MASK = (1 << 64) - 1


def mix(*numbers: int) -> int:
    """64 bits in which every bit of every number counts: splitmix64 over each in turn."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & MASK)) + 0x9E3779B97F4A7C15 & MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state


def normal(seed: int, block: int, step: int, shape: tuple[int, ...]) -> Tensor:
    """Unit normal noise of `shape`, float32, on the CPU (so that every device gets the same)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(mix(seed, block, step)))
