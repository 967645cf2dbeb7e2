"""Training of the storybook's picture decoder at its full size, on latents of clips and on ones that a model redrew."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.model import CompactModel
from world.train.learn.budget import Budget
from world.train.stages.decoder import picture_loss
from world.train.story.clips import in_chunks, random_pairs, render_scenes
from world.train.story.form import SIGMAS, TALE
from world.train.story.predict import TeacherForcing
from world.train.story.spoken import scene_tokens
from world.train.story.steps import WARMUP, LossLog, cosine_rate

log = logging.getLogger(__name__)
REDRAWN = 0.5  # the share of the latents that a model redrew
NOISE = 0.12  # the most noise that is added to latents


@dataclass(frozen=True)
class StoryPicture:
    """How the decoder is trained. clips: at most, of two blocks; chunk: rendered at once; batch: clips in a step.

    rendering: the share of the time that goes into rendering.
    """

    minutes: float
    clips: int = 1536
    chunk: int = 32
    batch: int = 24
    rendering: float = 0.35
    rate: float = 2e-3
    seed: int = 2


@dataclass(frozen=True)
class PictureClips:
    """N clips of two blocks: latents and redrawn latents [N, 2, C, h, w], and true pixels uint8 [N, 2, F, 3, Y, X].

    They are kept as they were rendered: all clips in one tensor would be more numbers than 32 bits count.
    """

    latents: Tensor
    redrawn: Tensor
    pixels: Tensor


def train_picture(
    config: StoryPicture, latents: LinearLatents, model: CompactModel, start: PictureDecoder | None = None
) -> PictureDecoder:
    """A decoder, trained for the minutes of `config`, rendering included, on the device of `latents`.

    start: the decoder to train on, in place of an untrained one.
    """
    budget, device = Budget(config.minutes), latents.basis.device
    clips = render_pictures(config, latents, model, lambda: budget.share > config.rendering)
    decoder = PictureDecoder(TALE.geometry, has_scales=True).to(device)
    decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
    decoder.linear.load_state_dict(latents.state_dict())
    if start is not None:
        decoder.load_state_dict(start.state_dict())
    weights = [p for p in decoder.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01)
    generator, meter, step = torch.Generator(device).manual_seed(config.seed), LossLog("decoder", budget), 0
    rng = random.Random(config.seed)
    begun = budget.share
    while budget.share < 1:
        share = (budget.share - begun) / max(1e-9, 1 - begun)
        optimiser.param_groups[0]["lr"] = config.rate * cosine_rate(step, share, WARMUP)
        loss = _loss(decoder, rng.choice(clips), config.batch, generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 0.5)
        optimiser.step()
        meter.add("picture", loss)
        step += 1
    meter.write()
    return decoder


def _loss(decoder: PictureDecoder, clips: PictureClips, batch: int, generator: torch.Generator) -> Tensor:
    """The loss of some clips: of their second blocks, or of their first ones as the beginning of a stream."""
    device, count = clips.latents.device, len(clips.latents)
    row = torch.randint(count, (min(batch, count),), generator=generator, device=device)

    def chance(share: float) -> Tensor:
        return (torch.rand(len(row), generator=generator, device=device) < share).view(-1, 1, 1, 1, 1)

    z = torch.where(chance(REDRAWN), clips.redrawn[row], clips.latents[row]).float()
    level = NOISE * torch.rand(len(row), 1, 1, 1, 1, generator=generator, device=device)
    z = z + level * torch.randn(z.shape, generator=generator, device=device)
    is_first = chance(0.2)
    current, before = torch.where(is_first[:, 0], z[:, 0], z[:, 1]), z[:, 0]
    pixels = clips.pixels[row]
    true = torch.where(is_first, pixels[:, 0], pixels[:, 1]).float() / 127.5 - 1
    with torch.autocast(device.type, torch.bfloat16):
        made = decoder(current.contiguous(memory_format=torch.channels_last), before)
    return picture_loss(made.float(), true)


@torch.no_grad()
def render_pictures(
    config: StoryPicture, latents: LinearLatents, model: CompactModel, is_time_up: Callable[[], bool]
) -> list[PictureClips]:
    """Clips drawn at both sizes, until the time is up; at least one chunk."""
    generator, device = torch.Generator().manual_seed(config.seed), latents.basis.device
    pairs = random_pairs(config.clips, generator, blocks=2, seam=1)
    forcing, noise = TeacherForcing(device), torch.Generator(device).manual_seed(config.seed)
    parts: list[PictureClips] = []
    for rows in in_chunks(config.clips, config.chunk):
        scenes, dials = pairs.first.rows(rows), pairs.dials[rows]
        z = latents.encode(render_scenes(scenes, dials, device))
        tokens = scene_tokens(scenes.numbers()).to(device)
        pixels = ((render_scenes(scenes, dials, device, TALE.geometry.picture) + 1) * 127.5).round().byte()
        redrawn = redraw(model, forcing, z, tokens, dials.to(device), noise)
        parts.append(PictureClips(z.half(), redrawn, pixels.unflatten(1, (2, -1))))
        if is_time_up():
            break
    log.info("decoder: %d clips rendered", sum(len(part.latents) for part in parts))
    return parts


def redraw(
    model: CompactModel, forcing: TeacherForcing, z: Tensor, tokens: Tensor, dials: Tensor, noise: torch.Generator
) -> Tensor:
    """Latents [B, 2, C, h, w] as the model draws them in its last step, from the true ones under as much noise."""
    level, flat = SIGMAS[-1], z.flatten(0, 1).unsqueeze(1)
    noisy = (1 - level) * flat + level * torch.randn(flat.shape, generator=noise, device=z.device)
    tokens = tokens.repeat_interleave(z.shape[1], 0)
    sigma = torch.full(flat.shape[:2], level, device=z.device)
    with torch.autocast(z.device.type, torch.bfloat16):
        made = forcing(model, noisy, sigma, None, (tokens, tokens), dials.flatten(0, 1).unsqueeze(1))
    return made.half().view(z.shape)
