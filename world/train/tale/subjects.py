"""Who the story is about: where each subject stands, in which light, and the wind behind it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from world.train.tale.creatures import lay_bird, lay_comet, lay_whale
from world.train.tale.paper import Paper, box, tint, union
from world.train.tale.stage import Pose, Staging, pick
from world.train.tale.vehicles import RAIL, lay_balloon, lay_boat, lay_track, lay_train
from world.train.tale.words import PLACES, TIMES, WEATHERS

# the colours of VALUES; and with each, what is not in its own colour: sails, bellies, stripes
_COLOURS = (
    (224, 44, 44),
    (252, 204, 44),
    (52, 168, 84),
    (44, 104, 224),
    (132, 62, 186),
    (246, 128, 178),
    (246, 244, 236),
)
_TRIM = ((250, 244, 226),) * 6 + ((186, 200, 222),)
_INK, _LAMP, _FOAM = (44, 38, 60), (255, 222, 120), (238, 246, 252)
_AT = {  # where each stands; x to the right for one that goes to the right
    "boat": (-0.02, 0.55),
    "bird": (0.0, -0.18),
    "balloon": (0.0, -0.20),
    "whale": (0.0, -0.14),
    "train": (0.0, RAIL - 0.20),
    "comet": (0.42, -0.36),
}
_SURFACE = 0.46  # where the whale swims at sea
_BOB = {"boat": 0.035, "bird": 0.05, "balloon": 0.06, "whale": 0.05, "train": 0.0, "comet": 0.02}
_SHAPES: dict[str, Callable[[Paper, Pose], None]] = {
    "boat": lay_boat,
    "bird": lay_bird,
    "balloon": lay_balloon,
    "whale": lay_whale,
    "train": lay_train,
    "comet": lay_comet,
}


def lay_subjects(paper: Paper, stage: Staging, groups: dict[str, Tensor]) -> None:
    """Lay the subject of each clip in these groups."""
    for subject, rows in groups.items():
        part, view = paper.rows(rows), stage.rows(rows)
        if subject == "train":
            lay_track(part, view)
        _SHAPES[subject](part, pose_of(view, subject))
        paper.put(rows, part)


def pose_of(stage: Staging, subject: str) -> Pose:
    """The pose of clips that all show `subject`."""
    at_x, at_y = _AT[subject]
    u = stage.x * stage.way - at_x
    v = stage.y - at_y - _BOB[subject] * torch.sin(1.6 * stage.clock)
    if subject == "whale":
        v = v - (_SURFACE - at_y) * stage.when("place", PLACES.index("sea"))
    # its colour must be known in any light
    light = 0.70 + 0.30 * stage.light
    fog = stage.when("weather", WEATHERS.index("fog")).unsqueeze(2)

    def lit(colour: Tensor) -> Tensor:
        return torch.lerp(colour * light, stage.weathered(stage.haze), 0.12 * fog)

    return Pose(
        u,
        v,
        clock=stage.clock,
        pace=stage.pace,
        dark=_darkness(stage),
        spark=stage.spark,
        colour=lit(pick(_COLOURS, stage.scenes.colour)),
        trim=lit(pick(_TRIM, stage.scenes.colour)),
        ink=lit(tint(_INK, u)),
        lamp=tint(_LAMP, u),
    )


def _darkness(stage: Staging) -> Tensor:
    """How much of its lamps is seen, 0 to 1."""
    gloom = stage.when("weather", WEATHERS.index("storm"), WEATHERS.index("fog"))
    night, sunset = (stage.when("time", TIMES.index(time)) for time in ("night", "sunset"))
    return (night + 0.5 * sunset + 0.5 * gloom).clamp(max=1)


def lay_wind(paper: Paper, stage: Staging) -> None:
    """Streaks of wind that trail behind whoever goes fast."""
    u = stage.x * stage.way
    y = stage.y
    streaks = []
    for at, level, beat in ((-1.05, -0.42, 0.0), (-1.25, -0.08, 2.2), (-1.00, 0.26, 4.3)):
        slide = 0.25 * torch.sin(6 * stage.clock + beat)
        streaks.append(box(u - at - slide, y - level, 0.30, 0.028, 0.028))
    alpha = 0.75 * (2 * stage.pace - 1).clamp(min=0)
    paper.lay(union(*streaks), torch.lerp(tint(_FOAM, u), stage.sun, 0.2), alpha=alpha)
