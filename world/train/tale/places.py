"""The ground of the six places, layer by layer, with snow on it and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from world.train.tale.landscapes import FAR_PERIOD, LAYERS, PEAKS, PYRAMIDS, local, mountains
from world.train.tale.paper import Paper, box, chance_of, tint, triangle_wave, union
from world.train.tale.scene import Groups
from world.train.tale.sky import sun_place, veil
from world.train.tale.stage import NEAR, Staging, pick
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
_RIM = (0.035, 0.035, 0.05)  # how wide the lit edge of each layer is
_STRIPS = ((0.3, 0.83, 0.42), (1.55, 0.93, 0.52))  # where in each 2.5, how low and how wide strips of light are
_SNOWED = (0.06, 0.08, 0.10)  # how deep snow lies on each layer


def lay_ground(paper: Paper, stage: Staging, groups: Groups, number: int) -> None:
    """Lay the far (0), the middle (1) or the near layer (2) of every place, with what belongs to it."""
    x, y = stage.layer(number)
    distance = torch.empty_like(paper.rgb[:, :, 0])
    sites = groups.near if number == NEAR else groups.place
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
    if number == NEAR:
        _patches(paper, stage, distance)


def _snow_cover(paper: Paper, stage: Staging, groups: Groups, distance: Tensor, number: int) -> None:
    """Snow on all that is open to the sky: what lies inside while the place above it does not."""
    sites = groups.snowy_near if number == NEAR else groups.snowy
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
    dark = 0.35 * stage.when("time", TIMES.index("night")).unsqueeze(2) * (number == NEAR)
    pale = (haze * 1.25 + (0.16 if number == NEAR else 0.08)).clamp(max=1)
    rim = torch.lerp(face * 1.12, pale, 0.25 + 0.15 * (number == NEAR) + 0.30 * storm + dark)
    depth = (-distance / 0.7).clamp(0, 1).unsqueeze(2)
    edge = ((distance + _RIM[number]) / (0.6 * stage.pixel) + 0.5).clamp(0, 1).unsqueeze(2)
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


def _patches(paper: Paper, stage: Staging, distance: Tensor) -> None:
    """Long strips of light, by which the near ground is seen to go by: sunlit ground, puddles, snow or foam."""
    x, y = stage.layer(NEAR)
    strips = [box(local(x, 2.5, at), y - low, wide, 0.048, 0.048) for at, low, wide in _STRIPS]
    storm = stage.when("weather", WEATHERS.index("storm"))
    wet = storm + stage.when("weather", WEATHERS.index("rain"), WEATHERS.index("snow"))
    haze = stage.weathered(stage.haze)
    sunlit = torch.lerp(haze, stage.weathered(stage.sun), 0.6)
    shining = torch.lerp(haze, tint(_SNOW, stage.x), 0.30 + 0.20 * stage.light + 0.1 * storm.unsqueeze(2))
    colour = torch.lerp(sunlit, shining, wet.unsqueeze(2))
    paper.lay(torch.maximum(union(*strips), distance + 0.06), colour, alpha=0.5 + 0.3 * wet)


_DETAILS: dict[tuple[str, int], Callable[[Paper, Staging, Tensor], None]] = {
    ("sea", 0): _glitter,
    ("mountains", 0): _caps,
    ("city", 1): _windows,
    ("desert", 0): _shaded_sides,
}
