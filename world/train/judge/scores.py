"""What one clip shows, compared with its look. All but the scene is measured on pixels; the scene is recognised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from world.compact.decoder import PictureDecoder
from world.train.data.captions import COLOURS, SPEEDS, Look
from world.train.data.motion import measure_motion, speed_class
from world.train.data.render import FPS
from world.train.judge.recognise import Recogniser

NORMAL = SPEEDS["normal"]


def nearest_colours(frames: Tensor) -> list[str]:
    """The colour nearest to the bright pixels of each clip; frames: [B, T, 3, Y, X], -1 to 1."""
    pixels = ((frames.clamp(-1, 1) + 1) * 127.5).transpose(1, 2).flatten(2)
    weight = pixels.amax(1, keepdim=True) ** 2
    seen = F.normalize((pixels * weight).sum(2), dim=1)
    known = F.normalize(torch.tensor(list(COLOURS.values())).float(), dim=1)
    return [list(COLOURS)[i] for i in (seen @ known.T).argmax(1).tolist()]


@dataclass(frozen=True)
class ClipMark:
    """One clip compared with its look: which attributes are right, and what was measured.

    speed: whether a slow clip is slower than normal and a fast one faster. exact: whether the speed is nearest to the
    asked one of slow, normal and fast, by ratio. pace: the measured speed in the asked direction, in half picture
    heights a second. contrast: the standard deviation of pixels in -1 to 1. motion: their mean change in a second.
    """

    scene: bool
    colour: bool
    direction: bool
    speed: bool
    exact: bool
    pace: float
    contrast: float
    motion: float

    @property
    def adherence(self) -> float:
        """The share of scene, colour and direction that is right."""
        return (self.scene + self.colour + self.direction) / 3


@dataclass(frozen=True)
class Marker:
    """Compares clips of two blocks with their looks."""

    decoder: PictureDecoder
    recogniser: Recogniser

    @torch.no_grad()
    def frames(self, latents: Tensor, at: int, count: int = 2) -> Tensor:
        """The pictures of `count` blocks of latents [B, n, C, h, w] from block `at` on: [B, 6 count, 3, Y, X]."""
        blocks = range(at, at + count)
        return torch.cat([self.decoder(latents[:, n], latents[:, max(n - 1, 0)]) for n in blocks], 1).clamp(-1, 1)

    @torch.no_grad()
    def __call__(self, latents: Tensor, at: int, looks: Sequence[Look]) -> list[ClipMark]:
        """The marks of the two blocks of latents [B, n, C, h, w] from block `at` on."""
        scenes = self.recogniser.hits(latents[:, at : at + 2], list(looks))["scene"].tolist()
        frames = self.frames(latents, at)
        colours = nearest_colours(frames)
        return [_mark(*part) for part in zip(frames, looks, scenes, colours, strict=True)]


def _mark(frames: Tensor, look: Look, is_scene: bool, colour: str) -> ClipMark:
    direction, speed = measure_motion(frames, look)
    is_speed = {"slow": speed < NORMAL, "fast": speed > NORMAL}.get(look.speed, speed_class(speed) == "normal")
    return ClipMark(
        scene=is_scene,
        colour=colour == look.colour,
        direction=direction == look.direction,
        speed=is_speed,
        exact=speed_class(speed) == look.speed,
        pace=speed,
        contrast=float(frames.std()),
        motion=float(frames.diff(dim=0).abs().mean()) * FPS,
    )
