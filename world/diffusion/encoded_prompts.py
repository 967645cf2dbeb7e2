"""What the model reads besides latents: prompts, each encoded once, and the condition they give with the dials."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from world.dit.device import upload
from world.dit.dit import Words
from world.prompt_mix import parse

if TYPE_CHECKING:
    from world.diffusion.world import DiffusionWorld, Text


class EncodedPrompt(NamedTuple):
    """A prompt as the model reads it."""

    words: Words
    pooled: Tensor | None


def mixed(parts: Sequence[tuple[Text, float]]) -> Text:
    """Encoded prompts as one, by weight; shorter embeddings get zero rows."""
    if len(parts) == 1:
        return parts[0][0]
    rows = max(text.embedding.shape[1] for text, _ in parts)
    padded = [(F.pad(text.embedding, (0, 0, 0, rows - text.embedding.shape[1])), weight) for text, weight in parts]
    pooled = None if parts[0][0].pooled is None else sum(text.pooled * weight for text, weight in parts)
    return parts[0][0]._replace(embedding=sum(x * weight for x, weight in padded), pooled=pooled)


class EncodedPrompts:
    """The newest prompts, encoded. Owned by a session."""

    def __init__(self, world: DiffusionWorld, capacity: int = 8) -> None:
        self._world, self._capacity = world, capacity
        self._spoken: OrderedDict[str, EncodedPrompt] = OrderedDict()

    def __getitem__(self, text: str) -> EncodedPrompt:
        if text not in self._spoken:
            self.keep(text, self.encode(text))
        self._spoken.move_to_end(text)
        return self._spoken[text]

    def encode(self, text: str) -> EncodedPrompt:
        """A prompt as the model reads it; nothing is kept."""
        encoded = mixed([(self._world.encode(words), weight) for words, weight in parse(text)])
        return EncodedPrompt(self._world.dit.words(encoded.embedding), encoded.pooled)

    def keep(self, text: str, spoken: EncodedPrompt) -> None:
        """Remember a prompt that `encode` has made."""
        self._spoken[text] = spoken
        self._spoken.move_to_end(text)
        while len(self._spoken) > self._capacity:
            self._spoken.popitem(last=False)

    def dial_values(self, dials: dict[str, float]) -> dict[str, float]:
        """Every dial of the world in its order, those never touched at rest."""
        return {name: dials.get(name, limits.rest) for name, limits in self._world.info.dials.items()}

    def condition(self, text: str, dials: Sequence[dict[str, float]]) -> Tensor | None:
        """[B, F, dim] for F latent frames under one prompt, each with its dials; None if the world has no condition."""
        if self._world.condition is None:
            return None
        values = torch.tensor([list(self.dial_values(of_frame).values()) for of_frame in dials])
        batched = upload(values, self._world.device).expand(self._world.config.latents.batch, -1, -1)
        return self._world.condition(self[text].pooled, batched)
