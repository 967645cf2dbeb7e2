"""Sizes and rules of a diffusion world, as frozen values that refuse nonsense."""

from __future__ import annotations

from dataclasses import dataclass

POSITIONS = ("relative", "absolute")
PREDICTIONS = ("flow", "x0")
STORED = ("float16", "float32")


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of the transformer; the defaults are Wan2.1-T2V-1.3B.

    text_len: rows of text that every layer attends to; shorter embeddings get zero rows, which take part. 0: as many as given.
    """

    dim: int = 1536
    ffn_dim: int = 8960
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    in_dim: int = 16
    out_dim: int = 16
    num_heads: int = 12
    num_layers: int = 30

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or self.head_dim % 2 or self.head_dim < 6:
            raise ValueError(f"width {self.dim} in {self.num_heads} heads: need an even head width of at least 6")
        if self.freq_dim % 2:
            raise ValueError(f"freq_dim is {self.freq_dim}: need an even number (cosines and sines)")

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads
