"""How far the motion of latents is from what looks ask for: the brightness of latents, and two errors of its motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.train.data.captions import Look
from world.train.data.motion import (
    LUMA,
    BrightnessChange,
    asked_speeds,
    blur,
    brightness_change,
    fit_speeds,
    motion_fields,
)


class Brightness:
    """Decodes latents to brightness at half the picture's size, in one matrix product."""

    def __init__(self, latents: LinearLatents) -> None:
        self.geometry = g = latents.geometry
        self.half = g.cell // 2
        self.basis, self.mean = self._grey(latents.basis * latents.scale), self._grey(latents.mean[None])

    def _grey(self, cells: Tensor) -> Tensor:
        """The brightness [n, frames cell cell / 4] of cells in colour [n, numbers]."""
        g = self.geometry
        colours = cells.view(-1, 3, g.cell, g.cell) * torch.tensor(LUMA).view(3, 1, 1)
        return F.avg_pool2d(colours.sum(1), 2).view(len(cells), -1)

    def __call__(self, latents: Tensor) -> Tensor:
        """The brightness [B, 6 n, Y / 2, X / 2] of latents [B, n, C, h, w]."""
        cells = latents.permute(0, 1, 3, 4, 2) @ self.basis + self.mean
        cells = cells.unflatten(-1, (self.geometry.frames, self.half, self.half))  # [B, n, h, w, t, p, q]
        return cells.permute(0, 1, 4, 2, 5, 3, 6).flatten(5).flatten(3, 4).flatten(1, 2)


def pace_errors(grey: Tensor, looks: Sequence[Look]) -> tuple[Tensor, Tensor]:
    """How far the motion of clips grey [B, T, Y, X] is from what their looks ask for: two errors, [B] each.

    The first compares the measured velocity with the asked one, relative to the asked one: squared where the error is
    small and linear where it is large. The second is the change of brightness that the asked motion does not explain,
    relative to the change that it would cause. Rendered clips reach 0.01, and 0.02 to 0.2.
    """
    change = brightness_change(blur(grey))
    pairs = [
        _pace_errors(BrightnessChange(*(part[n : n + 1] for part in change)), look, grey.shape[2:])
        for n, look in enumerate(looks)
    ]
    velocity, unexplained = zip(*pairs, strict=True)
    return torch.stack(velocity), torch.stack(unexplained)


def _pace_errors(change: BrightnessChange, look: Look, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    fields, asked = motion_fields(look.scene, *size), torch.tensor(asked_speeds(look))
    missed = (fit_speeds(change, fields)[0] - asked).pow(2).sum() / asked.pow(2).sum()
    explained = torch.zeros(())
    for speed, (u, v) in zip(asked, fields, strict=True):
        explained = explained + speed * (u[1:-1, 1:-1] * change.in_x + v[1:-1, 1:-1] * change.in_y)
    unexplained = (change.in_time + explained).pow(2).sum() / explained.pow(2).sum().clamp(min=1e-6)
    return 2 * ((1 + missed).sqrt() - 1), unexplained
