"""The silhouettes of the six places: a far, a middle and a near layer of ground each, which repeat for ever.

Every one takes x [B, T, 1, X] and y [B, T, Y, 1] on its layer and the clock, and gives the distance to the ground,
[B, T, Y, X]. The period of a near layer divides its round (`stage.ROUND`); the others stand still.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from world.train.tale.paper import box, chance_of, disc, union

Layer = Callable[[Tensor, Tensor, Tensor], Tensor]
FAR_PERIOD = 4.0  # half picture heights after which the high mountains and the pyramids repeat
PEAKS = ((-1.52, -0.56, 0.33), (-0.62, -0.30, 0.24), (0.36, -0.64, 0.38), (1.36, -0.36, 0.26))  # where, top, snow
PYRAMIDS = ((-1.42, -0.40, 0.68), (-0.38, -0.08, 0.34), (0.66, -0.30, 0.56), (1.66, -0.12, 0.38))  # where, top, width


def _slope(rise: float) -> float:
    """What turns a height above a slope into the distance to it."""
    return 1 / math.sqrt(1 + rise**2)


def _scallops(x: Tensor, y: Tensor, level: float, height: float, length: float) -> Tensor:
    """Waves with round troughs and sharp crests."""
    crest = 1 - torch.sin(math.pi * x / length).abs()
    return (level - height * crest - y) * 0.85


def peak(x: Tensor, y: Tensor, top: float, rise: float) -> Tensor:
    """The distance to a mountain whose sides fall by `rise` half heights in one."""
    return torch.maximum((top + rise * x.abs() - y) * _slope(rise), top - y)


def mountains(x: Tensor, y: Tensor) -> list[Tensor]:
    """The distance to each of the high mountains."""
    return [peak(local(x, FAR_PERIOD, at), y, top, 1.15) for at, top, _ in PEAKS]


def local(x: Tensor, period: float, at: float) -> Tensor:
    """x from the nearest of the places that repeat each `period`."""
    return torch.remainder(x - at + period / 2, period) - period / 2


def _sea_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return (0.06 - y) + 0 * x


def swell(clock: Tensor) -> Tensor:
    """How far down waves are, in half picture heights. They only heave: if they ran, slow boats would seem to stand."""
    return 0.03 * torch.sin(2.2 * clock)


def _sea_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _scallops(x, y + 0.7 * swell(clock), 0.40, 0.13, 1.25)


def _sea_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _scallops(x, y - swell(clock), 0.76, 0.20, 10 / 8)


def _mountains_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*mountains(x, y), 0.4 - y)


def _mountains_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(peak(local(x, 2.5, at), y, top, 0.75) for at, top in ((0.3, -0.02), (1.5, 0.12))), 0.6 - y)


def _mountains_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    """Round hills."""
    return 0.72 - 0.11 * torch.sin(2 * math.pi / 2.5 * x) - y


def _forest_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    """A hedge of large round bushes."""
    bushes = [disc(local(x, 2.5, at), y - low, radius) for at, low, radius in ((0.3, 1.0, 0.40), (1.15, 1.1, 0.44))]
    return union(*bushes, disc(local(x, 2.5, 1.85), y - 1.02, 0.34), 0.82 - y)


def _towers(x: Tensor, y: Tensor, width: float, low: float, high: float) -> Tensor:
    number = torch.floor(x / width)
    top = low - (low - high) * chance_of(number, 9, 0.9)
    side = (x - (number + 0.5) * width).abs() - 0.41 * width
    return torch.maximum(side, top - y)


def _city_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(_towers(x, y, 0.40, 0.15, -0.55), 0.3 - y)


def _city_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(_towers(x, y, 0.50, 0.32, -0.22), 0.62 - y)


def _city_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    """The wall of a quay, with wide pillars."""
    pillar = box(local(x, 10 / 7, 0.4), y - 0.90, 0.34, 0.26)
    return union(0.82 - y + 0 * x, pillar)


def _pines(x: Tensor, y: Tensor, trees: int, width: float, tall: float) -> Tensor:
    """A row of pines of three tiers each, which repeats after so many trees."""
    number = torch.floor(x / width)
    height = tall * (0.68 + 0.32 * chance_of(number, trees, 0.3))
    from_stem = (x - (number + 0.5) * width).abs()
    foot, half, tiers = tall - 0.36, 0.5 * width, []
    for begin, end, wide in ((0.0, 0.46, 0.62), (0.24, 0.74, 0.82), (0.5, 1.1, 1.0)):
        rise = (end - begin) * height / (wide * half)
        above = foot - height * (1 - begin) + from_stem * rise - y
        tiers.append(torch.maximum(above * torch.rsqrt(1 + rise**2), y - (foot - height * (1 - end))))
    return union(*tiers, foot - 0.12 - y)


def _forest_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _pines(x, y, 9, 0.40, 0.72)


def _forest_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _pines(x, y, 7, 0.625, 1.0)


def _desert_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(peak(local(x, FAR_PERIOD, at), y, top, 0.85) for at, top, _ in PYRAMIDS), 0.28 - y)


def _dune(x: Tensor, y: Tensor, level: float, height: float, length: float) -> Tensor:
    phase = 2 * math.pi / length * x
    return (level - height * torch.sin(phase + 0.6 * torch.sin(phase)) - y) * 0.95


def _desert_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    u, v = local(x, 2.5, 1.9), y - 0.30
    cactus = [box(u, v + 0.10, 0.055, 0.36, 0.05), box(u - 0.09, v + 0.05, 0.10, 0.045, 0.04)]
    cactus += [box(u - 0.17, v + 0.15, 0.045, 0.14, 0.04), box(u + 0.09, v - 0.02, 0.10, 0.045, 0.04)]
    cactus += [box(u + 0.17, v + 0.06, 0.045, 0.12, 0.04)]
    return union(_dune(x, y, 0.42, 0.11, 2.5), *cactus)


def _desert_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _dune(-x, y, 0.74, 0.11, 2.5)


def _space_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(peak(local(x, 2.0, at), y, top, 1.6) for at, top in ((0.3, 0.02), (1.1, 0.16))), 0.36 - y)


def _space_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    domes = [disc(local(x, 2.5, at), y - 1.0, radius) for at, radius in ((0.5, 0.62), (1.7, 0.72))]
    return union(*domes, 0.58 - y)


def _space_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    """Crags."""
    crags = [peak(local(x, 2.5, at), y, top, 0.75) for at, top in ((0.5, 0.56), (1.75, 0.62))]
    return union(*crags, 0.84 - y)


LAYERS: dict[str, tuple[Layer, Layer, Layer]] = {
    "sea": (_sea_far, _sea_middle, _sea_near),
    "mountains": (_mountains_far, _mountains_middle, _mountains_near),
    "city": (_city_far, _city_middle, _city_near),
    "forest": (_forest_far, _forest_middle, _forest_near),
    "desert": (_desert_far, _desert_middle, _desert_near),
    "space": (_space_far, _space_middle, _space_near),
}
