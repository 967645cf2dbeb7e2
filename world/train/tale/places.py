"""The ground of the six places, layer by layer, with snow on it and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from world.train.tale.landscapes import FAR_PERIOD, LAYERS, PEAKS, PYRAMIDS, local, mountains, swell
from world.train.tale.paper import Paper, box, chance_of, disc, ellipse, limb, tint, triangle_wave, union
from world.train.tale.scene import Groups
from world.train.tale.sky import sun_place, veil
from world.train.tale.stage import Staging, pick
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


def lay_ground(paper: Paper, stage: Staging, groups: Groups, number: int) -> None:
    """Lay the far (0), the middle (1) or the near layer (2) of every place, with what belongs to it."""
    x, y = stage.layer(number)
    distance = torch.empty_like(paper.rgb[:, :, 0])
    sites = groups.near if number == 2 else groups.place
    for place, rows in sites.items():
        shape = LAYERS[place][number]
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


def _snow_cover(paper: Paper, stage: Staging, groups: Groups, distance: Tensor, number: int) -> None:
    """Snow on all that is open to the sky: what lies inside while the place above it does not."""
    sites = groups.snowy_near if number == 2 else groups.snowy
    for place, rows in sites.items():
        part, view = paper.rows(rows), stage.rows(rows)
        x, y = view.layer(number)
        deep = _SNOWED[number] * (0.5 if place == "sea" else 1.0)
        above = LAYERS[place][number](x, y - deep, view.clock)
        white = view.weathered(tint(_SNOW, x)) * (0.30 + 0.70 * view.light)
        white = torch.lerp(white, view.weathered(view.haze), _HAZED[number] * 0.6)
        part.lay(torch.maximum(distance[rows], -above), white)
        paper.put(rows, part)


def _layer_colour(stage: Staging, sites: dict[str, Tensor], distance: Tensor, number: int) -> Tensor:
    """Lit at its edge, darker towards its foot, which fog or haze swallows: [B, T, 3, Y, X]."""
    colour = torch.empty_like(stage.haze)
    for place, rows in sites.items():
        colour[rows] = pick((_GROUND[PLACES.index(place)][number],), torch.zeros_like(rows))
    colour = stage.weathered(colour * stage.light)
    fog = stage.when("weather", WEATHERS.index("fog")).unsqueeze(2)
    storm = stage.when("weather", WEATHERS.index("storm")).unsqueeze(2)
    haze = stage.weathered(stage.haze)
    face = torch.lerp(
        colour, haze, _HAZED[number] * (1 + 0.35 * storm) + (_FOGGED[number] - 0.5 * _HAZED[number]) * fog
    )
    foot = torch.lerp(face * 0.72, haze, fog * (0.9 - 0.35 * number))
    # in the dark the near ground would be one with what it stands before, and nobody would see which way it goes
    dark = 0.35 * stage.when("time", TIMES.index("night")).unsqueeze(2) * (number == 2)
    rim = torch.lerp(face * 1.12, (haze * 1.25 + 0.08).clamp(max=1), 0.25 + 0.30 * storm + dark)
    depth = (-distance / 0.7).clamp(0, 1).unsqueeze(2)
    edge = ((distance + _RIM) / (0.6 * stage.pixel) + 0.5).clamp(0, 1).unsqueeze(2)
    return torch.lerp(torch.lerp(face, foot, depth), rim, edge)


def _caps(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """Snow on the peaks."""
    x, y = stage.layer(0)
    zigzag = 0.07 * triangle_wave(x * 5)
    heights = zip(mountains(x, y), PEAKS, strict=True)
    caps = [torch.maximum(mountain, y - top - deep + zigzag) for mountain, (_, top, deep) in heights]
    white = stage.weathered(tint(_SNOW, stage.x)) * (0.4 + 0.6 * stage.light)
    fog = stage.when("weather", WEATHERS.index("fog")).unsqueeze(2)
    paper.lay(union(*caps), torch.lerp(white, stage.weathered(stage.haze), 0.15 + 0.5 * fog))


def _shaded_sides(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """The dark side of the pyramids."""
    x, _ = stage.layer(0)
    side = union(*((local(x, FAR_PERIOD, at) - 0.5 * wide).abs() - 0.5 * wide for at, _, wide in PYRAMIDS))
    paper.darken(torch.maximum(distance, side), 0.25)


def _windows(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """Two columns of windows in each tower, lit unless it is day."""
    x, y = stage.layer(1)
    column, row = torch.floor(x / 0.25), torch.floor((y - 0.05) / 0.20)
    u, v = x - (column + 0.5) * 0.25, y - 0.05 - (row + 0.5) * 0.20
    # the two columns of a tower stand closer together than those of neighbours
    u = u + 0.025 * (1 - 2 * torch.remainder(column, 2))
    window = torch.maximum(box(u, v, 0.052, 0.058), distance + 0.05)
    lit = (chance_of(column + 3 * row, 23, 0.6) > 0.25) | (stage.when("time", TIMES.index("day")) > 0)
    day = stage.when("time", TIMES.index("day")).unsqueeze(2)
    warm = tint(_WINDOW, stage.x)
    dark = stage.weathered(stage.light * 0.80) * 0.9
    gloom = stage.when("weather", WEATHERS.index("storm"), WEATHERS.index("fog"), WEATHERS.index("rain")).unsqueeze(2)
    colour = torch.lerp(warm, torch.lerp(dark, warm, 0.8 * gloom), day)
    fog = stage.when("weather", WEATHERS.index("fog"))
    paper.lay(torch.where(lit, window, torch.ones((), device=x.device)), colour, alpha=1 - 0.35 * fog)


def _glitter(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """The sun's way over the water."""
    x, y = stage.x - sun_place(stage)[0], stage.layer(0)[1]
    deep = (y - 0.06).clamp(min=0)
    ripple = 0.5 + 0.5 * torch.sin(deep * 42 - 2.5 * stage.clock)
    wide = 0.30 * (0.35 + 0.65 * ripple)
    seen = 1 - veil(stage)
    paper.lay(torch.maximum(x.abs() - wide, distance + 0.02), stage.sun, alpha=0.65 * seen)


