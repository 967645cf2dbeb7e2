"""A library of rendered clips, stored as latents without colours.

Painting is linear in the brightness maps of a clip, and so are the latents. Each map is therefore projected once per
colour channel; a clip in new colours costs a weighted sum of six projections instead of a rendering.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.train.data.captions import SCENES, SPEEDS, Look
from world.train.data.render import HIGHLIGHT, BrightnessMaps, ClipColours, random_dials, render_maps
from world.train.learn.device import default_device, seeded_generator

BATCH_CLIPS = 10  # rendered at once
MotionKind = tuple[str, str, str]  # scene, direction, speed


def motion_kind(look: Look) -> MotionKind:
    """The kind of clip that can show `look`."""
    return look.scene, look.direction, look.speed


def motion_kinds() -> list[MotionKind]:
    """Every scene in each of its directions at each speed."""
    return [(scene, direction, speed) for scene in SCENES for direction in SCENES[scene] for speed in SPEEDS]


def project_maps(latents: LinearLatents, maps: BrightnessMaps) -> Tensor:
    """The latents of both maps in each colour channel: [B, n, 2, 3, C, h, w]."""
    g = latents.geometry
    basis = latents.basis.view(g.channels, g.frames, 3, g.cell**2)
    both = torch.stack([maps.body, maps.highlight], 1).flatten(0, 1).unsqueeze(2)
    b, t, _, height, width = both.shape
    split = both.view(b, t // g.frames, g.frames, height // g.cell, g.cell, width // g.cell, g.cell)
    cells = split.permute(0, 1, 3, 5, 2, 4, 6).reshape(b, t // g.frames, height // g.cell, width // g.cell, -1)
    weights = basis.permute(2, 0, 1, 3).reshape(3 * g.channels, -1)
    out = (cells @ weights.T).unflatten(-1, (3, g.channels)).permute(0, 1, 4, 5, 2, 3)
    return out.unflatten(0, (-1, 2)).transpose(1, 2)


class LatentPainter:
    """Gives projected brightness maps their colours: `paint` in latents."""

    def __init__(self, latents: LinearLatents) -> None:
        g = latents.geometry
        self.ones = latents.basis.view(g.channels, g.frames, 3, -1).sum((1, 3))  # a picture of all ones, per colour
        # pixels are x / 127.5 - 1: the share of that 1 and of the mean in every latent
        self.offset = -(self.ones.sum(1) + latents.basis @ latents.mean)
        self.scale = latents.scale

    def paint(self, projected: Tensor, colours: ClipColours) -> Tensor:
        """Latents [B, n, C, h, w] of projected maps [B, n, 2, 3, C, h, w]."""
        dark, bright = colours.dark / 127.5, colours.bright / 127.5
        weights = torch.stack([bright - dark, HIGHLIGHT * (2 - bright)], 1)
        base = dark @ self.ones.T + self.offset
        summed = torch.einsum("bmc,bnmckhw->bnkhw", weights, projected.float())
        return (summed + base[:, None, :, None, None]) / self.scale


class Library:
    """The clips in a folder: `projected` [clips, blocks, 2, 3, C, h, w] float16 and `dials` [clips, blocks, 4]."""

    def __init__(self, folder: Path) -> None:
        # a GPU takes it whole; a CPU leaves it on the disk, to be read as needed
        self.projected = torch.from_numpy(np.load(folder / "projected.npy", mmap_mode="c")).to(default_device())
        self.dials = torch.from_numpy(np.load(folder / "dials.npy")).to(default_device())
        self.clips_by_kind: dict[MotionKind, list[int]] = {}
        for number, (scene, direction, speed) in enumerate(json.loads((folder / "kinds.json").read_text())):
            self.clips_by_kind.setdefault((scene, direction, speed), []).append(number)
        self.blocks = self.projected.shape[1]

    def pick(self, look: Look, rng: random.Random) -> int:
        """A random clip that moves as `look` says."""
        return rng.choice(self.clips_by_kind[motion_kind(look)])

    def read(self, clips: list[int], blocks: list[list[int]]) -> tuple[Tensor, Tensor]:
        """The projected maps [B, n, 2, 3, C, h, w] and dials [B, n, 4] of n blocks of each of B clips."""
        row, column = torch.tensor(clips).view(-1, 1), torch.tensor(blocks)
        return self.projected[row, column], self.dials[row, column]


def build_library(
    folder: Path,
    latents: LinearLatents,
    per_kind: int,
    blocks: int,
    seed: int = 0,
    kinds: list[MotionKind] | None = None,
) -> None:
    """Render `per_kind` clips of `blocks` blocks for each of `kinds` (None: every kind) and write their library."""
    folder.mkdir(parents=True, exist_ok=True)
    g, kinds = latents.geometry, kinds or motion_kinds()
    shape = (len(kinds) * per_kind, blocks, 2, 3, g.channels, g.rows, g.columns)
    out = np.lib.format.open_memmap(folder / "projected.npy", "w+", np.float16, shape)
    generator = seeded_generator(seed)
    dials = random_dials(shape[0], blocks, generator)
    for number, (scene, direction, speed) in enumerate(kinds):
        look = Look(scene, "white", direction, speed)
        for clips in torch.arange(number * per_kind, (number + 1) * per_kind).split(BATCH_CLIPS):
            maps = render_maps(look, dials[clips], generator)
            out[clips.tolist()] = project_maps(latents, maps).cpu().numpy()
    out.flush()
    np.save(folder / "dials.npy", dials.cpu().numpy())
    (folder / "kinds.json").write_text(json.dumps([kind for kind in kinds for _ in range(per_kind)]))
