"""The parts that a diffusion world is made of: transformer, text encoder, decoder, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from world.block import Decoder
from world.dit.config import DiffusionConfig
from world.dit.dit import Transformer
from world.info import WorldInfo
from world.prompt_mix import Words


class TextEncoding(NamedTuple):
    """An encoded prompt: embedding [B, L, text_dim] for cross-attention, pooled [B, n] for the condition, if any."""

    embedding: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True)
class DiffusionModel:
    """Everything a session needs, on one device.

    dit: CausalDiT, or one made fast. encode: a prompt's text to TextEncoding, on `device`.
    complete: (text, words in force, None before the first) -> the text that the model reads, for worlds in which what
        a sentence leaves out stays; what is complete stays as it is. None: every text is read as it is.
    slow_words: `encode` takes long enough, seconds on a CPU, to be left to another thread; it must allow that.
    condition: (pooled, dials [B, F, n] in the order of info.dials) -> [B, F, dim], added to the time embedding; None
        for none.
    """

    config: DiffusionConfig
    dit: Transformer
    encode: Callable[[str], TextEncoding]
    decoder: Decoder
    info: WorldInfo
    condition: Callable[[Tensor | None, Tensor], Tensor] | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    slow_words: bool = False
    complete: Callable[[str, Words | None], str] | None = None

    @property
    def stored_averages(self) -> tuple[int, ...] | None:
        """The shape of the averages that travel with a block; None too where several processes share them out."""
        is_shared = self.dit.config.num_heads != self.config.dit.num_heads
        return None if is_shared else self.config.stored_averages
