"""Operators that only a GPU has, by others; and those whose results, or whose arguments, are waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten

# the host waits for their results
WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten.is_nonzero.default,
}
# they look at shapes only
UNREAD = {aten._fused_sdp_choice.default, aten._has_compatible_shallow_copy_type.default}
# the host may give the indices
MADE_OF_INDEX = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}


def attention(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> tuple[Any, ...]:
    """q, k, v [B, heads, T, d]: the result, the logarithms of its sums, and nothing of what training needs."""
    scores = q.float() @ k.float().transpose(-2, -1) * q.shape[-1] ** -0.5
    nothing = q.new_empty(0)
    seen = (scores.softmax(-1) @ v.float()).to(v.dtype)
    return seen, scores.logsumexp(-1), nothing, nothing, q.shape[2], k.shape[2], nothing, nothing, nothing


def scaled_product(
    a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, bias: Tensor | None, _: None, dtype: torch.dtype, *__: Any
) -> Tensor:
    """a [n, m] in eight bits with a scale for each row, times b [m, k] with one for each column."""
    product = (a.float() * scale_a) @ (b.float() * scale_b)
    return (product if bias is None else product + bias.float()).to(dtype)


def convolution_relu(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    """A convolution that ends with max(0, .)."""
    return F.conv2d(x, weight, bias, *how).relu()


def convolution_add_relu(
    x: Tensor, weight: Tensor, added: Tensor, share: float, bias: Tensor | None, *how: Any
) -> Tensor:
    """A convolution that something is added to, before max(0, .)."""
    return (F.conv2d(x, weight, bias, *how) + share * added).relu()


EMULATED: dict[Any, Callable[..., Any]] = {
    aten._scaled_dot_product_cudnn_attention.default: attention,
    aten._scaled_dot_product_flash_attention.default: attention,
    aten._scaled_mm.default: scaled_product,
    aten.cudnn_convolution_relu.default: convolution_relu,
    aten.cudnn_convolution_add_relu.default: convolution_add_relu,
}
