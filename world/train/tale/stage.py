"""What the camera sees and in which light: places, clocks and colours of a batch of scenes."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from world.train.tale.scene import Scenes
from world.train.tale.words import PLACES, TIMES, WEATHERS

FRAME_S = 1 / 24
SPEED = (0.20, 0.58, 1.50)  # of the values in SPEEDS, in half picture heights a second
PAN_SPEED = 0.9  # half picture heights a second at a full dial
RISE = 0.12  # how far the near layer sinks under a camera that a full dial pan_y has raised, in half picture heights
DIALS = ("pan_x", "pan_y", "energy")  # in the order of their values
NEAR = 2  # the number of the near layer of the ground
ROUND = 10.0  # half picture heights after which the near layer repeats

# For each time of day, and then for each time in space: the top and the bottom of the sky, and the haze.
_TOP = ((118, 138, 216), (52, 152, 226), (98, 36, 118), (10, 16, 56),
        (92, 74, 150), (36, 62, 150), (78, 20, 84), (6, 6, 30))  # fmt: skip
_BOTTOM = ((255, 194, 158), (208, 240, 246), (255, 166, 66), (62, 96, 176),
           (236, 160, 190), (120, 150, 226), (232, 88, 96), (52, 34, 106))  # fmt: skip
_HAZE = ((250, 196, 188), (198, 230, 240), (246, 128, 88), (54, 78, 146),
         (214, 150, 190), (120, 140, 210), (206, 80, 100), (60, 46, 116))  # fmt: skip
_LIGHT = ((232, 204, 224), (255, 255, 255), (204, 122, 150), (84, 104, 182))
_SUN = ((255, 226, 178), (255, 238, 150), (255, 214, 104), (246, 242, 214))
_SLATE = ((140, 138, 170), (126, 150, 174), (124, 78, 116), (48, 58, 110))  # what rain draws each time towards
_STORM = ((84, 88, 132), (66, 86, 122), (92, 44, 86), (30, 38, 84))
# For each weather: how far colours turn grey, their brightness, and how far the sky turns to slate.
_GREY = (0.0, 0.30, 0.15, 0.25, 0.25)
_BRIGHT = (1.0, 0.86, 1.0, 1.0, 0.84)
_SLATED = (0.0, 0.65, 0.30, 0.10, 0.90)


@dataclass(frozen=True)
class Staging:
    """A batch of B clips of T pictures as the camera sees them, in half picture heights from the middle.

    The near ground goes by, rises and sinks. What lies behind it stands still, as it seems to from a train, wherever
    the camera goes: a small model blurs what moves slowly within seconds, and holds what stands for minutes.
    x: [B, T, 1, X] and y: [B, T, Y, 1], the place of each pixel; pixel: its size. travel: how far the camera has gone,
    clock: seconds that waves and wings have lived, rise: how far the camera has risen, spark: how bright lights are;
    [B, T, 1, 1] each. pace: 0, 0.5 or 1, how fast the subject goes; way: -1 or 1; [B, 1, 1, 1] each.
    Colours, 0 to 1, [B, 1, 3, 1, 1]: top, bottom and haze of the sky, light on things, slate of clouds, sun.
    """

    scenes: Scenes
    x: Tensor
    y: Tensor
    pixel: Tensor
    travel: Tensor
    clock: Tensor
    rise: Tensor
    spark: Tensor
    pace: Tensor
    way: Tensor
    top: Tensor
    bottom: Tensor
    haze: Tensor
    light: Tensor
    slate: Tensor
    sun: Tensor

    def rows(self, index: Tensor) -> Staging:
        """The stage of some of the clips."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return Staging(**{name: part.rows(index) if name == "scenes" else part[index] for name, part in parts.items()})

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """x [B, T, 1, X] and y [B, T, Y, 1] on the far (0), middle (1) or near (2) layer of the ground."""
        if number != NEAR:
            return self.x, self.y
        return self.x + self.travel, self.y - self.rise

    def when(self, attribute: str, *values: int) -> Tensor:
        """1.0 where an attribute has one of these values, [B, 1, 1, 1]."""
        found = getattr(self.scenes, attribute)
        return sum((found == value).float() for value in values).view(-1, 1, 1, 1)

    def weathered(self, colour: Tensor) -> Tensor:
        """A colour [B, 1, 3, 1, 1] as the weather leaves it."""
        weather = self.scenes.weather
        grey, bright = pick(_GREY, weather), pick(_BRIGHT, weather)
        return torch.lerp(colour, colour.mean(2, keepdim=True).expand_as(colour), grey) * bright


