"""The device that training uses: torch's default device, on which new tensors are created."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """The device on which torch creates new tensors."""
    return torch.get_default_device()


def seeded_generator(seed: int) -> torch.Generator:
    """A random-number generator on the default device."""
    return torch.Generator(default_device()).manual_seed(seed)


def bfloat16_autocast() -> torch.autocast:
    """A context in which matrix products run in bfloat16; the weights keep their dtype."""
    return torch.autocast(default_device().type, torch.bfloat16)
