"""The edges of a decoder: latents as they are stored, pixels as a window shows them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def to_uint8(frames: Tensor) -> Tensor:
    """frames [n, 3, Y, X], RGB with black 0 and white 1 (clamped here) -> uint8 [n, Y, X, 3], rounded, contiguous."""
    # bfloat16 cannot count to 255; what clamp gives is a copy, and fresh memory for each step would cost more than it
    return frames.float().clamp(0, 1).mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def as_tensor(latents: Any) -> Tensor:
    """A tensor of `latents`, which may be an array out of a log that must not be written to."""
    return latents if isinstance(latents, Tensor) else torch.tensor(latents)
