"""The six places: three layers of ground each, and what stands on them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from world.train.tale.paper import Paper, box, chance_of, disc, ellipse, paint, triangle_wave, union
from world.train.tale.sky import sun_place, veil
from world.train.tale.stage import Groups, Stage, pick
from world.train.tale.words import PLACES, TIMES, WEATHERS

# The far, the middle and the near layer of each place in full light.
_GROUND = (
    ((96, 186, 208), (38, 134, 178), (14, 78, 130)),
    ((166, 174, 208), (92, 122, 142), (46, 100, 78)),
    ((160, 160, 194), (92, 90, 138), (48, 56, 88)),
    ((150, 198, 164), (54, 130, 92), (26, 84, 58)),
    ((246, 208, 146), (234, 160, 84), (190, 100, 52)),
    ((150, 128, 198), (112, 104, 166), (70, 64, 116)),
)
_SNOW = (240, 245, 252)
_WINDOW = (255, 214, 112)
_HAZED = (0.45, 0.18, 0.0)  # how much haze lies before each layer
_FOGGED = (0.70, 0.32, 0.05)  # and how much more in fog
_RIM = 0.035  # how wide the lit edge of a layer is
_SNOWED = (0.06, 0.08, 0.10)  # how deep snow lies on each layer
Layer = Callable[[Tensor, Tensor, Tensor], Tensor]


def _slope(rise: float) -> float:
    """What turns a height above a slope into the distance to it."""
    return 1 / math.sqrt(1 + rise**2)


def _scallops(x: Tensor, y: Tensor, level: float, height: float, length: float) -> Tensor:
    """Waves with round troughs and sharp crests."""
    crest = 1 - torch.sin(math.pi * x / length).abs()
    return (level - height * crest - y) * 0.85


def _peak(x: Tensor, y: Tensor, top: float, rise: float) -> Tensor:
    return torch.maximum((top + rise * x.abs() - y) * _slope(rise), top - y)


def _local(x: Tensor, period: float, at: float) -> Tensor:
    """x from the nearest of the places that repeat each `period`."""
    return torch.remainder(x - at + period / 2, period) - period / 2


def _sea_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return (0.06 - y) + 0 * x


def _sea_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _scallops(x + 0.10 * clock, y, 0.40, 0.13, 1.25)


def _sea_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _scallops(x - 0.14 * clock, y, 0.76, 0.17, 10 / 9)


def _mountains_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(_peak(_local(x, 2.0, at), y, top, 1.15) for at, top in ((0.45, -0.62), (1.45, -0.34))), 0.4 - y)


def _mountains_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(_peak(_local(x, 2.5, at), y, top, 0.75) for at, top in ((0.3, -0.02), (1.5, 0.12))), 0.6 - y)


def _hills_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return 0.74 - 0.07 * torch.sin(2 * math.pi / 2.5 * x) - y


def _towers(x: Tensor, y: Tensor, width: float, low: float, high: float) -> Tensor:
    number = torch.floor(x / width)
    top = low - (low - high) * chance_of(number, 5, 0.9)
    side = (x - (number + 0.5) * width).abs() - 0.41 * width
    return torch.maximum(side, top - y)


def _city_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(_towers(x, y, 0.40, 0.15, -0.55), 0.3 - y)


def _city_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(_towers(x, y, 0.50, 0.32, -0.22), 0.62 - y)


def _city_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    post = _local(x, 10 / 6, 0.4)
    return union(0.76 - y + 0 * x, box(post, y - 0.60, 0.022, 0.30), disc(post, y - 0.28, 0.075))


def _pines(x: Tensor, y: Tensor, width: float, foot: float, tall: float) -> Tensor:
    """A row of pines of three tiers each, which repeats after five trees."""
    number = torch.floor(x / width)
    height = tall * (0.68 + 0.32 * chance_of(number, 5, 0.3))
    from_stem = (x - (number + 0.5) * width).abs()
    half, tiers = 0.5 * width, []
    for begin, end, wide in ((0.0, 0.46, 0.62), (0.24, 0.74, 0.82), (0.5, 1.1, 1.0)):
        rise = (end - begin) * height / (wide * half)
        above = foot - height * (1 - begin) + from_stem * rise - y
        tiers.append(torch.maximum(above * torch.rsqrt(1 + rise**2), y - (foot - height * (1 - end))))
    return union(*tiers, foot - 0.02 - y)


def _forest_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _pines(x, y, 0.40, 0.34, 0.72)


def _forest_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _pines(x, y, 0.625, 0.66, 1.0)


def _desert_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(_peak(_local(x, 2.0, at), y, top, 0.85) for at, top in ((0.5, -0.42), (1.45, -0.10))), 0.28 - y)


def _dune(x: Tensor, y: Tensor, level: float, height: float, length: float) -> Tensor:
    phase = 2 * math.pi / length * x
    return (level - height * torch.sin(phase + 0.6 * torch.sin(phase)) - y) * 0.95


def _desert_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    u, v = _local(x, 2.5, 1.9), y - 0.30
    cactus = [box(u, v + 0.10, 0.055, 0.36, 0.05), box(u - 0.09, v + 0.05, 0.10, 0.045, 0.04)]
    cactus += [box(u - 0.17, v + 0.15, 0.045, 0.14, 0.04), box(u + 0.09, v - 0.02, 0.10, 0.045, 0.04)]
    cactus += [box(u + 0.17, v + 0.06, 0.045, 0.12, 0.04)]
    return union(_dune(x, y, 0.42, 0.11, 2.5), *cactus)


def _desert_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return _dune(-x, y, 0.76, 0.08, 10 / 3)


def _space_far(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return union(*(_peak(_local(x, 2.0, at), y, top, 1.6) for at, top in ((0.3, 0.02), (1.1, 0.16))), 0.36 - y)


def _space_middle(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    domes = [disc(_local(x, 2.5, at), y - 1.0, radius) for at, radius in ((0.5, 0.62), (1.7, 0.72))]
    return union(*domes, 0.58 - y)


def _space_near(x: Tensor, y: Tensor, clock: Tensor) -> Tensor:
    return 0.72 - 0.04 * torch.sin(2 * math.pi / 2.5 * x) - y


_LAYERS: dict[str, tuple[Layer, Layer, Layer]] = {
    "sea": (_sea_far, _sea_middle, _sea_near),
    "mountains": (_mountains_far, _mountains_middle, _hills_near),
    "city": (_city_far, _city_middle, _city_near),
    "forest": (_forest_far, _forest_middle, _hills_near),
    "desert": (_desert_far, _desert_middle, _desert_near),
    "space": (_space_far, _space_middle, _space_near),
}


def lay_ground(paper: Paper, stage: Stage, groups: Groups, number: int) -> None:
    """Lay the far (0), the middle (1) or the near layer (2) of every place, with what belongs to it."""
    x, y = stage.layer(number)
    distance = torch.empty_like(paper.rgb[:, :, 0])
    sites = groups.near if number == 2 else groups.place
    for place, rows in sites.items():
        shape = _LAYERS[place][number]
        distance[rows] = shape(x[rows], y[rows], stage.clock[rows])
    paper.shade(distance, 0.30)
    paper.lay(distance, _layer_colour(stage, sites, distance, number))
    if "snow" in groups.weather:
        _snow_cover(paper, stage, groups, distance, number)
    for (place, at), detail in _DETAILS.items():
        if at == number and place in sites:
            rows = sites[place]
            part = paper.rows(rows)
            detail(part, stage.rows(rows), distance[rows])
            paper.put(rows, part)


def _snow_cover(paper: Paper, stage: Stage, groups: Groups, distance: Tensor, number: int) -> None:
    """Snow on all that is open to the sky: what lies inside while the place above it does not."""
    sites = groups.snowy_near if number == 2 else groups.snowy_place
    for place, rows in sites.items():
        part, view = paper.rows(rows), stage.rows(rows)
        x, y = view.layer(number)
        deep = _SNOWED[number] * (0.5 if place == "sea" else 1.0)
        above = _LAYERS[place][number](x, y - deep, view.clock)
        white = view.weathered(paint(_SNOW, x)) * (0.30 + 0.70 * view.light)
        white = torch.lerp(white, view.weathered(view.haze), _HAZED[number] * 0.6)
        part.lay(torch.maximum(distance[rows], -above), white)
        paper.put(rows, part)


def _layer_colour(stage: Stage, sites: dict[str, Tensor], distance: Tensor, number: int) -> Tensor:
    """Lit at its edge, darker towards its foot, which fog or haze swallows: [B, T, 3, Y, X]."""
    colour = torch.empty_like(stage.haze)
    for place, rows in sites.items():
        colour[rows] = pick((_GROUND[PLACES.index(place)][number],), torch.zeros_like(rows))
    colour = stage.weathered(colour * stage.light)
    fog = _five(stage.when("weather", WEATHERS.index("fog")))
    storm = _five(stage.when("weather", WEATHERS.index("storm")))
    haze = stage.weathered(stage.haze)
    face = torch.lerp(
        colour, haze, _HAZED[number] * (1 + 0.35 * storm) + (_FOGGED[number] - 0.5 * _HAZED[number]) * fog
    )
    foot = torch.lerp(face * 0.72, haze, fog * (0.9 - 0.35 * number))
    rim = torch.lerp(face * 1.12, (haze * 1.25 + 0.08).clamp(max=1), 0.25 + 0.30 * storm)
    depth = (-distance / 0.7).clamp(0, 1).unsqueeze(2)
    edge = ((distance + _RIM) / (0.6 * stage.pixel) + 0.5).clamp(0, 1).unsqueeze(2)
    return torch.lerp(torch.lerp(face, foot, depth), rim, edge)


def _five(values: Tensor) -> Tensor:
    return values.unsqueeze(2)


def _caps(paper: Paper, stage: Stage, distance: Tensor) -> None:
    """Snow on the peaks."""
    x, y = stage.layer(0)
    zigzag = 0.07 * triangle_wave(x * 5)
    caps = [torch.maximum(_peak(_local(x, 2.0, at), y, top, 1.15), y - top - deep + zigzag) for at, top, deep in
            ((0.45, -0.62, 0.36), (1.45, -0.34, 0.26))]  # fmt: skip
    white = stage.weathered(paint(_SNOW, stage.x)) * (0.4 + 0.6 * stage.light)
    fog = _five(stage.when("weather", WEATHERS.index("fog")))
    paper.lay(union(*caps), torch.lerp(white, stage.weathered(stage.haze), 0.15 + 0.5 * fog))


def _shaded_sides(paper: Paper, stage: Stage, distance: Tensor) -> None:
    """The dark side of the pyramids."""
    x, _ = stage.layer(0)
    side = union(*((_local(x, 2.0, at) - 0.5 * wide).abs() - 0.5 * wide for at, wide in ((0.5, 0.66), (1.45, 0.34))))
    paper.darken(torch.maximum(distance, side), 0.25)


def _windows(paper: Paper, stage: Stage, distance: Tensor) -> None:
    """Two columns of windows in each tower, lit unless it is day."""
    x, y = stage.layer(1)
    column, row = torch.floor(x / 0.25), torch.floor((y - 0.05) / 0.20)
    u, v = x - (column + 0.5) * 0.25, y - 0.05 - (row + 0.5) * 0.20
    # the two columns of a tower stand closer together than those of neighbours
    u = u + 0.025 * (1 - 2 * torch.remainder(column, 2))
    window = torch.maximum(box(u, v, 0.052, 0.058), distance + 0.05)
    lit = (chance_of(column + 3 * row, 10, 0.6) > 0.25) | (stage.when("time", TIMES.index("day")) > 0)
    day = _five(stage.when("time", TIMES.index("day")))
    warm = paint(_WINDOW, stage.x)
    dark = stage.weathered(stage.light * 0.80) * 0.9
    gloom = _five(stage.when("weather", WEATHERS.index("storm"), WEATHERS.index("fog"), WEATHERS.index("rain")))
    colour = torch.lerp(warm, torch.lerp(dark, warm, 0.8 * gloom), day)
    fog = stage.when("weather", WEATHERS.index("fog"))
    paper.lay(torch.where(lit, window, torch.ones((), device=x.device)), colour, alpha=1 - 0.35 * fog)


def _glitter(paper: Paper, stage: Stage, distance: Tensor) -> None:
    """The sun's way over the water."""
    x, y = stage.x - sun_place(stage)[0], stage.layer(0)[1]
    deep = (y - 0.06).clamp(min=0)
    ripple = 0.5 + 0.5 * torch.sin(deep * 42 - 2.5 * stage.clock)
    wide = 0.30 * (0.35 + 0.65 * ripple)
    seen = 1 - veil(stage)
    paper.lay(torch.maximum(x.abs() - wide, distance + 0.02), stage.sun, alpha=0.65 * seen)


