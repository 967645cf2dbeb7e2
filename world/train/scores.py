"""What one clip shows, marked against what was asked for. Exact but for the scene: pixels and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from world.small.decoder import PictureDecoder
from world.train.captions import COLOURS, SPEEDS, Look
from world.train.motion import measure, speed_class
from world.train.recognise import Recogniser
from world.train.render import FPS

NORMAL = SPEEDS["normal"]


def nearest_colours(frames: Tensor) -> list[str]:
    """The colour of each clip, frames [B, T, 3, Y, X] in -1 to 1: what its bright pixels point to."""
    pixels = ((frames.clamp(-1, 1) + 1) * 127.5).transpose(1, 2).flatten(2)
    weight = pixels.amax(1, keepdim=True) ** 2
    seen = F.normalize((pixels * weight).sum(2), dim=1)
    known = F.normalize(torch.tensor(list(COLOURS.values())).float(), dim=1)
    return [list(COLOURS)[i] for i in (seen @ known.T).argmax(1).tolist()]


@dataclass(frozen=True)
class Mark:
    """One clip against its look: which attributes are right, how fast it is against the words, and its contrast.

    speed: slow below what is normal, fast above; exact: the nearest of slow, normal and fast by ratio.
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
        """Of scene, colour and direction, the share that is right."""
        return (self.scene + self.colour + self.direction) / 3


@dataclass(frozen=True)
class Marker:
    """Marks clips of two blocks."""

    decoder: PictureDecoder
    recogniser: Recogniser

    @torch.no_grad()
    def frames(self, latents: Tensor, at: int, count: int = 2) -> Tensor:
        """Pictures of some blocks of latents [B, n, C, h, w]: [B, 6 count, 3, Y, X]."""
        blocks = range(at, at + count)
        return torch.cat([self.decoder(latents[:, n], latents[:, max(n - 1, 0)]) for n in blocks], 1).clamp(-1, 1)

    @torch.no_grad()
    def __call__(self, latents: Tensor, at: int, looks: Sequence[Look]) -> list[Mark]:
        """Marks of blocks `at` and the next of latents [B, n, C, h, w]."""
        scenes = self.recogniser.hits(latents[:, at : at + 2], list(looks))["scene"].tolist()
        frames = self.frames(latents, at)
        colours = nearest_colours(frames)
        return [_mark(*part) for part in zip(frames, looks, scenes, colours, strict=True)]


def _mark(frames: Tensor, look: Look, scene: bool, colour: str) -> Mark:
    direction, speed = measure(frames, look)
    side = {"slow": speed < NORMAL, "fast": speed > NORMAL}.get(look.speed, speed_class(speed) == "normal")
    return Mark(
        scene=scene,
        colour=colour == look.colour,
        direction=direction == look.direction,
        speed=side,
        exact=speed_class(speed) == look.speed,
        pace=speed,
        contrast=float(frames.std()),
        motion=float(frames.diff(dim=0).abs().mean()) * FPS,
    )
