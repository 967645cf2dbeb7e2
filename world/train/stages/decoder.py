"""Training of the picture decoder on rendered clips."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents, PictureDecoder
from world.train.data.latents import random_looks, render_clips
from world.train.learn.budget import Budget, LossMeter, learning_rate_factor
from world.train.learn.checkpoint import load_checkpoint, save_checkpoint
from world.train.learn.device import bfloat16_autocast, seeded_generator

CLIP_BLOCKS = 4
RATE = 1.5e-3


def edges(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Differences of frames [B, T, 3, Y, X] along columns, rows and time."""
    return frames.diff(dim=-1), frames.diff(dim=-2), frames.diff(dim=1)


def picture_loss(made: Tensor, true: Tensor) -> Tensor:
    """The squared error of frames [B, T, 3, Y, X], plus a tenth of the absolute error of their edges."""
    sharp = sum((a - b).abs().mean() for a, b in zip(edges(made), edges(true), strict=True))
    return (made - true).pow(2).mean() + 0.1 * sharp


def pairs(latents: LinearLatents, frames: Tensor, noise: float, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Latents with a little noise, the latents before them, and the true frames: one row for each block.

    frames: [B, T, 3, Y, X]. The first block of a clip is used as the block before it, too.
    """
    z = latents.encode(frames)
    z = z + torch.randn(z.shape, generator=generator) * noise
    before = torch.cat([z[:, :1], z[:, :-1]], 1)
    true = frames.unflatten(1, (-1, latents.geometry.frames))
    return z.flatten(0, 1), before.flatten(0, 1), true.flatten(0, 1)


def train_decoder(latents: LinearLatents, out: Path, minutes: float, seed: int = 0) -> PictureDecoder:
    """Train for `minutes` and save the decoder in `out`; a checkpoint that is there already is continued."""
    torch.manual_seed(seed)
    model: PictureDecoder = PictureDecoder(latents.geometry)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
    model.linear.load_state_dict(latents.state_dict())
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    step, spent_s = _resume(out, model, optimiser)
    budget = Budget(minutes, spent_s)
    meter = LossMeter(budget)
    generator, rng = seeded_generator(seed + step), random.Random(seed + step)
    while budget.share < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * learning_rate_factor(step, budget.share, decay=0.6)
        meter.add(step, picture=_update(model, optimiser, generator, rng))
        step += 1
        if step % 200 == 0:
            _save(out, model, optimiser, step, budget)
    _save(out, model, optimiser, step, budget)
    return model


def _update(
    model: PictureDecoder, optimiser: torch.optim.Optimizer, generator: torch.Generator, rng: random.Random
) -> float:
    """One step on two new clips; gives the loss."""
    frames = render_clips(random_looks(2, rng), generator, CLIP_BLOCKS)
    z, before, true = pairs(model.linear, frames, 0.06 * rng.random(), generator)
    with bfloat16_autocast():
        made = model(z.contiguous(memory_format=torch.channels_last), before)
    loss = picture_loss(made.float(), true)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimiser.step()
    return loss.item()


def _resume(out: Path, model: PictureDecoder, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    """Load the checkpoint if there is one; gives its step and the seconds spent until then."""
    if not out.exists():
        return 0, 0.0
    state = load_checkpoint(out)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["spent_s"]


def _save(out: Path, model: PictureDecoder, optimiser: torch.optim.Optimizer, step: int, budget: Budget) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    save_checkpoint(out, **state, step=step, spent_s=budget.used_s)
