"""Distribution matching distillation: the generator's loss and the critic's loss, on one clip of latents.

Source: DMD2 (arXiv 2405.14867), as Self-Forcing and LongLive use it. A score is a model that predicts the clean clip
from a noised one. The teacher is the real score; the critic, which is trained on the generator's clips, is the fake
score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from world.dit.denoise import NoiseSchedule

NOISE_SHIFT, SCORE_SHIFT = 5.0, 8.0  # of the schedule with which clips are noised, and of the scores' own schedule

# (noisy [B, F, C, h, w], t [B, F], context [B, L, D]) -> flow or x0, in the shape of `noisy`
ScoreModel = Callable[[Tensor, Tensor, Tensor], Tensor]


def sigma_at(t: Tensor, shift: float) -> Tensor:
    """The noise level at the schedule's step nearest to t [B, F], 0 to 1000: float32 [B, F, 1, 1, 1]."""
    schedule = NoiseSchedule(shift)
    sigma = schedule.sigmas[schedule.nearest(t.flatten())]
    return sigma.view(*t.shape, 1, 1, 1).to(t.device)


def score_timesteps(drawn: Tensor, shift: float = NOISE_SHIFT) -> Tensor:
    """Timesteps for uniformly drawn whole numbers in [0, 1000): float32, moved towards noise, never near 0 or 1000."""
    return NoiseSchedule(shift).shifted(drawn.float())


def noised(clip: Tensor, noise: Tensor, t: Tensor, shift: float = NOISE_SHIFT) -> Tensor:
    """The clip at timesteps t [B, F], in its own dtype; clip, noise: [B, F, C, h, w]."""
    sigma = sigma_at(t, shift)
    return ((1 - sigma) * clip + sigma * noise).to(clip.dtype)


def x0_score(flow: ScoreModel, shift: float = SCORE_SHIFT) -> ScoreModel:
    """A score, which predicts x0, made of a model that predicts the flow (noise - x0)."""

    def score(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        # float64: near sigma 1 the difference of two large numbers is small
        sigma = sigma_at(t, shift).double()
        return (noisy.double() - sigma * flow(noisy, t, context).double()).to(noisy.dtype)

    return score


@dataclass(frozen=True)
class Scores:
    """The fake and the real score of a clip, with the prompts that both are given.

    context, negative: the prompt and the negative prompt [B, L, D], or their tokens. guidance: how far the real score
    is moved away from its answer to `negative`. shift: of the schedule with which clips are noised.
    """

    fake: ScoreModel
    real: ScoreModel
    context: Tensor
    negative: Tensor
    guidance: float = 3.0
    shift: float = NOISE_SHIFT

    @torch.no_grad()
    def gradient(self, clip: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """The fake score minus the real one, over the real score's mean distance from `clip`; NaN becomes zero."""
        fake, plain = self.fake(noisy, t, self.context), self.real(noisy, t, self.context)
        real = plain + self.guidance * (plain - self.real(noisy, t, self.negative))
        distance = (clip - real).abs().mean(dim=(1, 2, 3, 4), keepdim=True)
        return torch.nan_to_num((fake - real) / distance)


def generator_loss(clip: Tensor, noise: Tensor, t: Tensor, scores: Scores, mask: Tensor | None = None) -> Tensor:
    """A float64 number whose gradient moves `clip` away from the fake score and towards the real one.

    clip: [B, F, C, h, w], with gradient; noise: like clip; t: [B, F] from `score_timesteps`; mask: bool, like clip,
    true where the loss counts (None: everywhere).
    """
    gradient = scores.gradient(clip.detach(), noised(clip.detach(), noise, t, scores.shift), t)
    target = (clip.detach() - gradient).double()
    return 0.5 * _masked_mean((clip.double() - target).square(), mask)


def critic_loss(clip: Tensor, noise: Tensor, t: Tensor, scores: Scores, mask: Tensor | None = None) -> Tensor:
    """The squared error of the flow with which the fake score, with gradient, denoises the generator's own clip."""
    noisy = noised(clip, noise, t, scores.shift)
    flow = fake_flow(noisy, scores.fake(noisy, t, scores.context), t, scores.shift)
    return _masked_mean((flow - (noise - clip)).square(), mask)


def fake_flow(noisy: Tensor, x0: Tensor, t: Tensor, shift: float = NOISE_SHIFT) -> Tensor:
    """The flow (noise - x0) that follows from a predicted x0, on the schedule with which the clip was noised.

    noisy, x0 and the result: [B, F, C, h, w]; t: [B, F].
    """
    return ((noisy.double() - x0.double()) / sigma_at(t, shift).double()).to(noisy.dtype)


def _masked_mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    return errors.mean() if mask is None else errors[mask.expand_as(errors)].mean()
