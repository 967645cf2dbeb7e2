"""What the model reads besides latents: prompts, each encoded once, and the condition they give with the dials."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from world.diffusion.model import DiffusionModel, TextEncoding
from world.dit.device import upload
from world.dit.dit import TextKV
from world.info import SESSION_DIALS, WorldInfo
from world.prompt_mix import Part, Words, parts_of


class EncodedPrompt(NamedTuple):
    """A prompt as the model reads it: keys and values of its words for each layer, and the pooled words, if any."""

    words: TextKV
    pooled: Tensor | None


def mix_texts(parts: Sequence[tuple[TextEncoding, float]]) -> TextEncoding:
    """Encoded prompts as one, by weight; shorter embeddings get zero rows."""
    if len(parts) == 1:
        return parts[0][0]
    rows = max(text.embedding.shape[1] for text, _ in parts)
    padded = [(F.pad(text.embedding, (0, 0, 0, rows - text.embedding.shape[1])), weight) for text, weight in parts]
    pooled = [text.pooled * weight for text, weight in parts if text.pooled is not None]
    embedding = reduce(torch.add, [x * weight for x, weight in padded])
    return TextEncoding(embedding, reduce(torch.add, pooled) if pooled else None)


def meaningful_parts(parts: Sequence[Part], info: WorldInfo) -> Sequence[Part]:
    """The parts of a mix that have a word which the world knows, with weights that add up to 1; all if none has one."""
    kept = [part for part in parts if info.known_words(part[0])]
    if not kept or len(kept) == len(parts):
        return parts
    total = sum(weight for _, weight in kept)
    return [(words, weight / total) for words, weight in kept]


class EncodedPrompts:
    """The newest prompts, encoded. Owned by a session."""

    def __init__(self, model: DiffusionModel, capacity: int = 8) -> None:
        self._model, self._capacity = model, capacity
        self._prompts: OrderedDict[Words, EncodedPrompt] = OrderedDict()

    def __getitem__(self, text: Words) -> EncodedPrompt:
        if text not in self._prompts:
            self.keep(text, self.encode(text))
        self._prompts.move_to_end(text)
        return self._prompts[text]

    def encode(self, text: Words) -> EncodedPrompt:
        """Encode a prompt without keeping it."""
        parts = meaningful_parts(parts_of(text), self._model.info)
        mixed = mix_texts([(self._model.encode(words), weight) for words, weight in parts])
        return EncodedPrompt(self._model.dit.words(mixed.embedding), mixed.pooled)

    def keep(self, text: Words, prompt: EncodedPrompt) -> None:
        """Remember a prompt that `encode` has made; the oldest one beyond the capacity is forgotten."""
        self._prompts[text] = prompt
        self._prompts.move_to_end(text)
        while len(self._prompts) > self._capacity:
            self._prompts.popitem(last=False)

    def dial_values(self, dials: Mapping[str, float]) -> dict[str, float]:
        """Every dial of the world in its order, those never touched at rest."""
        return {name: dials.get(name, limits.rest) for name, limits in self._model.info.dials.items()}

    def _inputs(self, dials: Mapping[str, float]) -> list[float]:
        """The dials that the model itself reads; how many steps it makes, or what new words keep, is no input of it."""
        return [value for name, value in self.dial_values(dials).items() if name not in SESSION_DIALS]

    def condition(self, text: Words, dials: Sequence[Mapping[str, float]]) -> Tensor | None:
        """[B, F, dim] for F latent frames under one prompt, each with its dials; None if the world has no condition."""
        if self._model.condition is None:
            return None
        values = torch.tensor([self._inputs(of_frame) for of_frame in dials])
        batched = upload(values, self._model.device).expand(self._model.config.latents.batch, -1, -1)
        return self._model.condition(self[text].pooled, batched)
