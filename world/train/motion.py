"""How a picture moves, measured on its pixels: least-squares optical flow along the motions that a scene can make.

No network and nothing learned: where a pattern of brightness I moves by s u(x, y), s is the number that explains best
how I changed, dI/dt = -s u . grad I (Lucas and Kanade 1981, with a given field u in place of a constant one).
Speeds are in half picture heights a second, as in `captions.SPEEDS`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from world.train.captions import LINEAR, SCENES, SPEEDS, Look
from world.train.render import FPS
from world.train.scenes import STEPS, TURNS

BLUR = 2.0  # pixels: brightness must be smooth over what it moves from one picture to the next
LIMITS = tuple(math.sqrt(SPEEDS[a] * SPEEDS[b]) for a, b in (("slow", "normal"), ("normal", "fast")))
LUMA = (0.299, 0.587, 0.114)
Flow = tuple[Tensor, Tensor]  # x and y, [Y, X] each
Changes = tuple[Tensor, Tensor, Tensor]  # of brightness: in a second, to the right and down


def places(height: int, width: int) -> Flow:
    """x and y of every pixel in half picture heights from the middle."""
    x = ((torch.arange(width) + 0.5) * 2 - width) / height
    y = ((torch.arange(height) + 0.5) * 2 - height) / height
    return x.expand(height, width), y[:, None].expand(height, width)


@lru_cache(maxsize=32)
def motions(scene: str, height: int, width: int) -> tuple[Flow, ...]:
    """The fields in which a scene moves at speed 1: to the right and down, or outwards, or clockwise."""
    x, y = places(height, width)
    if scene == "ripples":
        radius = torch.sqrt(x**2 + y**2) + 1e-3
        return ((0.9 * x / radius, 0.9 * y / radius),)
    if scene == "tunnel":
        depth = torch.maximum(x.abs() / 1.4, y.abs()) + 1e-3
        growth = 4.5 / 4 * (depth + 0.1) / depth
        return ((growth * x, growth * y),)
    if scene == "spiral":
        return ((-1.6 * y, 1.6 * x),)
    return translations(height, width)


@lru_cache(maxsize=4)
def translations(height: int, width: int) -> tuple[Flow, ...]:
    """To the right and down."""
    one, nothing = torch.ones(height, width), torch.zeros(height, width)
    return (one, nothing), (nothing, one)


@lru_cache(maxsize=4)
def growth(height: int, width: int) -> tuple[Flow, ...]:
    """Away from the middle, as when a camera comes closer: at unit speed a picture grows by e in a second."""
    return (places(height, width),)


def luminance(frames: Tensor) -> Tensor:
    """frames [B, T, 3, Y, X] -> smooth brightness [B, T, Y, X]."""
    return smooth((frames * torch.tensor(LUMA).view(3, 1, 1)).sum(2))


def smooth(grey: Tensor) -> Tensor:
    """grey [B, T, Y, X], blurred by a Gaussian of BLUR pixels."""
    at = torch.arange(-6, 7)
    kernel = torch.exp(-(at**2) / (2 * BLUR**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    b, t, height, width = grey.shape
    flat = grey.reshape(b * t, 1, height, width)
    flat = F.conv2d(F.pad(flat, (6, 6, 0, 0), mode="replicate"), kernel)
    return F.conv2d(F.pad(flat, (0, 0, 6, 6), mode="replicate"), kernel.mT).view(b, t, height, width)


def changes(light: Tensor) -> Changes:
    """How smooth brightness [B, T, Y, X] changes in a second, to the right and down: [B, T-1, Y-2, X-2] each."""
    height = light.shape[2]
    change = light.diff(dim=1)[..., 1:-1, 1:-1] * FPS
    middle = (light[:, 1:] + light[:, :-1]) / 2
    # one pixel is 2 / height of a half picture height
    to_x = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) * height / 4
    to_y = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) * height / 4
    return change, to_x, to_y


def asked(look: Look) -> tuple[float, ...]:
    """How fast a picture of `look` moves along each field of its scene's `motions` while its dials are at rest."""
    speed = SPEEDS[look.speed]
    if look.direction in TURNS:
        return (TURNS[look.direction] * speed,)
    step_x, step_y = STEPS[look.direction]
    return step_x * speed, step_y * speed


def speeds(frames: Tensor, fields: tuple[Flow, ...]) -> Tensor:
    """How fast each clip of frames [B, T, 3, Y, X] moves along each of the fields: [B, fields], per second."""
    return fitted(changes(luminance(frames)), fields)


def fitted(changed: Changes, fields: tuple[Flow, ...]) -> Tensor:
    """The speeds [B, fields] along the fields that explain best what `changes` has found."""
    change, to_x, to_y = changed
    along = torch.stack([to_x * u[1:-1, 1:-1] + to_y * v[1:-1, 1:-1] for u, v in fields], 1).flatten(2)
    power = along @ along.mT
    # what a pattern does not show (stripes along themselves) counts as no motion
    power = power + torch.eye(len(fields)) * (0.02 * power.diagonal(dim1=1, dim2=2).sum(1) + 1e-6)[:, None, None]
    return torch.linalg.solve(power, -(along @ change.flatten(1).unsqueeze(2))).squeeze(2)


def measure(frames: Tensor, look: Look) -> tuple[str, float]:
    """The direction in which one clip [T, 3, Y, X] of a known scene moves, and how fast."""
    found = speeds(frames.unsqueeze(0), motions(look.scene, *frames.shape[2:]))[0]
    ways = SCENES[look.scene]
    if ways[0] not in LINEAR:
        return ways[0] if found[0] > 0 else ways[1], abs(float(found[0]))
    values = {"right": found[0], "left": -found[0], "down": found[1], "up": -found[1]}
    way = max(ways, key=lambda name: float(values[name]))
    return way, float(values[way])


def speed_class(speed: float) -> str:
    """slow, normal or fast: the nearest by ratio."""
    return list(SPEEDS)[sum(speed > limit for limit in LIMITS)]
