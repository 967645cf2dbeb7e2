"""Linear latents of rendered clips: the fit of their principal components, and how well they hold a picture."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.train.data.captions import Look, look_of, random_caption
from world.train.data.render import paint, random_colours, random_dials, render_maps
from world.train.learn.device import seeded_generator


def render_clips(looks: list[Look], generator: torch.Generator, blocks: int = 1) -> Tensor:
    """One clip of each look under random dials, [B, 6 blocks, 3, Y, X], -1 to 1."""
    clips = []
    for look in looks:
        dials = random_dials(1, blocks, generator)
        clips.append(paint(render_maps(look, dials, generator), random_colours([look], generator)))
    return (torch.cat(clips).clamp(0, 255)) / 127.5 - 1


def random_looks(count: int, rng: random.Random) -> list[Look]:
    """The looks of random captions."""
    return [look_of(random_caption(rng)) for _ in range(count)]


def fit_latents(geometry: Geometry, clips: int = 360, seed: int = 0) -> LinearLatents:
    """The principal components of random clips, scaled to unit variance on average, but not whitened.

    Coarse structure keeps its large variance, so that denoising decides it first.
    """
    generator = seeded_generator(seed)
    frames = render_clips(random_looks(clips, random.Random(seed)), generator)
    latents = LinearLatents(geometry)
    cells = latents.cells(frames).flatten(0, 3)
    latents.mean.copy_(cells.mean(0))
    _, spread, basis = _principal(cells - latents.mean, geometry.channels, generator)
    latents.basis.copy_(basis.T)
    latents.scale.copy_((spread**2 / len(cells)).mean().sqrt())
    return latents


def _principal(cells: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The first singular vectors and values, by random projection and power iterations.

    Unlike torch.svd_lowrank this takes a generator.
    """
    probe = torch.randn(cells.shape[1], count + 16, generator=generator)
    for _ in range(3):
        probe, _ = torch.linalg.qr(cells.T @ (cells @ probe))
    left, spread, right = torch.linalg.svd(cells @ probe, full_matrices=False)
    return left, spread[:count], (probe @ right.T)[:, :count]


def psnr(latents: LinearLatents, frames: Tensor) -> float:
    """Decibels of frames [B, T, 3, Y, X], -1 to 1, after encoding and decoding."""
    error = (latents.decode(latents.encode(frames)).clamp(-1, 1) - frames).pow(2).mean() / 4
    return float(-10 * torch.log10(error))
