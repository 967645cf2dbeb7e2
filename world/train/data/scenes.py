"""The nine scenes: one function each, which draws brightness, 0 to 1, with strong contrast.

All shapes have low spatial frequencies: what latents of sixteen-pixel cells cannot hold is left out. Where a wave has a
steep and a gentle side, the direction can be seen in a still picture, because motion alone is a weak cue to learn from.
Places are in half picture heights from the middle of the picture; x goes to the right and y down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TAU = 2 * math.pi
CENTRED = ("ripples", "tunnel", "spiral")  # here the pan dials shift the view; elsewhere they make the camera travel
LINEAR_STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
CENTRED_SIGNS = {"outwards": 1, "inwards": -1, "clockwise": 1, "counterclockwise": -1}


@dataclass(frozen=True)
class View:
    """What a camera sees of a batch of clips.

    x, y: the place that each pixel shows, [B, T, Y, X]; travel: how far the scene has moved, [B, T, 1, 1].
    """

    x: Tensor
    y: Tensor
    travel: Tensor
    direction: str

    @property
    def scrolled(self) -> tuple[Tensor, Tensor]:
        """x and y of a scene that moves in a straight line."""
        step_x, step_y = LINEAR_STEPS[self.direction]
        return self.x - step_x * self.travel, self.y - step_y * self.travel

    @property
    def sign(self) -> int:
        """The sign of a centred motion: +1 outwards or clockwise, -1 inwards or counterclockwise."""
        return CENTRED_SIGNS[self.direction]


class Draw:
    """Draws random numbers that differ from clip to clip, each [B, 1, 1, 1]."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def __call__(self, low: float, high: float) -> Tensor:
        """One uniform number between `low` and `high` for each clip."""
        return low + (high - low) * torch.rand(self.count, 1, 1, 1, generator=self.generator)


def skewed_sine(phase: Tensor) -> Tensor:
    """A sine with a steep rise and a gentle fall, -1 to 1."""
    return torch.sin(phase + 0.7 * torch.sin(phase))


def plasma(view: View, draw: Draw) -> Tensor:
    """A sum of sine waves that also change slowly while they move."""
    x, y = view.scrolled
    k, flow = draw(2.1, 2.6), 0.3 * view.travel
    waves = torch.sin(k * x + draw(0, TAU) + flow) + torch.sin(k * y + draw(0, TAU))
    waves = waves + torch.sin(0.8 * k * (x + y) + draw(0, TAU) + flow)
    return 0.5 + 0.22 * (waves + torch.sin(1.2 * k * (x - 0.6 * y) + draw(0, TAU)))


def stripes(view: View, draw: Draw) -> Tensor:
    """Stripes across the direction of motion, with one sharp and one soft edge."""
    step_x, step_y = LINEAR_STEPS[view.direction]
    along, across = (view.x, view.y) if step_x else (view.y, view.x)
    moved = (step_x + step_y) * view.travel
    phase = draw(5.5, 7) * (along + draw(-0.15, 0.15) * across - moved) + draw(0, TAU)
    return 0.5 + 0.5 * torch.tanh(2 * skewed_sine(-(step_x + step_y) * phase))


def grid(view: View, draw: Draw) -> Tensor:
    """Bright horizontal and vertical lines."""
    x, y = view.scrolled
    k, width = draw(1.05, 1.25), draw(0.13, 0.16)
    to_x = (torch.remainder(x * k + draw(0, 1), 1) - 0.5).abs()
    to_y = (torch.remainder(y * k + draw(0, 1), 1) - 0.5).abs()
    return torch.sigmoid((width - torch.minimum(to_x, to_y)) * 22)


def orbs(view: View, draw: Draw) -> Tensor:
    """Three balls in a tile that repeats."""
    x, y = view.scrolled
    wide, high = draw(2.5, 2.9), draw(2.1, 2.3)
    brightness = torch.zeros(())
    for index in range(3):
        place_x = wide * (index / 3 + draw(-0.05, 0.05))
        place_y = high * ((0.38 * index) % 1 + draw(-0.05, 0.05))
        from_x = torch.remainder(x - place_x + wide / 2, wide) - wide / 2
        from_y = torch.remainder(y - place_y + high / 2, high) - high / 2
        radius, distance = draw(0.36, 0.46), torch.sqrt(from_x**2 + from_y**2)
        ball = torch.sigmoid((radius - distance) * 22) * (0.6 + 0.4 * (1 - distance / radius).clamp(min=0))
        brightness = torch.maximum(brightness, ball)
    return brightness


def waves(view: View, draw: Draw) -> Tensor:
    """Horizontal bands that bend like waves of the sea."""
    x, _ = view.scrolled
    lift = draw(0.2, 0.28) * skewed_sine(-LINEAR_STEPS[view.direction][0] * draw(2.2, 2.8) * x + draw(0, TAU))
    return 0.5 + 0.5 * torch.sin(draw(4.6, 5.6) * (view.y + lift) + draw(0, TAU))


def rain(view: View, draw: Draw) -> Tensor:
    """Drops with tails, in columns of their own."""
    _, y = view.scrolled
    down, period = LINEAR_STEPS[view.direction][1], draw(1.5, 1.8)
    lane = view.x * draw(2.3, 2.7) + draw(0, 1)
    number = torch.floor(lane)
    start = torch.remainder(0.381966 * number + draw(0, 1) + 0.13 * torch.sin(5 * number + draw(0, TAU)), 1)
    # 0 at the tail's end, 1 at the head
    along = torch.remainder(down * y / period + start, 1)
    tail = ((along - 0.25) / 0.6).clamp(min=0) ** 1.5
    drop = tail * torch.sigmoid((0.86 - along) * 50)
    return drop * torch.exp(-(((lane - number - 0.5) / 0.32) ** 2))


def ripples(view: View, draw: Draw) -> Tensor:
    """Rings round the middle, at equal distances."""
    radius = torch.sqrt(view.x**2 + view.y**2)
    phase = draw(7.5, 9) * (radius - view.sign * view.travel * 0.9) + draw(0, TAU)
    return 0.5 + 0.5 * skewed_sine(-view.sign * phase)


def tunnel(view: View, draw: Draw) -> Tensor:
    """Square rings that grow with perspective; the side walls are darker."""
    side, level = view.x.abs() / 1.4, view.y.abs()
    depth = torch.maximum(side, level)
    phase = draw(3.6, 4.4) * torch.log(depth + 0.1) - view.sign * view.travel * 4.5 + draw(0, TAU)
    walls = (0.5 + 0.5 * torch.tanh(1.5 * skewed_sine(-view.sign * phase))) * torch.where(side > level, 0.7, 1.0)
    return walls * ((depth - 0.06) / 0.3).clamp(0, 1)


def spiral(view: View, draw: Draw) -> Tensor:
    """Two or three arms that turn and whose ends trail behind."""
    radius, angle = torch.sqrt(view.x**2 + view.y**2), torch.atan2(view.y, view.x)
    arms = 2 + (draw(0, 1) > 0.5).float()
    phase = arms * (angle - view.sign * (view.travel * 1.6 + draw(0, TAU))) + view.sign * draw(3, 3.8) * radius
    return 0.5 + 0.5 * torch.tanh(1.6 * torch.sin(phase))


SCENE_FUNCTIONS: dict[str, Callable[[View, Draw], Tensor]] = {
    "plasma": plasma,
    "stripes": stripes,
    "grid": grid,
    "orbs": orbs,
    "waves": waves,
    "rain": rain,
    "ripples": ripples,
    "tunnel": tunnel,
    "spiral": spiral,
}
