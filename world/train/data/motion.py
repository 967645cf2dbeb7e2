"""How a picture moves, measured on its pixels: least-squares optical flow along the motions that a scene can make.

Nothing here is learned. Where a brightness pattern I moves by s u(x, y), s is the number that best explains its change,
dI/dt = -s u . grad I (Lucas and Kanade 1981, with a given field u in place of a constant one).
Speeds are in half picture heights a second, as in `captions.SPEEDS`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from world.train.data.captions import LINEAR, SCENES, SPEEDS, Look
from world.train.data.render import FPS
from world.train.data.scenes import CENTRED_SIGNS, LINEAR_STEPS

BLUR = 2.0  # pixels: brightness must be smooth over the distance that it moves between two pictures
SPEED_LIMITS = tuple(math.sqrt(SPEEDS[a] * SPEEDS[b]) for a, b in (("slow", "normal"), ("normal", "fast")))
LUMA = (0.299, 0.587, 0.114)
FlowField = tuple[Tensor, Tensor]  # the x and y part of a motion, [Y, X] each


class BrightnessChange(NamedTuple):
    """The slopes of smooth brightness, [B, T-1, Y-2, X-2] each: per second, and per half picture height in x and y."""

    in_time: Tensor
    in_x: Tensor
    in_y: Tensor


def pixel_places(height: int, width: int) -> FlowField:
    """x and y of every pixel, in half picture heights from the middle."""
    x = ((torch.arange(width) + 0.5) * 2 - width) / height
    y = ((torch.arange(height) + 0.5) * 2 - height) / height
    return x.expand(height, width), y[:, None].expand(height, width)


@lru_cache(maxsize=32)
def motion_fields(scene: str, height: int, width: int) -> tuple[FlowField, ...]:
    """The fields along which a scene moves, at speed 1: outwards, or clockwise, or one to the right and one down."""
    x, y = pixel_places(height, width)
    if scene == "ripples":
        radius = torch.sqrt(x**2 + y**2) + 1e-3
        return ((0.9 * x / radius, 0.9 * y / radius),)
    if scene == "tunnel":
        depth = torch.maximum(x.abs() / 1.4, y.abs()) + 1e-3
        growth = 4.5 / 4 * (depth + 0.1) / depth
        return ((growth * x, growth * y),)
    if scene == "spiral":
        return ((-1.6 * y, 1.6 * x),)
    return translation_fields(height, width)


@lru_cache(maxsize=4)
def translation_fields(height: int, width: int) -> tuple[FlowField, ...]:
    """The fields of a motion to the right and of a motion down."""
    one, nothing = torch.ones(height, width), torch.zeros(height, width)
    return (one, nothing), (nothing, one)


@lru_cache(maxsize=4)
def zoom_fields(height: int, width: int) -> tuple[FlowField, ...]:
    """The one field of a camera that comes closer: at speed 1 a picture grows by the factor e in a second."""
    return (pixel_places(height, width),)


def smooth_brightness(frames: Tensor) -> Tensor:
    """The blurred brightness [B, T, Y, X] of frames [B, T, 3, Y, X]."""
    return blur((frames * torch.tensor(LUMA).view(3, 1, 1)).sum(2))


def blur(grey: Tensor) -> Tensor:
    """grey [B, T, Y, X], blurred by a Gaussian of BLUR pixels."""
    at = torch.arange(-6, 7)
    kernel = torch.exp(-(at**2) / (2 * BLUR**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    b, t, height, width = grey.shape
    flat = grey.reshape(b * t, 1, height, width)
    flat = F.conv2d(F.pad(flat, (6, 6, 0, 0), mode="replicate"), kernel)
    return F.conv2d(F.pad(flat, (0, 0, 6, 6), mode="replicate"), kernel.mT).view(b, t, height, width)


def brightness_change(smooth: Tensor) -> BrightnessChange:
    """How smooth brightness [B, T, Y, X] changes in time and in space."""
    height = smooth.shape[2]
    in_time = smooth.diff(dim=1)[..., 1:-1, 1:-1] * FPS
    middle = (smooth[:, 1:] + smooth[:, :-1]) / 2
    # one pixel is 2 / height of a half picture height
    in_x = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) * height / 4
    in_y = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) * height / 4
    return BrightnessChange(in_time, in_x, in_y)


def asked_speeds(look: Look) -> tuple[float, ...]:
    """How fast `look` should move along each field of `motion_fields(look.scene)` while the dials are at rest."""
    speed = SPEEDS[look.speed]
    if look.direction in CENTRED_SIGNS:
        return (CENTRED_SIGNS[look.direction] * speed,)
    step_x, step_y = LINEAR_STEPS[look.direction]
    return step_x * speed, step_y * speed


def measured_speeds(frames: Tensor, fields: tuple[FlowField, ...]) -> Tensor:
    """How fast each clip of frames [B, T, 3, Y, X] moves along each of the fields: [B, fields]."""
    return fit_speeds(brightness_change(smooth_brightness(frames)), fields)


def fit_speeds(change: BrightnessChange, fields: tuple[FlowField, ...]) -> Tensor:
    """The speeds [B, fields] along the fields that best explain the change of brightness."""
    along = torch.stack([change.in_x * u[1:-1, 1:-1] + change.in_y * v[1:-1, 1:-1] for u, v in fields], 1).flatten(2)
    power = along @ along.mT
    # a motion that a pattern cannot show (stripes along themselves) counts as no motion
    power = power + torch.eye(len(fields)) * (0.02 * power.diagonal(dim1=1, dim2=2).sum(1) + 1e-6)[:, None, None]
    return torch.linalg.solve(power, -(along @ change.in_time.flatten(1).unsqueeze(2))).squeeze(2)


def measure_motion(frames: Tensor, look: Look) -> tuple[str, float]:
    """The direction in which one clip [T, 3, Y, X] of the scene of `look` moves, and its speed."""
    found = measured_speeds(frames.unsqueeze(0), motion_fields(look.scene, *frames.shape[2:]))[0]
    directions = SCENES[look.scene]
    if directions[0] not in LINEAR:
        return directions[0] if found[0] > 0 else directions[1], abs(float(found[0]))
    values = {"right": found[0], "left": -found[0], "down": found[1], "up": -found[1]}
    direction = max(directions, key=lambda name: float(values[name]))
    return direction, float(values[direction])


def speed_class(speed: float) -> str:
    """slow, normal or fast: the one nearest to `speed` by ratio."""
    return list(SPEEDS)[sum(speed > limit for limit in SPEED_LIMITS)]
