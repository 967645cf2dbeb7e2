"""What falls from the sky or hangs in it: rain, snow, fog, and storm clouds with lightning."""

from __future__ import annotations

from itertools import pairwise

import torch

from world.train.tale.paper import Paper, box, chance_of, disc, limb, tint, union
from world.train.tale.scene import Groups
from world.train.tale.stage import Staging
from world.train.tale.words import WEATHERS

_DROP, _FLAKE, _BOLT = (222, 236, 252), (255, 255, 255), (255, 246, 190)
_BANKS = ((0.30, 0.02, 2.0), (0.62, -0.12, 2.5), (0.8, 0.30, 2.0))  # alpha, level and period of the fog by layer
_LOBES = ((0.0, 0.30, 0.0), (0.42, 0.24, 0.10), (0.84, 0.27, 0.04))  # where, how large and how high, of a cloud


def lay_clouds(paper: Paper, stage: Staging, groups: Groups) -> None:
    """A bank of cloud for rain, two for a storm, and the storm's lightning between them and the ground."""
    for weather in ("rain", "storm"):
        if weather in groups.weather:
            rows = groups.weather[weather]
            part, view = paper.rows(rows), stage.rows(rows)
            if weather == "storm":
                _lightning(part, view)
                _cloud_bank(part, view, 0)
            _cloud_bank(part, view, 1)
            paper.put(rows, part)


def _cloud_bank(paper: Paper, stage: Staging, number: int) -> None:
    """The back bank (0) of clouds, which hangs lower, or the front one (1)."""
    low, bright = ((-0.56, 1.45), (-0.68, 1.05))[number]
    x = stage.x + 0.3 * number
    y = stage.y - low
    lobes = [disc(torch.remainder(x - at, 1.25) - 0.625, y + r + up, r) for at, r, up in _LOBES]
    distance = union(*lobes, y + 0.20)
    colour = stage.weathered((stage.slate * bright).clamp(max=1))
    rim = ((distance + 0.035) / (0.6 * stage.pixel) + 0.5).clamp(0, 1).unsqueeze(2)
    paper.shade(distance, 0.30)
    paper.lay(distance, torch.lerp(colour, torch.lerp(colour, stage.haze, 0.5), rim))


def _lightning(paper: Paper, stage: Staging) -> None:
    """A bolt of paper that burns for more than half of every two seconds, now on the left, now on the right."""
    turn = stage.clock / 2
    number = torch.floor(turn)
    burning = ((0.6 - (turn - number)) * 12).clamp(0, 1) * (0.8 + 0.2 * torch.sin(40 * turn))
    at = torch.where(torch.remainder(number, 2) > 0, -1.15, 0.68)
    x, y = stage.x - at, stage.y
    corners = ((0.12, -0.66), (-0.10, -0.20), (0.12, -0.26), (-0.10, 0.34))
    bolt = union(*(limb(x, y, ends, (0.062, 0.040)) for ends in pairwise(corners)))
    light = tint(_BOLT, stage.x)
    paper.rgb.lerp_(light, (0.20 * burning).unsqueeze(2))
    paper.glow(bolt, light, 0.35, 0.55 * burning)
    paper.lay(bolt, light, alpha=burning)


def lay_fog(paper: Paper, stage: Staging, groups: Groups, layer: int) -> None:
    """A bank of fog before one of the layers of the ground: strips of thin paper with round ends."""
    if "fog" not in groups.weather:
        return
    rows = groups.weather["fog"]
    part, view = paper.rows(rows), stage.rows(rows)
    strength, level, period = _BANKS[layer]
    x, y = view.layer(layer)
    strips = []
    for at, down, wide in ((0.0, 0.0, 0.62), (1.0, 0.13, 0.5)):
        u = torch.remainder(x - at, period) - period / 2
        strips.append(box(u, y - level - down, wide, 0.075, 0.075))
    pale = torch.lerp(view.weathered(view.haze), (view.light * 1.15).clamp(max=1), 0.45)
    part.lay(union(*strips), pale, alpha=strength)
    paper.put(rows, part)


def lay_falling(paper: Paper, stage: Staging, groups: Groups) -> None:
    """Drops or flakes before everything else."""
    for weather, lay in (("rain", _rain), ("storm", _rain), ("snow", _snow)):
        if weather in groups.weather:
            rows = groups.weather[weather]
            part = paper.rows(rows)
            lay(part, stage.rows(rows))
            paper.put(rows, part)


def _rain(paper: Paper, stage: Staging) -> None:
    """Slanting drops in lanes that stand still on the screen; they lean back from the way that is gone."""
    x, y = stage.x, stage.y
    lean = -stage.way * (0.08 + 0.30 * stage.pace + 0.30 * stage.when("weather", WEATHERS.index("storm")))
    lane = (x - lean * y) * 2.3
    number = torch.floor(lane)
    along = torch.remainder(y - 1.5 * stage.clock + chance_of(number, 5, 0.2), 1)
    drop = torch.maximum((lane - number - 0.5).abs() / 2.3 - 0.022, (along - 0.5).abs() - 0.17)
    paper.lay(drop, tint(_DROP, stage.x), alpha=0.8)


def _snow(paper: Paper, stage: Staging) -> None:
    """Large flakes that sway as they fall."""
    x = (stage.x + 0.15 * stage.travel) * 1.6
    column = torch.floor(x)
    y = (stage.y - 0.32 * stage.clock) * 1.6 + 4 * chance_of(column, 8, 0.5)
    row = torch.floor(y)
    chance = chance_of(column + 3 * row, 8, 0.7)
    u = x - column - 0.5 - 0.22 * torch.sin(1.6 * stage.clock + 6 * chance)
    v = y - row - 0.35 - 0.3 * chance
    paper.lay(disc(u, v, 0.0) / 1.6 - 0.045 - 0.025 * chance, tint(_FLAKE, stage.x), shadow=0.12)
