"""Clips: a scene, a camera that follows the dials, and colours.

A clip is made in two halves, so that one rendered field can be worn in any colours: `Field` holds two brightness maps,
and `paint` is linear in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from world.train.captions import COLOURS, SPEEDS, Look
from world.train.scenes import CENTRED, FIELDS, Draw, View

WIDTH, HEIGHT, FPS, BLOCK_FRAMES = 224, 128, 24.0, 6
DIALS = ("pan_x", "pan_y", "zoom", "energy")
TURN = 0.7  # of the brightness range is colour; above it lie the highlights
HIGHLIGHT = 0.35  # how far a full highlight goes to white


@dataclass(frozen=True)
class Field:
    """Two brightness maps of a batch of clips, 0 to 1, [B, T, Y, X] each: of the colour and of the highlight."""

    body: Tensor
    shine: Tensor


@dataclass(frozen=True)
class Colours:
    """Of each clip: dark, where brightness is 0, and colour, where it is 1; [B, 3] each, 0 to 255."""

    dark: Tensor
    colour: Tensor


def dial_paths(clips: int, blocks: int, generator: torch.Generator, moved: float = 0.5) -> Tensor:
    """Dial values at each block's end, [clips, blocks, 4], -1 to 1; a share `moved` of the clips leaves rest."""
    turned = torch.rand(clips, blocks, 4, generator=generator) < 0.3
    leaps = torch.randn(clips, blocks, 4, generator=generator) * 0.4 * turned
    value = torch.zeros(clips, 4)
    path = []
    for leap in leaps.unbind(1):
        value = (value + leap).clamp(-1, 1)
        path.append(value)
    used = (torch.rand(clips, 1, 4, generator=generator) < 0.6) & (torch.rand(clips, 1, 1, generator=generator) < moved)
    return torch.stack(path, 1) * used


def per_frame(dials: Tensor, frames: int = BLOCK_FRAMES) -> Tensor:
    """Dials [B, blocks, 4] as [B, 4, T, 1, 1]: each block glides from the last value to its own."""
    before = torch.cat([dials[:, :1], dials[:, :-1]], 1).unsqueeze(2)
    share = torch.arange(1, frames + 1).view(1, 1, -1, 1) / frames
    return (before + (dials.unsqueeze(2) - before) * share).flatten(1, 2).mT[..., None, None]


def look_through(look: Look, dials: Tensor, start: Tensor, size: tuple[int, int]) -> View:
    """The view of `look` under dials [B, blocks, 4], its way beginning at start [B, 1, 1, 1]."""
    pan_x, pan_y, zoom, energy = per_frame(dials).unbind(1)
    width, height = size
    x = ((torch.arange(width) + 0.5) / width * 2 - 1) * (WIDTH / HEIGHT)
    y = ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]
    lean_x, lean_y = 0.7 * pan_x, 0.45 * pan_y
    if look.scene not in CENTRED:
        lean_x, lean_y = (0.9 * pan_x / FPS).cumsum(1), (0.9 * pan_y / FPS).cumsum(1)
    scale = torch.exp(-0.5 * zoom)
    travel = start + (SPEEDS[look.speed] * torch.exp(0.5 * energy) / FPS).cumsum(1)
    x, y = (x * scale + lean_x).expand(-1, -1, height, -1), (y * scale - lean_y).expand(-1, -1, -1, width)
    return View(x, y, travel, look.direction)


def render(look: Look, dials: Tensor, generator: torch.Generator, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Field:
    """A batch of clips of `look`, alike but for their shapes, drawn from `generator`; dials [B, blocks, 4].

    pan_x and pan_y: what the camera looks at moves to the right and up; zoom: closer; energy: faster and shinier.
    """
    draw = Draw(len(dials), generator)
    view = look_through(look, dials, draw(0, 40), size)
    field = FIELDS[look.scene](view, draw).clamp(0, 1)
    energy = per_frame(dials)[:, 3]
    shine = ((field - TURN) / (1 - TURN)).clamp(min=0) * (1 + energy)
    return Field((field / TURN).clamp(max=1), shine)


def colours_of(looks: list[Look], generator: torch.Generator) -> Colours:
    """The colours of each look, a little different each time."""
    jitter = torch.rand(len(looks), 3, generator=generator) * 20 - 10
    colour = (torch.tensor([COLOURS[look.colour] for look in looks]) + jitter).clamp(0, 255)
    floor = torch.rand(len(looks), 1, generator=generator) * 0.06 + 0.12
    behind = torch.tensor([COLOURS[look.ground or look.colour] for look in looks])
    share = torch.tensor([[0.6 if look.ground else 0.0] for look in looks])
    return Colours(torch.where(share > 0, behind * share, colour * floor), colour)


def paint(field: Field, colours: Colours) -> Tensor:
    """Pixels [B, T, 3, Y, X], 0 to 255 before clamping."""
    shape = (-1, 1, 3, 1, 1)
    dark, colour = colours.dark.view(shape), colours.colour.view(shape)
    body, shine = field.body.unsqueeze(2), field.shine.unsqueeze(2)
    return dark + (colour - dark) * body + HIGHLIGHT * (255 - colour) * shine
