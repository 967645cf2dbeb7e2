"""The latents of the storybook: principal components of cells, each scaled by the square root of its deviation.

Fully whitened, fine detail would weigh as much as the place; not whitened, a model draws hardly any of it.
"""

from __future__ import annotations

import torch

from world.compact.decoder import LinearLatents
from world.train.story.clips import in_chunks, random_pairs, render_scenes
from world.train.story.form import TALE

CHUNK = 64


def fit_principal(device: torch.device, clips: int = 512, seed: int = 0) -> LinearLatents:
    """Latents fitted to `clips` random clips of one block, on `device`."""
    pairs = random_pairs(clips, torch.Generator().manual_seed(seed), blocks=1, seam=0)
    latents = LinearLatents(TALE.geometry, TALE.has_scales).to(device)
    numbers = TALE.geometry.numbers
    total = torch.zeros(numbers, dtype=torch.float64, device=device)
    square = torch.zeros(numbers, numbers, dtype=torch.float64, device=device)
    count = 0
    for rows in in_chunks(clips, CHUNK):
        cells = latents.cells(render_scenes(pairs.first.rows(rows), pairs.dials[rows], device)).flatten(0, 3).double()
        total, square, count = total + cells.sum(0), square + cells.T @ cells, count + len(cells)
    mean = total / count
    variances, basis = torch.linalg.eigh(square / count - mean[:, None] * mean)
    variances, basis = variances.flip(0)[: TALE.geometry.channels], basis.flip(1)[:, : TALE.geometry.channels]
    latents.mean.copy_(mean)
    latents.basis.copy_(basis.T)
    latents.scale.copy_(half_whitening(variances))
    return latents.requires_grad_(False)


def half_whitening(variances: torch.Tensor) -> torch.Tensor:
    """The scale [C] by which components are divided: the root of their deviation, for unit variance on average."""
    root = variances.clamp(min=1e-12) ** 0.25
    return root * (variances / root**2).mean().sqrt()
