"""Rendered clips: a scene, a camera that follows the dials, and colours.

A clip is rendered in two steps, so that one rendering serves for any colours: `render_maps` draws brightness maps
without colour, and `paint`, which is linear in them, adds the colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from world.train.data.captions import COLOURS, SPEEDS, Look
from world.train.data.scenes import CENTRED, SCENE_FUNCTIONS, Draw, View

WIDTH, HEIGHT, FPS, BLOCK_FRAMES = 224, 128, 24.0, 6
HIGHLIGHT_FROM = 0.7  # the brightness above which a pixel has its full colour and a growing highlight
HIGHLIGHT = 0.35  # how far a full highlight moves the colour towards white


@dataclass(frozen=True)
class BrightnessMaps:
    """Brightness of a batch of clips, [B, T, Y, X] each: of the colour, 0 to 1, and of the highlight, 0 to 2."""

    body: Tensor
    highlight: Tensor


@dataclass(frozen=True)
class ClipColours:
    """The colours of each clip where the body is 0 (dark) and where it is 1 (bright): [B, 3] each, 0 to 255."""

    dark: Tensor
    bright: Tensor


def random_dials(clips: int, blocks: int, generator: torch.Generator, moved: float = 0.5) -> Tensor:
    """Random dial values at the end of each block, [clips, blocks, 4], -1 to 1.

    moved: the share of the clips whose dials move at all; the others stay at rest.
    """
    is_turned = torch.rand(clips, blocks, 4, generator=generator) < 0.3
    changes = torch.randn(clips, blocks, 4, generator=generator) * 0.4 * is_turned
    value = torch.zeros(clips, 4)
    path = []
    for change in changes.unbind(1):
        value = (value + change).clamp(-1, 1)
        path.append(value)
    used = (torch.rand(clips, 1, 4, generator=generator) < 0.6) & (torch.rand(clips, 1, 1, generator=generator) < moved)
    return torch.stack(path, 1) * used


def dials_per_frame(dials: Tensor, frames: int = BLOCK_FRAMES) -> Tensor:
    """Dials [B, blocks, n] at each pixel frame, [B, n, T, 1, 1]: a dial moves linearly to the value of its block."""
    before = torch.cat([dials[:, :1], dials[:, :-1]], 1).unsqueeze(2)
    share = torch.arange(1, frames + 1).view(1, 1, -1, 1) / frames
    return (before + (dials.unsqueeze(2) - before) * share).flatten(1, 2).mT[..., None, None]


def camera_view(look: Look, dials: Tensor, start: Tensor, size: tuple[int, int]) -> View:
    """What the camera sees of `look` under dials [B, blocks, 4].

    start: how far the scene has moved before the clip, [B, 1, 1, 1]; size: width and height in pixels.
    """
    pan_x, pan_y, zoom, energy = dials_per_frame(dials).unbind(1)
    width, height = size
    x = ((torch.arange(width) + 0.5) / width * 2 - 1) * (WIDTH / HEIGHT)
    y = ((torch.arange(height) + 0.5) / height * 2 - 1)[:, None]
    shift_x, shift_y = 0.7 * pan_x, 0.45 * pan_y
    if look.scene not in CENTRED:
        shift_x, shift_y = (0.9 * pan_x / FPS).cumsum(1), (0.9 * pan_y / FPS).cumsum(1)
    scale = torch.exp(-0.5 * zoom)
    travel = start + (SPEEDS[look.speed] * torch.exp(0.5 * energy) / FPS).cumsum(1)
    x, y = (x * scale + shift_x).expand(-1, -1, height, -1), (y * scale - shift_y).expand(-1, -1, -1, width)
    return View(x, y, travel, look.direction)


def render_maps(
    look: Look, dials: Tensor, generator: torch.Generator, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> BrightnessMaps:
    """A batch of clips of `look` that differ in their shapes only, drawn from `generator`.

    dials: [B, blocks, 4]. pan_x and pan_y move the camera to the right and up; zoom brings it closer; energy makes the
    motion faster and the highlights brighter.
    """
    draw = Draw(len(dials), generator)
    view = camera_view(look, dials, draw(0, 40), size)
    brightness = SCENE_FUNCTIONS[look.scene](view, draw).clamp(0, 1)
    energy = dials_per_frame(dials)[:, 3]
    highlight = ((brightness - HIGHLIGHT_FROM) / (1 - HIGHLIGHT_FROM)).clamp(min=0) * (1 + energy)
    return BrightnessMaps((brightness / HIGHLIGHT_FROM).clamp(max=1), highlight)


def random_colours(looks: list[Look], generator: torch.Generator) -> ClipColours:
    """The colours of each look, with small random differences."""
    jitter = torch.rand(len(looks), 3, generator=generator) * 20 - 10
    bright = (torch.tensor([COLOURS[look.colour] for look in looks]) + jitter).clamp(0, 255)
    darkness = torch.rand(len(looks), 1, generator=generator) * 0.06 + 0.12
    behind = torch.tensor([COLOURS[look.background or look.colour] for look in looks])
    share = torch.tensor([[0.6 if look.background else 0.0] for look in looks])
    return ClipColours(torch.where(share > 0, behind * share, bright * darkness), bright)


def paint(maps: BrightnessMaps, colours: ClipColours) -> Tensor:
    """Pixels [B, T, 3, Y, X], 0 to 255 but for highlights, which can exceed it."""
    shape = (-1, 1, 3, 1, 1)
    dark, bright = colours.dark.view(shape), colours.bright.view(shape)
    body, highlight = maps.body.unsqueeze(2), maps.highlight.unsqueeze(2)
    return dark + (bright - dark) * body + HIGHLIGHT * (255 - bright) * highlight