def _craters(paper: Paper, stage: Stage, distance: Tensor) -> None:
    x, y = stage.layer(2)
    holes = [ellipse(_local(x, 2.5, at), y - deep, wide, 0.45 * wide) for at, deep, wide in
             ((0.4, 0.88, 0.22), (1.3, 0.84, 0.12), (2.0, 0.92, 0.16))]  # fmt: skip
    paper.darken(union(*holes), 0.30)


def _lamps(paper: Paper, stage: Stage, distance: Tensor) -> None:
    """The lamps of the quay."""
    x, y = stage.layer(2)
    lamp = disc(_local(x, 10 / 6, 0.4), y - 0.28, 0.075)
    dim = stage.when("time", TIMES.index("day")) * stage.when("weather", WEATHERS.index("clear"))
    colour = paint(_WINDOW, stage.x)
    paper.glow(lamp, colour, 0.30, 0.55 * (1 - dim) * stage.spark)
    paper.lay(lamp + 0.015, torch.lerp(colour, stage.light * 0.9, _five(dim)))


_DETAILS: dict[tuple[str, int], Callable[[Paper, Stage, Tensor], None]] = {
    ("sea", 0): _glitter,
    ("mountains", 0): _caps,
    ("city", 1): _windows,
    ("desert", 0): _shaded_sides,
    ("city", 2): _lamps,
    ("space", 2): _craters,
}
