"""Where training happens: torch's default device, so that everything made on the way lies there too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def device() -> torch.device:
    """The device that new tensors lie on."""
    return torch.get_default_device()


def chance(seed: int) -> torch.Generator:
    """A source of random numbers on that device."""
    return torch.Generator(device()).manual_seed(seed)


def bfloat16() -> torch.autocast:
    """Matrix products in bfloat16, everything else as it is."""
    return torch.autocast(device().type, torch.bfloat16)


def load(path: Path) -> Any:
    """A checkpoint, on that device wherever it was saved."""
    return torch.load(path, map_location=device())