def set_stage(scenes: Scenes, dials: Tensor, size: tuple[int, int]) -> Staging:
    """The stage of scenes under DIALS [B, T, 3] of each picture, -1 to 1, seen at a size of width and height in pixels.

    pan_x makes the camera travel to the right and pan_y rise; energy makes all that moves faster.
    """
    width, height = size
    pan_x, pan_y, energy = dials.float()[..., None, None].unbind(2)
    haste = torch.exp(0.5 * energy)
    way = scenes.way.float().view(-1, 1, 1, 1) * 2 - 1
    speed, shape = pick(SPEED, scenes.speed).squeeze(2), dials.shape[:2]
    steps = FRAME_S * (way * speed * haste + PAN_SPEED * pan_x)
    x = ((torch.arange(width, device=dials.device) + 0.5) * 2 - width) / height
    y = ((torch.arange(height, device=dials.device) + 0.5) * 2 - height) / height
    return Staging(
        scenes,
        x=x.expand(*shape, 1, -1),
        y=y.view(-1, 1).expand(*shape, -1, 1),
        pixel=torch.full_like(pan_x, 2.0 / height),
        travel=ROUND * scenes.phase.view(-1, 1, 1, 1) + steps.cumsum(1),
        clock=scenes.beat.view(-1, 1, 1, 1) + (FRAME_S * haste).cumsum(1),
        rise=RISE * pan_y,
        spark=1 + 0.5 * energy,
        pace=scenes.speed.float().view(-1, 1, 1, 1) / 2,
        way=way,
        **_colours(scenes),
    )


def _colours(scenes: Scenes) -> dict[str, Tensor]:
    weather, time = scenes.weather, scenes.time
    is_space = scenes.place == PLACES.index("space")
    at = time + len(TIMES) * is_space
    light, slate = pick(_LIGHT, time), pick(_SLATE, time)
    is_storm = (weather == WEATHERS.index("storm")).view(-1, 1, 1, 1, 1)
    slate = torch.where(is_storm, pick(_STORM, time), slate)
    share = pick(_SLATED, weather)
    haze = torch.lerp(pick(_HAZE, at), slate * 1.5, share * 0.8)
    fog = 0.5 * (weather == WEATHERS.index("fog")).float().view(-1, 1, 1, 1, 1)
    top, bottom = torch.lerp(pick(_TOP, at), slate, share), torch.lerp(pick(_BOTTOM, at), slate * 1.7, 0.8 * share)
    top, bottom = torch.lerp(top, haze, fog), torch.lerp(bottom, haze, fog)
    return {
        "top": top.clamp(max=1),
        "bottom": bottom.clamp(max=1),
        "haze": haze.clamp(max=1),
        "light": light,
        "slate": slate,
        "sun": pick(_SUN, time),
    }


@dataclass(frozen=True)
class Pose:
    """A subject as it is to be drawn: u goes forwards from its middle, [B, T, 1, X]; v down, [B, T, Y, 1].

    clock: seconds; pace: 0, 0.5 or 1; dark: how much of its lamps is seen; spark: how bright lights are; each
    [B, T or 1, 1, 1]. Colours [B or 1, 1, 3, 1, 1]: colour is its own, trim goes with it, ink is nearly black, lamp is
    warm.
    """

    u: Tensor
    v: Tensor
    clock: Tensor
    pace: Tensor
    dark: Tensor
    spark: Tensor
    colour: Tensor
    trim: Tensor
    ink: Tensor
    lamp: Tensor


def pick(rows: tuple, index: Tensor) -> Tensor:
    """A row of a table for each of the scenes: [B, 1, 3, 1, 1] of colours 0 to 255 or [B, 1, 1, 1, 1] of numbers."""
    table = torch.tensor(rows, dtype=torch.float32, device=index.device)
    return table[index].view(len(index), 1, -1, 1, 1) / (255 if table.dim() > 1 else 1)
