"""How much arithmetic a pass of the transformer is, counted from its sizes. A multiply and an add are two."""

from __future__ import annotations

from world.dit.config import DiTConfig


def linear_flops(config: DiTConfig, queries: int) -> int:
    """Per-token products of the blocks: q, k, v, o; cross-attention's q and o (k and v are made once a prompt); ffn."""
    weights = 4 * config.dim**2 + 2 * config.dim**2 + 2 * config.dim * config.ffn_dim
    return 2 * config.num_layers * queries * weights


def attention_flops(config: DiTConfig, queries: int, keys: int) -> int:
    """Scores and values of `queries` tokens over `keys` tokens, in every layer."""
    return 4 * config.num_layers * queries * keys * config.dim


def pass_flops(config: DiTConfig, queries: int, keys: int, text: int | None = None) -> int:
    """One pass of `queries` tokens that see `keys` tokens of the window and `text` rows of the prompt."""
    rows = config.text_len if text is None else text
    seen = attention_flops(config, queries, keys) + attention_flops(config, queries, rows)
    return linear_flops(config, queries) + seen
