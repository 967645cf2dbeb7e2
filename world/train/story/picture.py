"""Training of the storybook's picture decoder at its full size, on latents of clips and on ones that a model redrew.

What a model redrew is what a decoder meets in play: smoother than the truth, and with steps where two tokens meet.
First the refiner of latents learns alone, at the size of their cells, which costs a tenth; then all of the decoder
does. Errors are absolute, because squared ones teach the mean of all contours that could be, and errors of steps count
more where tokens meet.
"""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.model import CompactModel
from world.train.learn.averaging import update_average
from world.train.learn.budget import Budget
from world.train.stages.decoder import edges
from world.train.story.clips import in_chunks, random_pairs, render_last_block, render_scenes
from world.train.story.form import SIGMAS, TALE
from world.train.story.predict import TeacherForcing
from world.train.story.sequences import StoryBatch
from world.train.story.spoken import scene_tokens
from world.train.story.steps import WARMUP, LossLog, cosine_rate
from world.train.story.tune import redraw_history

log = logging.getLogger(__name__)
BLOCKS = 4  # of a clip: the last is drawn at the full size, those before it are what it follows
STEPS = (0, 1, 2, 2)  # of play by which each version of a clip's latents is redrawn, twice by two
SHARES = (0.2, 0.15, 0.33, 0.32)  # of the versions in a batch
NOISE = 0.1  # the most noise that is added to every other clip's latents
SEAM_WEIGHT = 8.0  # of the error of a step between two tokens; another one counts 1


@dataclass(frozen=True)
class StoryPicture:
    """How the decoder is trained. clips: at most; chunk: rendered at once; batch: clips in a step at full size.

    rendering: the share of the time that goes into rendering; refining: of what is left, that of the refiner alone.
    small: clips in a step at the size of cells.
    """

    minutes: float
    clips: int = 1536
    chunk: int = 32
    batch: int = 24
    small: int = 96
    rendering: float = 0.35
    refining: float = 0.15
    rate: float = 4e-4
    refiner_rate: float = 1e-3
    seed: int = 2


@dataclass(frozen=True)
class PictureClips:
    """N clips: the last two of their blocks in each version, [N, V, 2, C, h, w]; the pixels of the last one.

    Pixels are uint8 [N, F, 3, Y, X]. They are kept as they were rendered: all clips in one tensor would be more numbers
    than 32 bits count.
    """

    latents: Tensor
    pixels: Tensor


@dataclass
class PictureLearner:
    """A decoder that learns, its optimiser, and the running average of its weights. Owns all three."""

    decoder: PictureDecoder
    generator: torch.Generator
    average: PictureDecoder = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    step: int = 0

    def __post_init__(self) -> None:
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        weights = [p for p in self.decoder.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(weights, betas=(0.9, 0.98), weight_decay=0.01)

    def descend(self, loss: Tensor, rate: float) -> None:
        """One step down the gradient of `loss`."""
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.optimiser.param_groups[0]["params"], 0.5)
        self.optimiser.step()
        self.step += 1
        update_average(self.average, self.decoder, min(0.995, (1 + self.step) / (10 + self.step)))


