"""What is said of a scene: all of it, as tokens of the complete description that the model reads.

In play a sentence names a few things, and the world's slots add the others (`world.compact.word_slots`). So training
needs no sentences: they are made for the evaluation (`world.train.tale.sentences`).
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from world.compact.text import PAD, token_numbers
from world.train.story.form import TALE
from world.train.tale.words import ATTRIBUTES, VALUES, SceneWords, must_name


def scene_tokens(numbers: Tensor) -> Tensor:
    """The tokens, uint8 [..., most_words], of scenes whose attributes have the values `numbers`, int64 [..., K]."""
    columns = []
    for column, name in zip(numbers.unbind(-1), ATTRIBUTES, strict=True):
        of_values = [token_numbers(value, TALE.language)[0] for value in VALUES[name]]
        columns.append(torch.tensor(of_values, dtype=torch.uint8, device=numbers.device)[column])
    return F.pad(torch.stack(columns, -1), (0, TALE.language.most_words - len(columns)), value=PAD)


def opening_attributes(scene: SceneWords, rng: random.Random, more: float = 0.4) -> set[str]:
    """What a first sentence must name of a scene so that it is this one and no other; and sometimes more."""
    named = must_name(scene) | {name for name in ATTRIBUTES if rng.random() < more}
    if scene["subject"] == "none":  # of no subject no colour is told
        named = named - {"colour"}
    return named or {"place"}
