"""The sky: its colours, stars, the sun or the moon, and the ringed planet of space."""

from __future__ import annotations

import torch
from torch import Tensor

from world.train.tale.paper import Paper, chance_of, disc, ellipse, tint
from world.train.tale.stage import Staging, pick
from world.train.tale.words import TIMES

_SUN_X = (-1.05, 1.10, 0.80, 1.10)  # by time of day
_SUN_Y = (-0.12, -0.56, -0.04, -0.56)
_SUN_RADIUS = (0.27, 0.22, 0.42, 0.24)
_VEILED = (0.0, 0.45, 0.25, 0.55, 0.45)  # how much of the sun each weather takes
_STAR = (255, 250, 225)
_PLANET_AT = (-0.74, -0.30, 0.42)  # x, y, radius
_PLANET = ((236, 176, 150), (226, 150, 96), (226, 104, 120), (150, 120, 214))  # by time of day
_TURN = (0.93, -0.36)  # cosine and sine of the ring's slant


def begin_sky(stage: Staging) -> Paper:
    """The paper of a batch of clips with the sky on it."""
    share = ((stage.y + 1) / 1.15).clamp(0, 1).unsqueeze(2)
    rgb = torch.lerp(stage.top, stage.bottom, share**1.3)
    shape = (*stage.x.shape[:2], 3, stage.y.shape[2], stage.x.shape[3])
    return Paper(stage.weathered(rgb).expand(shape).contiguous(), stage.pixel)


def lay_stars(paper: Paper, stage: Staging, seen: Tensor) -> None:
    """Large, few stars that stand still and twinkle; seen: 0 to 1, [B, 1, 1, 1]."""
    x, y = stage.x, stage.y
    column, row = torch.floor(x * 1.9), torch.floor(y * 1.9)
    number = torch.remainder(column, 8) + 8 * torch.remainder(row, 4)
    chance = chance_of(number, 32, 0.4)
    u = (x * 1.9 - column - 0.3 - 0.4 * chance) / 1.9
    v = (y * 1.9 - row - 0.3 - 0.4 * chance_of(number, 32, 1.7)) / 1.9
    radius = 0.022 + 0.026 * chance_of(number, 32, 2.9)
    radius = radius * (1 + 0.25 * torch.sin(2.5 * stage.clock + 20 * chance))
    # four points: a diamond with hollow sides
    paper.lay(torch.sqrt(u.abs() * v.abs() * 1.6 + u**2 + v**2) - radius, tint(_STAR, stage.x), alpha=seen)


def sun_place(stage: Staging) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and radius of the sun or the moon, [B, 1, 1, 1] each."""
    x, y, radius = (pick(table, stage.scenes.time).squeeze(2) for table in (_SUN_X, _SUN_Y, _SUN_RADIUS))
    return x, y, radius


def veil(stage: Staging) -> Tensor:
    """How much of the sun's light the weather takes, 0 to 1, [B, 1, 1, 1]."""
    return pick(_VEILED, stage.scenes.weather).squeeze(2)


def lay_sun(paper: Paper, stage: Staging) -> None:
    """The sun, in two rings of paper, or the sickle of the moon."""
    at_x, at_y, radius = sun_place(stage)
    x, y = stage.x - at_x, stage.y - at_y
    seen = 1 - veil(stage)
    night = stage.when("time", TIMES.index("night"))
    disc_at = disc(x, y, radius)
    bitten = torch.maximum(disc_at, -disc(x - 0.11, y + 0.06, radius * 0.88))
    shape = torch.where(night > 0, bitten, disc_at)
    paper.glow(shape, stage.sun, 0.45, 0.40 * seen * stage.spark)
    paper.lay(shape - 0.09 * (1 - night), stage.sun, alpha=0.30 * seen)
    paper.lay(shape, stage.sun, alpha=seen)


def lay_planet(paper: Paper, stage: Staging) -> None:
    """A large planet with a ring, which stands behind everything."""
    x, y = stage.x - _PLANET_AT[0], stage.y - _PLANET_AT[1]
    colour = pick(_PLANET, stage.scenes.time)
    ball = disc(x, y, _PLANET_AT[2])
    u, v = _TURN[0] * x + _TURN[1] * y, _TURN[0] * y - _TURN[1] * x
    ring = ellipse(u, v, 0.80, 0.20).abs() - 0.030
    paper.lay(ball, colour, shadow=0.35)
    for at, wide in ((-0.20, 0.05), (0.10, 0.07)):
        paper.lay(torch.maximum(ball, (v - at).abs() - wide), colour * 0.8)
    paper.lay(torch.maximum(ball, -disc(x + 0.13, y + 0.13, 0.48)), colour * 0.55)
    paper.lay(torch.where((v > 0) | (ball > 0), ring, torch.ones((), device=ring.device)), colour * 0.5 + 0.5)