def _foam(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """Streaks of foam on the near waves, most of all in a storm."""
    x, y = stage.layer(2)
    wave = torch.floor(x * 0.9)
    u, v = x - (wave + 0.5) / 0.9, y - swell(stage.clock) - 0.82 - 0.08 * chance_of(wave, 9, 0.4)
    long, short = ((-0.24, 0.05), (0.06, 0.0)), ((0.14, 0.11), (0.34, 0.07))
    streaks = union(limb(u, v, long, (0.010, 0.028)), limb(u, v, short, (0.022, 0.010)))
    storm = stage.when("weather", WEATHERS.index("storm"))
    paper.lay(torch.maximum(streaks, distance + 0.02), _shining(stage), alpha=0.55 + 0.35 * storm)


def _puddles(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """What rain leaves on the near ground. It shines, so that the ground can be seen to go by under a dark sky."""
    x, y = stage.layer(2)
    pools = [ellipse(local(x, 2.5, at), y - deep, wide, 0.2 * wide) for at, deep, wide in
             ((0.2, 0.90, 0.24), (0.95, 0.84, 0.13), (1.45, 0.93, 0.20))]  # fmt: skip
    wet = stage.when("weather", WEATHERS.index("rain"), WEATHERS.index("storm"))
    paper.lay(torch.maximum(union(*pools), distance + 0.02), _shining(stage), alpha=0.8 * wet)


def _shining(stage: Staging) -> Tensor:
    """The colour of water that mirrors the sky."""
    return torch.lerp(stage.weathered(stage.haze), tint(_SNOW, stage.x), 0.20 + 0.25 * stage.light)


def _craters(paper: Paper, stage: Staging, distance: Tensor) -> None:
    x, y = stage.layer(2)
    holes = [ellipse(local(x, 2.5, at), y - deep, wide, 0.45 * wide) for at, deep, wide in
             ((0.4, 0.88, 0.22), (1.3, 0.84, 0.12), (2.0, 0.92, 0.16))]  # fmt: skip
    paper.darken(union(*holes), 0.30)
    wet = stage.when("weather", WEATHERS.index("rain"), WEATHERS.index("storm"))
    paper.lay(union(*holes) + 0.02, _shining(stage), alpha=0.8 * wet)


def _quay(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """The lamps of the quay, and the white line of the road before it."""
    x, y = stage.layer(2)
    line = box(local(x, 5 / 6, 0.4), y - 0.89, 0.19, 0.026)
    paper.lay(torch.maximum(line, distance + 0.02), _shining(stage), alpha=0.75)
    lamp = disc(local(x, 10 / 6, 0.4), y - 0.28, 0.075)
    dim = stage.when("time", TIMES.index("day")) * stage.when("weather", WEATHERS.index("clear"))
    colour = tint(_WINDOW, stage.x)
    paper.glow(lamp, colour, 0.30, 0.55 * (1 - dim) * stage.spark)
    paper.lay(lamp + 0.015, torch.lerp(colour, stage.light * 0.9, dim.unsqueeze(2)))


_DETAILS: dict[tuple[str, int], Callable[[Paper, Staging, Tensor], None]] = {
    ("sea", 0): _glitter,
    ("sea", 2): _foam,
    ("mountains", 0): _caps,
    ("mountains", 2): _puddles,
    ("forest", 2): _puddles,
    ("desert", 2): _puddles,
    ("city", 1): _windows,
    ("desert", 0): _shaded_sides,
    ("city", 2): _quay,
    ("space", 2): _craters,
}