def train_picture(
    config: StoryPicture, latents: LinearLatents, model: CompactModel, start: PictureDecoder | None = None
) -> PictureDecoder:
    """A decoder, trained for the minutes of `config`, rendering included, on the device of `latents`.

    start: the decoder to train on, in place of an untrained one; it may be without a refiner.
    """
    budget, device = Budget(config.minutes), latents.basis.device
    clips = render_pictures(config, latents, model, lambda: budget.share > config.rendering)
    generator = torch.Generator(device).manual_seed(config.seed)
    learner = PictureLearner(_begin(latents, start), generator)
    meter, rng, rendered = LossLog("decoder", budget), random.Random(config.seed), budget.share
    refined = rendered + config.refining * (1 - rendered)
    while budget.share < refined:
        loss = refiner_loss(learner, rng.choice(clips), config.small)
        learner.descend(loss, config.refiner_rate * min(1.0, (learner.step + 1) / WARMUP))
        meter.add("refiner", loss)
    while budget.share < 1:
        part, share = rng.choice(clips), (budget.share - refined) / max(1e-9, 1 - refined)
        refiner, picture = refiner_loss(learner, part, config.small // 3), full_loss(learner, part, config.batch)
        learner.descend(0.5 * refiner + picture, config.rate * cosine_rate(learner.step, share))
        meter.add("refiner", refiner)
        meter.add("picture", picture)
    meter.write()
    return learner.average


def _begin(latents: LinearLatents, start: PictureDecoder | None) -> PictureDecoder:
    """The decoder to be trained."""
    decoder = PictureDecoder(TALE.geometry, has_scales=True, form=TALE.pictures).to(latents.basis.device)
    decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack this form
    decoder.linear.load_state_dict(latents.state_dict())
    if start is not None:
        has_refiner = start.form.refiner_depth > 0
        decoder.load_state_dict(start.state_dict(), strict=has_refiner)
    return decoder


def refiner_loss(learner: PictureLearner, clips: PictureClips, count: int) -> Tensor:
    """The loss of refined latents, as linear pictures, of `count` clips in versions that a model redrew."""
    rows, decoder = _rows(clips, count, learner.generator), learner.decoder
    assert decoder.refiner is not None
    version = 1 + _chosen(SHARES[1:], count, learner.generator)
    now, before = _blocks(clips.latents[rows, version].float(), learner.generator)
    with torch.autocast(now.device.type, torch.bfloat16):
        refined = decoder.refiner(now, before)
    true = clips.latents[rows, 0, 1].float()
    return crisp_loss(*(decoder.linear.decode(z.float().unsqueeze(1)) for z in (refined, true)))


def full_loss(learner: PictureLearner, clips: PictureClips, count: int) -> Tensor:
    """The loss of pictures at the full size of `count` clips, in all versions, half of them with some noise."""
    generator, rows = learner.generator, _rows(clips, count, learner.generator)
    z = clips.latents[rows, _chosen(SHARES, count, generator)].float()
    level = 2 * NOISE * (torch.rand(count, 1, 1, 1, 1, generator=generator, device=z.device) - 0.5).clamp(min=0)
    now, before = _blocks(z + level * torch.randn(z.shape, generator=generator, device=z.device), generator)
    with torch.autocast(z.device.type, torch.bfloat16):
        drawn = learner.decoder.draw(now, before)
    return crisp_loss(drawn.float(), clips.pixels[rows].float() / 127.5 - 1)


def crisp_loss(made: Tensor, true: Tensor) -> Tensor:
    """The absolute error of frames [B, 6, 3, Y, X] and of their steps along columns, rows and, a fifth of it, time."""
    along, down, onward = edges(made - true)
    grid = TALE.geometry.grid
    columns, rows = (_seam_weights(*sizes, made.device) for sizes in zip(made.shape[:-3:-1], grid[::-1], strict=True))
    sharp = (along.abs() * columns).mean() + (down.abs() * rows[:, None]).mean()
    return (made - true).abs().mean() + sharp + 0.2 * onward.abs().mean()


def _seam_weights(length: int, tokens: int, device: torch.device) -> Tensor:
    """How much each of the steps between `length` pixels counts, over which there are `tokens`: [length - 1].

    In an enlarged picture the step between two tokens is spread over its neighbours, too.
    """
    token = length // tokens
    apart = torch.arange(1, length, device=device) % token
    apart = torch.minimum(apart, token - apart)
    is_enlarged = length > TALE.geometry.cell * max(TALE.geometry.rows, TALE.geometry.columns)
    weights = torch.where(apart == 0, SEAM_WEIGHT, 1.0)
    return torch.where(apart == 1, SEAM_WEIGHT / 2, weights) if is_enlarged else weights


def _rows(clips: PictureClips, count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(len(clips.latents), (count,), generator=generator, device=generator.device)


def _chosen(shares: tuple[float, ...], count: int, generator: torch.Generator) -> Tensor:
    weights = torch.tensor(shares, device=generator.device)
    return torch.multinomial(weights, count, replacement=True, generator=generator)


def _blocks(pairs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The second blocks of pairs [B, 2, C, h, w] and those before them: in a tenth itself, as where a stream begins."""
    before, now = (blocks.contiguous(memory_format=torch.channels_last) for blocks in pairs.unbind(1))
    is_first = torch.rand(len(now), 1, 1, 1, generator=generator, device=now.device) < 0.1
    return now, torch.where(is_first, now, before)


@torch.no_grad()
def render_pictures(
    config: StoryPicture, latents: LinearLatents, model: CompactModel, is_time_up: Callable[[], bool]
) -> list[PictureClips]:
    """Clips in latents and the pixels of their last blocks, until the time is up; at least one chunk."""
    generator, device = torch.Generator().manual_seed(config.seed), latents.basis.device
    pairs = random_pairs(config.clips, generator, blocks=BLOCKS, seam=1)
    forcing, noise = TeacherForcing(device), torch.Generator(device).manual_seed(config.seed)
    parts: list[PictureClips] = []
    for rows in in_chunks(config.clips, config.chunk):
        scenes, dials = pairs.first.rows(rows), pairs.dials[rows]
        z = latents.encode(render_scenes(scenes, dials, device))
        tokens = scene_tokens(scenes.numbers()).long().to(device)
        drawn = render_last_block(scenes, dials, device, TALE.geometry.picture)
        batch = StoryBatch(z, dials.to(device), tokens, tokens, torch.ones_like(z[:, :, :1]))
        versions = [z] + [redraw_history(model, batch, forcing, noise, SIGMAS[-count:]) for count in STEPS[1:]]
        pixels = ((drawn + 1) * 127.5).round().byte()
        parts.append(PictureClips(torch.stack(versions, 1)[:, :, -2:].half(), pixels))
        if is_time_up():
            break
    log.info("decoder: %d clips rendered", sum(len(part.pixels) for part in parts))
    return parts
