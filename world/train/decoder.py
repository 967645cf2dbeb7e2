"""Training of the picture decoder on rendered clips."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from world.small.decoder import LinearLatents, PictureDecoder
from world.train.latents import random_looks, sample_frames
from world.train.place import bfloat16, chance, load
from world.train.progress import Budget, Meter, rate, save

CLIP_BLOCKS = 4


def edges(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Differences along columns, rows and time."""
    return frames.diff(dim=-1), frames.diff(dim=-2), frames.diff(dim=1)


def picture_loss(made: Tensor, true: Tensor) -> Tensor:
    """Squared error, and absolute error of the edges; frames [B, T, 3, Y, X]."""
    sharp = sum((a - b).abs().mean() for a, b in zip(edges(made), edges(true), strict=True))
    return (made - true).pow(2).mean() + 0.1 * sharp


def pairs(latents: LinearLatents, frames: Tensor, noise: float, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Latents, the ones before them and true frames, a row for each block; a clip's first block is its own past."""
    z = latents.encode(frames)
    z = z + torch.randn(z.shape, generator=generator) * noise
    before = torch.cat([z[:, :1], z[:, :-1]], 1)
    true = frames.unflatten(1, (-1, latents.geometry.frames))
    return z.flatten(0, 1), before.flatten(0, 1), true.flatten(0, 1)


def train_decoder(latents: LinearLatents, out: Path, minutes: float, seed: int = 0) -> PictureDecoder:
    """Train for `minutes`, going on from `out` if it is there, and leave the weights in it."""
    torch.manual_seed(seed)
    model = PictureDecoder(latents.geometry).to(memory_format=torch.channels_last)
    model.linear.load_state_dict(latents.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.01)
    step, spent = _resume(out, model, optimiser)
    budget = Budget(minutes, spent)
    meter = Meter(budget)
    generator, rng = chance(seed + step), random.Random(seed + step)
    while budget.share < 1:
        for group in optimiser.param_groups:
            group["lr"] = 1.5e-3 * rate(step, budget.share, decay=0.6)
        meter.add(step, picture=_update(model, optimiser, generator, rng))
        step += 1
        if step % 200 == 0:
            _keep(out, model, optimiser, step, budget)
    _keep(out, model, optimiser, step, budget)
    return model


def _update(
    model: PictureDecoder, optimiser: torch.optim.Optimizer, generator: torch.Generator, rng: random.Random
) -> float:
    frames = sample_frames(random_looks(2, rng), generator, CLIP_BLOCKS)
    z, before, true = pairs(model.linear, frames, 0.06 * rng.random(), generator)
    with bfloat16():
        made = model(z.contiguous(memory_format=torch.channels_last), before)
    loss = picture_loss(made.float(), true)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimiser.step()
    return loss.item()


def _resume(out: Path, model: PictureDecoder, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    if not out.exists():
        return 0, 0.0
    state = load(out)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["spent_s"]


def _keep(out: Path, model: PictureDecoder, optimiser: torch.optim.Optimizer, step: int, budget: Budget) -> None:
    save(out, model=model.state_dict(), optimiser=optimiser.state_dict(), step=step, spent_s=budget.used_s)
