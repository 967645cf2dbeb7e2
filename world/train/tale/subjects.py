"""Who the story is about: a boat, a bird, a balloon, a whale, a train or a comet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from world.train.tale.paper import Paper, box, disc, ellipse, limb, polygon, union
from world.train.tale.stage import Stage, pick
from world.train.tale.words import PLACES, TIMES, WEATHERS

_COLOURS = (
    (224, 44, 44),
    (252, 204, 44),
    (52, 168, 84),
    (44, 104, 224),
    (132, 62, 186),
    (246, 128, 178),
    (246, 244, 236),
)
_TRIM = ((250, 244, 226),) * 6 + ((186, 200, 222),)  # sails, bellies and stripes
_INK, _LAMP, _BEAK, _FOAM = ((44, 38, 60),), ((255, 222, 120),), ((244, 164, 48),), ((238, 246, 252),)
_AT = {  # where each stands, x to the right of a subject that goes to the right
    "boat": (-0.02, 0.60),
    "bird": (0.0, -0.22),
    "balloon": (0.0, -0.20),
    "whale": (0.0, -0.14),
    "train": (0.0, 0.36),
    "comet": (0.42, -0.42),
}
_SURFACE = 0.46  # the whale's middle at sea
_BOB = {"boat": 0.035, "bird": 0.05, "balloon": 0.06, "whale": 0.05, "train": 0.0, "comet": 0.02}


@dataclass(frozen=True)
class Pose:
    """A subject as it is to be drawn: u goes forwards from its middle, v down, in half picture heights.

    clock: seconds; pace: 0, 0.5 or 1; dark: how much of its lamps is seen; each [B, T or 1, 1, 1]. Colours
    [B, 1, 3, 1, 1]: colour is its own, trim goes with it, ink is nearly black, lamp is warm.
    """

    u: Tensor
    v: Tensor
    clock: Tensor
    pace: Tensor
    dark: Tensor
    colour: Tensor
    trim: Tensor
    ink: Tensor
    lamp: Tensor


def pose_of(stage: Stage, subject: str) -> Pose:
    """The pose of clips that all show `subject`."""
    at_x, at_y = _AT[subject]
    level = at_y
    clock = stage.clock
    u = (stage.x + stage.aside) * stage.way - at_x
    v = stage.y - stage.tilt - level - _BOB[subject] * torch.sin(1.6 * clock)
    if subject == "whale":
        v = v - (_SURFACE - at_y) * stage.when("place", PLACES.index("sea"))
    if subject == "boat":
        heel = 0.05 * torch.sin(1.3 * clock) - 0.10 * stage.pace
        u, v = u + heel * v, v - heel * u
    zero = stage.scenes.place * 0
    # its colour must be known by any light
    light = 0.62 + 0.38 * stage.light
    haze, fog = stage.weathered(stage.haze), stage.when("weather", WEATHERS.index("fog")).unsqueeze(2)

    def lit(colour: Tensor) -> Tensor:
        return torch.lerp(colour * light, haze, 0.12 * fog)

    dark = (
        stage.when("time", TIMES.index("night"))
        + 0.5 * stage.when("time", TIMES.index("sunset"))
        + 0.5 * stage.when("weather", WEATHERS.index("storm"), WEATHERS.index("fog"))
    )
    return Pose(
        *torch.broadcast_tensors(u, v),
        clock=clock,
        pace=stage.pace,
        dark=dark.clamp(max=1) * stage.spark,
        colour=lit(pick(_COLOURS, stage.scenes.colour)),
        trim=lit(pick(_TRIM, stage.scenes.colour)),
        ink=lit(pick(_INK, zero)),
        lamp=pick(_LAMP, zero),
    )


def lay_subjects(paper: Paper, stage: Stage, groups: dict[str, Tensor]) -> None:
    """Lay the subject of each clip in these groups."""
    for subject, rows in groups.items():
        part, view = paper.rows(rows), stage.rows(rows)
        if subject == "train":
            _lay_track(part, view)
        _SHAPES[subject](part, pose_of(view, subject))
        paper.put(rows, part)


def _boat(paper: Paper, p: Pose) -> None:
    u, v = p.u, p.v
    hull = polygon(u, v, [(-0.52, -0.10), (0.62, -0.14), (0.40, 0.20), (-0.38, 0.20)])
    main = polygon(u, v, [(0.04, -1.02), (0.50, -0.20), (0.04, -0.20)])
    jib = polygon(u, v, [(-0.04, -0.90), (-0.04, -0.20), (-0.42, -0.20)])
    paper.glow(union(hull, main, jib), p.lamp, 0.30, 0.35 * p.dark)
    paper.lay(box(u, v + 0.56, 0.022, 0.50), p.ink)
    flag = 0.03 * torch.sin(9 * u + 6 * p.clock)
    paper.lay(box(u + 0.14, v + 1.02 + flag, 0.13, 0.055), p.colour)
    paper.lay(main, p.trim, 0.3)
    paper.lay(torch.maximum(main, (v + 0.42).abs() - 0.07), p.colour)
    paper.lay(jib, p.trim * 0.88, 0.3)
    paper.lay(hull, p.colour, 0.35)
    paper.lay(torch.maximum(hull, v + 0.045), p.trim)
    paper.lay(union(*(disc(u - at, v - 0.03, 0.045) for at in (-0.22, 0.04, 0.30))), p.lamp)
    foam = 0.02 * torch.sin(6 * p.clock)
    bow = limb(u, v - 0.18, ((0.42, 0.0), (0.62, -0.06 + foam)), (0.06, 0.05))
    paper.lay(bow, pick(_FOAM, torch.zeros(len(u), dtype=torch.long, device=u.device)) * (p.trim * 0 + 1), alpha=p.pace)


def _bird(paper: Paper, p: Pose) -> None:
    turn = (5.0 + 6.0 * p.pace) * p.clock
    beat, late = torch.sin(turn), torch.sin(turn - 0.7)
    u, v = p.u, p.v + 0.05 * beat

    def wing(shoulder: float, lean: float) -> Tensor:
        wrist = (shoulder + lean, -0.18 - 0.22 * beat)
        tip = (shoulder - 0.34 + lean, -0.26 - 0.48 * late)
        arm = limb(u, v, ((shoulder, 0.0), wrist), (0.19, 0.15))
        return union(arm, limb(u, v, (wrist, tip), (0.15, 0.02)))

    body = limb(u, v, ((-0.20, 0.02), (0.22, -0.02)), (0.07, 0.125))
    head = disc(u - 0.36, v + 0.08, 0.115)
    tail = union(
        limb(u, v, ((-0.18, 0.02), (-0.52, -0.06)), (0.06, 0.05)),
        limb(u, v, ((-0.18, 0.02), (-0.52, 0.10)), (0.06, 0.05)),
    )
    whole = union(body, head, tail)
    near, far = wing(-0.02, 0.0), wing(0.08, 0.10)
    paper.glow(union(whole, near), p.lamp, 0.25, 0.30 * p.dark)
    paper.lay(far, p.colour * 0.72, 0.2)
    paper.lay(
        polygon(u, v, [(0.44, -0.14), (0.60, -0.06), (0.44, -0.02)]),
        pick(_BEAK, torch.zeros(1, dtype=torch.long, device=u.device)),
    )
    paper.lay(whole, p.colour, 0.3)
    paper.lay(torch.maximum(body, 0.045 - v), p.trim)
    paper.lay(near, p.colour, 0.3)
    paper.lay(near + 0.055, p.trim, alpha=0.55)
    paper.lay(disc(u - 0.39, v + 0.10, 0.028), p.ink)


def _balloon(paper: Paper, p: Pose) -> None:
    lean = -0.16 * p.pace + 0.03 * torch.sin(1.1 * p.clock)
    u, v = p.u - lean * p.v, p.v
    envelope = union(
        disc(u, v + 0.16, 0.46), polygon(u, v, [(-0.415, 0.04), (0.415, 0.04), (0.12, 0.50), (-0.12, 0.50)])
    )
    paper.glow(envelope, p.lamp, 0.30, 0.45 * p.dark)
    ropes = union(
        limb(u, v, ((-0.11, 0.48), (-0.09, 0.66)), (0.014, 0.014)),
        limb(u, v, ((0.11, 0.48), (0.09, 0.66)), (0.014, 0.014)),
    )
    paper.lay(ropes, p.ink)
    paper.lay(disc(u, v - 0.54, 0.05), p.lamp, alpha=p.dark.clamp(max=1))
    paper.lay(box(u, v - 0.72, 0.13, 0.085, 0.03), p.ink * 0.55 + p.lamp * 0.25, 0.2)
    paper.lay(envelope, p.colour, 0.35)
    bulge = 0.46 * torch.sqrt((1 - ((v + 0.16) / 0.68) ** 2).clamp(min=0.05))
    for side in (-0.56, 0.56):
        paper.lay(torch.maximum((u - side * bulge).abs() - 0.20 * bulge, envelope), p.trim)
    paper.lay(torch.maximum((v - 0.42).abs() - 0.045, envelope), p.trim * 0.8)


def _whale(paper: Paper, p: Pose) -> None:
    sway = torch.sin((1.5 + 1.5 * p.pace) * p.clock)
    u, v = p.u, p.v
    lift = 0.14 * sway
    body = union(ellipse(u - 0.14, v, 0.56, 0.32), limb(u, v, ((-0.05, 0.04), (-0.62, -0.10 + lift)), (0.25, 0.07)))
    root = (-0.62, -0.10 + lift)
    fluke = union(
        limb(u, v, (root, (-0.90, -0.34 + lift)), (0.08, 0.05)), limb(u, v, (root, (-0.92, 0.02 + lift)), (0.08, 0.045))
    )
    whole = union(body, fluke)
    paper.glow(whole, p.lamp, 0.28, 0.28 * p.dark)
    rise = 0.06 * torch.sin(3 * p.clock)
    spout = union(
        limb(u, v, ((0.26, -0.30), (0.26, -0.52 + rise)), (0.04, 0.05)),
        limb(u, v, ((0.26, -0.54 + rise), (0.10, -0.64 + rise)), (0.05, 0.06)),
        limb(u, v, ((0.26, -0.54 + rise), (0.42, -0.64 + rise)), (0.05, 0.06)),
        disc(u - 0.50, v + 0.52 - rise, 0.05),
        disc(u - 0.02, v + 0.52 - rise, 0.05),
    )
    paper.lay(spout, p.trim * 0.35 + pick(_FOAM, torch.zeros(1, dtype=torch.long, device=u.device)) * 0.65, 0.15)
    paper.lay(whole, p.colour, 0.35)
    paper.lay(torch.maximum(body + 0.015, 0.10 + 0.25 * (u - 0.2) ** 2 - v), p.trim)
    paper.lay(limb(u, v, ((0.06, 0.14), (-0.12, 0.36 - 0.5 * lift)), (0.10, 0.03)), p.colour * 0.8, 0.25)
    paper.lay(disc(u - 0.47, v + 0.03, 0.045), p.ink)
    paper.lay(disc(u - 0.485, v + 0.045, 0.016), p.trim)


def _train(paper: Paper, p: Pose) -> None:
    u, v = p.u, p.v
    for number in range(3):
        puff = torch.remainder(0.55 * p.clock + number / 3, 1)
        at = limb(u, v, ((0.70 - (0.25 + 0.9 * p.pace) * puff, -0.52 - 0.34 * puff), (0.70, -0.50)), (0.0, 0.0))
        del at
        round_ = disc(
            u - 0.72 + (0.20 + 1.0 * p.pace) * puff, v + 0.50 + (0.42 - 0.2 * p.pace) * puff, 0.07 + 0.10 * puff
        )
        paper.lay(round_, p.trim, alpha=0.9 * (1 - puff) ** 0.5)
    boiler = union(box(u - 0.58, v + 0.14, 0.30, 0.14, 0.10), box(u - 0.34, v + 0.24, 0.15, 0.26, 0.03))
    coach = box(u + 0.40, v + 0.18, 0.50, 0.20, 0.04)
    paper.glow(union(boiler, coach), p.lamp, 0.25, 0.30 * p.dark)
    paper.lay(box(u - 0.72, v + 0.36, 0.055, 0.12), p.ink, 0.2)
    paper.lay(coach, p.colour * 0.86, 0.3)
    paper.lay(box(u + 0.40, v + 0.40, 0.54, 0.035, 0.02), p.ink)
    paper.lay(box(u + 0.40, v + 0.05, 0.50, 0.025), p.trim)
    warm = torch.lerp(p.trim, p.lamp.expand_as(p.trim), p.dark.clamp(max=1).mean(1, keepdim=True).unsqueeze(2))
    for at in (-0.74, -0.40, -0.06):
        paper.lay(box(u - at, v + 0.22, 0.11, 0.075, 0.02), warm)
    paper.lay(boiler, p.colour, 0.3)
    paper.lay(box(u - 0.34, v + 0.52, 0.19, 0.035, 0.02), p.ink)
    paper.lay(box(u - 0.34, v + 0.34, 0.085, 0.075, 0.02), warm)
    paper.lay(box(u - 0.62, v + 0.14, 0.03, 0.14), p.trim)
    paper.lay(disc(u - 0.88, v + 0.16, 0.05), p.lamp)
    wheels = [disc(u - at, v - radius + 0.12 - 0.12, radius) for at, radius in
              ((-0.76, 0.10), (-0.42, 0.10), (-0.06, 0.10), (0.30, 0.12), (0.56, 0.10), (0.78, 0.10))]  # fmt: skip
    paper.lay(union(*wheels), p.ink, 0.2)
    paper.lay(union(*(wheel + 0.06 for wheel in wheels)), p.trim)


def _lay_track(paper: Paper, stage: Stage) -> None:
    """A viaduct on which the train goes through any place; it runs past with the near layer."""
    x, y = stage.layer(2)
    rail = _AT["train"][1] + 0.20
    u = torch.remainder(x, 10 / 12) - 10 / 24
    arch = union(disc(u, y - rail - 0.42, 0.30), box(u, y - rail - 0.92, 0.30, 0.5))
    wall = torch.maximum(rail + 0.01 - y, -arch)
    stone = stage.weathered(pick(((150, 122, 112),), stage.scenes.place * 0) * stage.light)
    stone = torch.lerp(stone, stage.weathered(stage.haze), 0.15)
    paper.lay(wall, stone, 0.3)
    paper.lay((y - rail - 0.03).abs() - 0.03 + 0 * x, stone * 0.55)


def _comet(paper: Paper, p: Pose) -> None:
    slant = (math.cos(0.30), math.sin(0.30))
    u, v = slant[0] * p.u + slant[1] * p.v, slant[0] * p.v - slant[1] * p.u
    long = 0.85 + 0.55 * p.pace
    flicker = 0.03 * torch.sin(7 * p.clock)
    bright = p.colour * 0.8 + 0.2
    tails = [((-long, -0.22 + flicker), 0.10), ((-long * 1.15, 0.02), 0.13), ((-long * 0.9, 0.24 - flicker), 0.10)]
    tail = union(*(limb(u, v, ((0.0, 0.0), end), (wide, 0.012)) for end, wide in tails))
    paper.glow(union(disc(u, v, 0.2), tail), bright, 0.30, 0.5)
    paper.lay(tail, bright, 0.2)
    inner = limb(u, v, ((0.0, 0.0), (-0.75 * long, 0.01)), (0.10, 0.012))
    paper.lay(inner, p.trim)
    angle = torch.atan2(v, u) + 0.8 * p.clock
    star = disc(u, v, 0.0) - 0.215 - 0.045 * torch.cos(5 * angle)
    paper.lay(star, bright, 0.25)
    paper.lay(disc(u, v, 0.12), p.trim)


_SHAPES: dict[str, Callable[[Paper, Pose], None]] = {
    "boat": _boat,
    "bird": _bird,
    "balloon": _balloon,
    "whale": _whale,
    "train": _train,
    "comet": _comet,
}


def lay_wind(paper: Paper, stage: Stage) -> None:
    """Streaks of wind that trail behind whoever goes fast."""
    x = (stage.x + stage.aside) * stage.way
    y = stage.y - stage.tilt
    alpha = (2 * stage.pace - 1).clamp(min=0) * 0.75
    streaks = []
    for at, level, offset in ((-1.05, -0.42, 0.0), (-1.25, -0.08, 0.37), (-1.00, 0.26, 0.71)):
        slide = 0.25 * torch.sin(6 * stage.clock + 6 * offset)
        streaks.append(box(x - at - slide, y - level, 0.30, 0.020, 0.02))
    white = pick(_FOAM, stage.scenes.place * 0)
    paper.lay(union(*streaks), torch.lerp(white, stage.sun, 0.2), alpha=alpha)
