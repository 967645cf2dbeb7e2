"""A library of rendered fields in latent form, to be worn in any colours while training.

Painting is linear in the two brightness maps of a field and so are the latents: each map is projected once per colour
channel, and a clip in new colours costs a weighted sum of six projections instead of a rendering.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from world.small.decoder import LinearLatents
from world.train.captions import SCENES, SPEEDS, Look
from world.train.place import chance, device
from world.train.render import HIGHLIGHT, Colours, Field, dial_paths, render

AT_ONCE = 10  # clips
Kind = tuple[str, str, str]  # scene, direction, speed


def kind_of(look: Look) -> Kind:
    """The shelf on which fields for `look` stand."""
    return look.scene, look.direction, look.speed


def kinds() -> list[Kind]:
    """Every shelf."""
    return [(scene, way, speed) for scene, ways in SCENES.items() for way in ways for speed in SPEEDS]


def project(latents: LinearLatents, field: Field) -> Tensor:
    """Both maps of a field through each colour's components: [B, n, 2, 3, C, h, w]."""
    g = latents.geometry
    basis = latents.basis.view(g.channels, g.frames, 3, g.cell**2)
    maps = torch.stack([field.body, field.shine], 1).flatten(0, 1).unsqueeze(2)
    b, t, _, height, width = maps.shape
    split = maps.view(b, t // g.frames, g.frames, height // g.cell, g.cell, width // g.cell, g.cell)
    cells = split.permute(0, 1, 3, 5, 2, 4, 6).reshape(b, t // g.frames, height // g.cell, width // g.cell, -1)
    weights = basis.permute(2, 0, 1, 3).reshape(3 * g.channels, -1)
    out = (cells @ weights.T).unflatten(-1, (3, g.channels)).permute(0, 1, 4, 5, 2, 3)
    return out.unflatten(0, (-1, 2)).transpose(1, 2)


class Wardrobe:
    """Colours for projected fields."""

    def __init__(self, latents: LinearLatents) -> None:
        g = latents.geometry
        self.flat = latents.basis.view(g.channels, g.frames, 3, -1).sum((1, 3))  # a picture of all ones, per colour
        # pixels are x / 127.5 - 1: what the subtracted one and the mean do to every latent
        self.offset = -(self.flat.sum(1) + latents.basis @ latents.mean)
        self.scale = latents.scale

    def wear(self, projected: Tensor, colours: Colours) -> Tensor:
        """projected [B, n, 2, 3, C, h, w] -> latents [B, n, C, h, w]."""
        dark, colour = colours.dark / 127.5, colours.colour / 127.5
        weights = torch.stack([colour - dark, HIGHLIGHT * (2 - colour)], 1)
        base = dark @ self.flat.T + self.offset
        summed = torch.einsum("bmc,bnmckhw->bnkhw", weights, projected.float())
        return (summed + base[:, None, :, None, None]) / self.scale


class Library:
    """Fields by kind: `projected` [clips, blocks, 2, 3, C, h, w] float16, `dials` [clips, blocks, 4]."""

    def __init__(self, folder: Path) -> None:
        # a GPU takes it whole; a CPU leaves it on the disk, to be read as needed
        self.projected = torch.from_numpy(np.load(folder / "projected.npy", mmap_mode="c")).to(device())
        self.dials = torch.from_numpy(np.load(folder / "dials.npy")).to(device())
        names = json.loads((folder / "kinds.json").read_text())
        self.shelves: dict[Kind, list[int]] = {}
        for number, name in enumerate(names):
            self.shelves.setdefault(tuple(name), []).append(number)
        self.blocks = self.projected.shape[1]

    def pick(self, look: Look, rng: random.Random) -> int:
        """A clip that moves like `look`."""
        return rng.choice(self.shelves[kind_of(look)])

    def read(self, clips: list[int], blocks: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Projections [B, n, 2, 3, C, h, w] and dials [B, n, 4] of some blocks of some clips."""
        row, column = torch.tensor(clips).view(-1, 1), torch.tensor(blocks)
        return self.projected[row, column], self.dials[row, column]


def build(
    folder: Path, latents: LinearLatents, per_kind: int, blocks: int, seed: int = 0, shelves: list[Kind] | None = None
) -> None:
    """Render `per_kind` clips for each of `shelves`, all of them if none are named."""
    folder.mkdir(parents=True, exist_ok=True)
    g, shelves = latents.geometry, shelves or kinds()
    shape = (len(shelves) * per_kind, blocks, 2, 3, g.channels, g.rows, g.columns)
    out = np.lib.format.open_memmap(folder / "projected.npy", "w+", np.float16, shape)
    generator = chance(seed)
    dials = dial_paths(shape[0], blocks, generator)
    for number, (scene, way, speed) in enumerate(shelves):
        look = Look(scene, "white", way, speed)
        for clips in torch.arange(number * per_kind, (number + 1) * per_kind).split(AT_ONCE):
            field = render(look, dials[clips], generator)
            out[clips.tolist()] = project(latents, field).cpu().numpy()
    out.flush()
    np.save(folder / "dials.npy", dials.cpu().numpy())
    (folder / "kinds.json").write_text(json.dumps([kind for kind in shelves for _ in range(per_kind)]))
