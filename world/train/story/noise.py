"""Noise for training: levels as in play, and noise that tells the layout of a scene from nothing."""

from __future__ import annotations

import math

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


def layout_waves(device: torch.device) -> Tensor:
    """Two patterns [2, C, h, w], orthogonal and of length one, in which pure noise tells where a scene begins."""
    g = TALE.geometry
    waves = torch.zeros(2, g.channels, g.rows, g.columns, device=device)
    waves[0, -2], waves[1, -1] = 1, 1
    return waves / (g.rows * g.columns) ** 0.5


def tell_phase(noise: Tensor, phase: Tensor, waves: Tensor) -> Tensor:
    """The noise [B, C, h, w], turned so that its two waves tell the phase [B], 0 to 1, of a scene's layout.

    The angle between the waves becomes the phase, and their length stays. Where phases are evenly spread, the noise
    stays normal and white; a world that starts from plain noise so takes from it where a scene begins, and need not
    choose between all places at once, which shows as a blur.
    """
    told = torch.einsum("bchw,kchw->bk", noise, waves)
    angle = 2 * math.pi * phase
    asked = told.norm(dim=1, keepdim=True) * torch.stack([angle.cos(), angle.sin()], 1)
    return noise + torch.einsum("bk,kchw->bchw", asked - told, waves)


def lightly_noised(clean: Tensor, generator: torch.Generator) -> Tensor:
    """Clean blocks [B, n, C, h, w] as the model would have made them: with a little noise in most sequences."""
    size = (len(clean), 1, 1, 1, 1)
    device = clean.device
    level = HISTORY_NOISE * torch.rand(size, generator=generator, device=device)
    level = level * (torch.rand(size, generator=generator, device=device) < NOISED_HISTORY)
    return (1 - level) * clean + level * torch.randn(clean.shape, generator=generator, device=device)
