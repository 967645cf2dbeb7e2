"""The boat, the balloon and the train."""

from __future__ import annotations

import torch

from world.train.tale.paper import Paper, box, disc, limb, polygon, tint, union
from world.train.tale.stage import NEAR, Pose, Staging

RAIL = 0.56  # the level of the track, in half picture heights
_FOAM, _STONE = (238, 246, 252), (150, 122, 112)


def lay_boat(paper: Paper, p: Pose) -> None:
    """A sailing boat that heels as it goes fast, with lit portholes; its origin lies on the water."""
    heel = 0.05 * torch.sin(1.3 * p.clock) - 0.10 * p.pace
    u, v = p.u + heel * p.v, p.v - heel * p.u
    hull = polygon(u, v, [(-0.52, -0.10), (0.62, -0.14), (0.40, 0.20), (-0.38, 0.20)])
    main = polygon(u, v, [(0.04, -1.02), (0.50, -0.20), (0.04, -0.20)])
    jib = polygon(u, v, [(-0.04, -0.90), (-0.04, -0.20), (-0.42, -0.20)])
    paper.glow(union(hull, main, jib), p.lamp, 0.30, 0.35 * p.dark * p.spark)
    paper.lay(box(u, v + 0.56, 0.022, 0.50), p.ink)
    flutter = 0.03 * torch.sin(9 * p.u + 6 * p.clock)
    paper.lay(box(u + 0.14, v + 1.02 + flutter, 0.13, 0.055), p.colour)
    paper.lay(main, p.trim, 0.3)
    paper.lay(torch.maximum(main, (v + 0.42).abs() - 0.07), p.colour)
    paper.lay(jib, p.colour * 0.92, 0.3)
    paper.lay(hull, p.colour, 0.35)
    paper.lay(torch.maximum(hull, v + 0.045), p.trim)
    paper.lay(union(*(disc(u - at, v - 0.03, 0.045) for at in (-0.22, 0.04, 0.30))), p.lamp)
    bow = limb(u, v - 0.16, ((0.42, 0.0), (0.62, -0.06 + 0.02 * torch.sin(6 * p.clock))), (0.06, 0.05))
    paper.lay(bow, tint(_FOAM, u) * p.trim, alpha=p.pace)


def lay_balloon(paper: Paper, p: Pose) -> None:
    """A striped balloon with a basket; it leans back as it goes fast, and its flame lights it at night."""
    lean = -0.16 * p.pace + 0.03 * torch.sin(1.1 * p.clock)
    u, v = p.u - lean * p.v, p.v
    cone = polygon(u, v, [(-0.415, 0.04), (0.415, 0.04), (0.12, 0.50), (-0.12, 0.50)])
    envelope = union(disc(u, v + 0.16, 0.46), cone)
    paper.glow(envelope, p.lamp, 0.30, 0.45 * p.dark * p.spark)
    paper.lay(box(u.abs() - 0.10, v - 0.57, 0.016, 0.12), p.ink)
    paper.lay(disc(u, v - 0.54, 0.05), p.lamp, alpha=p.dark)
    paper.lay(box(u, v - 0.72, 0.13, 0.085, 0.03), p.ink * 0.55 + p.lamp * 0.25, 0.2)
    paper.lay(envelope, p.colour, 0.35)
    bulge = 0.46 * torch.sqrt((1 - ((v + 0.16) / 0.68) ** 2).clamp(min=0.05))
    stripes = ((u.abs() - 0.56 * bulge).abs() - 0.20 * bulge, (v - 0.42).abs() - 0.045)
    paper.lay(torch.maximum(union(*stripes), envelope), p.trim)


def lay_train(paper: Paper, p: Pose) -> None:
    """A locomotive with a coach, whose smoke stands when it is slow and lies back when it is fast."""
    u, v = p.u, p.v
    puffs = []
    for number in range(3):
        age = torch.remainder(0.55 * p.clock + number / 3, 1)
        back, rise = (0.20 + 1.0 * p.pace) * age, (0.42 - 0.2 * p.pace) * age
        puffs.append(disc(u - 0.72 + back, v + 0.50 + rise, 0.17 * torch.sin(0.4 + 2.7 * age)))
    paper.lay(union(*puffs), p.trim, 0.15, 0.85)
    boiler = union(box(u - 0.58, v + 0.14, 0.30, 0.14, 0.10), box(u - 0.34, v + 0.24, 0.15, 0.26, 0.03))
    coach = box(u + 0.40, v + 0.18, 0.50, 0.20, 0.04)
    paper.glow(union(boiler, coach), p.lamp, 0.25, 0.30 * p.dark * p.spark)
    roofs = (box(u - 0.34, v + 0.52, 0.19, 0.035, 0.02), box(u + 0.40, v + 0.40, 0.54, 0.035, 0.02))
    paper.lay(coach, p.colour * 0.86, 0.3)
    paper.lay(boiler, p.colour, 0.3)
    paper.lay(union(box(u - 0.72, v + 0.36, 0.055, 0.12), *roofs), p.ink)
    paper.lay(union(box(u + 0.40, v + 0.05, 0.50, 0.025), box(u - 0.62, v + 0.14, 0.03, 0.14)), p.trim)
    windows = [box(u - at, v + 0.22, 0.11, 0.075) for at in (-0.74, -0.40, -0.06)]
    cab = box(u - 0.34, v + 0.34, 0.085, 0.075)
    paper.lay(union(*windows, cab), torch.lerp(p.trim, p.lamp, p.dark.unsqueeze(2)))
    paper.lay(disc(u - 0.88, v + 0.16, 0.05), p.lamp)
    wheels = union(*(disc(u - at, v - 0.10, 0.10) for at in (-0.76, -0.42, -0.06, 0.30, 0.54, 0.78)))
    paper.lay(wheels, p.ink, 0.2)
    paper.lay(wheels + 0.06, p.trim)


def lay_track(paper: Paper, stage: Staging) -> None:
    """A viaduct that carries the train through any place; it runs past with the near layer."""
    x, y = stage.layer(NEAR)[0], stage.y  # it stays under the wheels of a train that does not sink
    u = torch.remainder(x, 10 / 12) - 10 / 24
    arch = union(disc(u, y - RAIL - 0.42, 0.30), box(u, y - RAIL - 0.92, 0.30, 0.5))
    stone = torch.lerp(stage.weathered(tint(_STONE, x) * stage.light), stage.weathered(stage.haze), 0.15)
    paper.lay(torch.maximum(RAIL + 0.01 - y, -arch), stone, 0.3)
    paper.lay((y - RAIL - 0.03).abs() - 0.03 + 0 * x, stone * 0.55)
