"""Noise for training: levels as in play, and a history with a little of it."""

from __future__ import annotations

import torch
from torch import Tensor

from world.train.learn.x0 import shift_noise_levels
from world.train.story.form import TALE

PLAYED = 0.7  # the share of noise levels that are those of the steps of play
HISTORY_NOISE, NOISED_HISTORY = 0.15, 0.6  # the most noise in the history, and the share of sequences that have any


def draw_levels(shape: tuple[int, int], played: Tensor, generator: torch.Generator) -> Tensor:
    """Noise levels: mostly those that are `played` [n], and otherwise any, moved towards noise as in play."""
    device = generator.device
    number = torch.randint(len(played), shape, generator=generator, device=device)
    uniform = torch.rand(shape, generator=generator, device=device)
    is_played = torch.rand(shape, generator=generator, device=device) < PLAYED
    return torch.where(is_played, played[number], shift_noise_levels(uniform, TALE.shift))


def lightly_noised(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Clean blocks [B, n, C, h, w] as the model would have made them: with a little noise in most sequences."""
    size = (len(clean), 1, 1, 1, 1)
    device = clean.device
    level = HISTORY_NOISE * torch.rand(size, generator=generator, device=device)
    level = level * (torch.rand(size, generator=generator, device=device) < NOISED_HISTORY)
    return (1 - level) * clean + level * torch.randn(clean.shape, generator=generator, device=device)
