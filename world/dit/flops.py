"""The floating-point operations of a pass, computed from the sizes. A multiply and an add count as two."""

from __future__ import annotations

from world.dit.config import DiTConfig


def linear_flops(config: DiTConfig, queries: int) -> int:
    """FLOP of the linear layers for `queries` tokens.

    Counted: q, k, v and o of self-attention; q and o of cross-attention, whose k and v are made once for each prompt;
    the feed-forward.
    """
    weights = 4 * config.dim**2 + 2 * config.dim**2 + 2 * config.dim * config.ffn_dim
    return 2 * config.num_layers * queries * weights


def attention_flops(config: DiTConfig, queries: int, keys: int) -> int:
    """FLOP of the attention of `queries` tokens over `keys` tokens in every layer: the scores and the weighted sum."""
    return 4 * config.num_layers * queries * keys * config.dim


def pass_flops(config: DiTConfig, queries: int, keys: int, text: int | None = None) -> int:
    """FLOP of one pass of `queries` tokens that attend to `keys` tokens of the window and `text` rows of the prompt."""
    rows = config.text_len if text is None else text
    seen = attention_flops(config, queries, keys) + attention_flops(config, queries, rows)
    return linear_flops(config, queries) + seen
