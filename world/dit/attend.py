"""Attention without a cache: every token of the call, under a mask if one is given. For training and score models."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from world.dit.rope import rotate, rotation


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention of q [B, T, heads, d] over k and v [B, S, heads, d]; mask [T, S], true where seen."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


class Dense:
    """Attends over the call's own tokens.

    grid: rows and columns of tokens in a frame; positions: each frame's place in time; mask: [F, F] of frames, true
    where a frame (row) sees another (column), or None for all.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        positions: Sequence[int],
        head_dim: int,
        mask: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.rotation = rotation(torch.tensor(positions, device=device), grid, head_dim)
        self.mask = None if mask is None else by_token(mask, grid[0] * grid[1]).to(device)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, F * N, heads, head_dim]; q and k come normed and not yet rotated."""
        return attention(rotate(q, self.rotation), rotate(k, self.rotation), v, self.mask)


def by_token(mask: Tensor, tokens: int) -> Tensor:
    """A mask of frames [F, F] as a mask of their tokens [F * tokens, F * tokens]."""
    return mask.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)


def block_causal(frames: int, block: int, window: int = -1) -> Tensor:
    """Mask [F, F]: a frame sees all up to the end of its own block, and at most `window` frames back from there."""
    frame = torch.arange(frames)
    end = ((frame // block + 1) * block).clamp(max=frames)[:, None]
    seen = frame[None] < end
    return seen if window == -1 else seen & (frame[None] >= end - window)


def teacher_forcing(frames: int, block: int) -> Tensor:
    """Mask [2F, 2F] of clean, then noisy frames.

    Clean is block-causal; noisy sees its own block and the clean ones before. Both halves take positions 0 to F - 1.
    """
    of = torch.arange(frames) // block
    before, same = of[None] < of[:, None], of[None] == of[:, None]
    clean = torch.cat([before | same, torch.zeros_like(same)], 1)
    return torch.cat([clean, torch.cat([before, same], 1)], 0)
