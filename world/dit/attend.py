"""Softmax attention, and attention without a cache, for training: the tokens of a call attend to each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from world.dit.linears import NOTHING, ONEDNN, has_onednn
from world.dit.rope import rotate, rotation

MANY = 2**15  # queries times keys from which products of heads by themselves are faster on a CPU
MOST_SCORES = 2**22  # that are computed at once, 16 MB: more are slower, and so are far fewer


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention of q [B, T, heads, d] over k and v [B, S, heads, d]: [B, T, heads, d].

    mask: bool [T, S], true where a query (row) may see a key (column); None for everywhere.
    """
    if mask is None and _suits_onednn(q, k):
        return _by_heads(q, k, v)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)


def _suits_onednn(q: Tensor, k: Tensor) -> bool:
    """Whether this is a large attention on a CPU, for inference, and not within code that is compiled."""
    if not q.is_cpu or q.shape[1] * k.shape[1] < MANY or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    return q.dtype == k.dtype and has_onednn(q.dtype)


def _by_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`attention` head by head, in products of oneDNN: scores in float32, their shares in the dtype of v.

    torch's own kernel does its products by MKL: on one thread of an AMD EPYC 336 queries of 12 heads over 1,344 keys
    take it 30 ms, and this 21 in float32 and 16 in bfloat16, with errors as small.
    """
    seen = torch.empty_like(q)
    rows = max(1, MOST_SCORES // k.shape[1])
    for n, head in product(range(len(q)), range(q.shape[2])):
        keys, values = k[n, :, head].float().contiguous(), v[n, :, head].t().contiguous()
        for queries, out in zip(q[n, :, head].split(rows), seen[n, :, head].split(rows), strict=True):
            scores = ONEDNN._linear_pointwise(queries.float() * q.shape[-1] ** -0.5, keys, None, *NOTHING)
            out.copy_(ONEDNN._linear_pointwise(scores.softmax(-1).to(v.dtype), values, None, *NOTHING))
    return seen


class Dense:
    """Self-attention among the F frames of one call.

    grid: rows and columns of tokens in a frame. positions: the F positions in time.
    mask: bool [F, F], true where a frame (row) may see another (column); None for everywhere.
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
        self.mask = None if mask is None else expand_to_tokens(mask, grid[0] * grid[1]).to(device)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, F * N, heads, head_dim]. q and k are normed but not yet rotated."""
        return attention(rotate(q, self.rotation), rotate(k, self.rotation), v, self.mask)


def expand_to_tokens(mask: Tensor, tokens: int) -> Tensor:
    """A mask between frames [F, F] as a mask between their tokens [F * tokens, F * tokens]."""
    return mask.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)


def block_causal(frames: int, block: int, window: int = -1) -> Tensor:
    """Mask [F, F]: a frame sees every frame up to the end of its own block.

    window: how many frames it sees, counted back from that end; -1 for all of them.
    """
    frame = torch.arange(frames)
    end = ((frame // block + 1) * block).clamp(max=frames)[:, None]
    seen = frame[None] < end
    return seen if window == -1 else seen & (frame[None] >= end - window)


def teacher_forcing(frames: int, block: int) -> Tensor:
    """Mask [2F, 2F] for F clean frames followed by the same F frames with noise.

    Clean frames are block-causal. A noisy frame sees its own noisy block and the clean blocks before it. Both halves
    take positions 0 to F - 1.
    """
    number = torch.arange(frames) // block
    before, same = number[None] < number[:, None], number[None] == number[:, None]
    clean = torch.cat([before | same, torch.zeros_like(same)], 1)
    return torch.cat([clean, torch.cat([before, same], 1)], 0)
