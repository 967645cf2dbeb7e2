"""Distribution matching distillation: the generator's loss and the critic's, on one clip of latents.

Source: DMD2 (arXiv 2405.14867) as Self-Forcing and LongLive use it. A score is a model that looks at a noised clip and
says what the clean one was: the teacher is the real score, the critic, which follows the generator, the fake one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from world.dit.denoise import Schedule

NOISE_SHIFT, SCORE_SHIFT = 5.0, 8.0  # the grid on which clips are noised, and the scores' own

# (noisy [B, F, C, h, w], t [B, F], context [B, L, D]) -> flow or x0, in the shape of `noisy`
Model = Callable[[Tensor, Tensor, Tensor], Tensor]


def sigma_at(t: Tensor, shift: float) -> Tensor:
    """t [B, F], 0 to 1000 -> the noise level at the nearest step of a grid: float32 [B, F, 1, 1, 1]."""
    schedule = Schedule(shift)
    sigma = schedule.sigmas[schedule.nearest(t.flatten())]
    return sigma.view(*t.shape, 1, 1, 1).to(t.device)


def score_timesteps(drawn: Tensor, shift: float = NOISE_SHIFT) -> Tensor:
    """drawn: whole numbers in [0, 1000), one per sample -> float32, leaning to noise and kept off both ends."""
    return Schedule(shift).shifted(drawn.float())


def noised(clip: Tensor, noise: Tensor, t: Tensor, shift: float = NOISE_SHIFT) -> Tensor:
    """clip, noise [B, F, C, h, w], t [B, F] -> the clip at that noise, in the dtype of `clip`."""
    sigma = sigma_at(t, shift)
    return ((1 - sigma) * clip + sigma * noise).to(clip.dtype)


def x0_score(flow: Model, shift: float = SCORE_SHIFT) -> Model:
    """A score that answers with x0, from a model that answers with the flow (noise - x0)."""

    def score(noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        # float64: near sigma 1 the difference of two large numbers is small
        sigma = sigma_at(t, shift).double()
        return (noisy.double() - sigma * flow(noisy, t, context).double()).to(noisy.dtype)

    return score


@dataclass(frozen=True)
class Scores:
    """The two judges of a clip, what they are told of it, and how far the real one is pushed off `negative`.

    shift: of the grid on which clips are noised for them.
    """

    fake: Model
    real: Model
    context: Tensor
    negative: Tensor
    guidance: float = 3.0
    shift: float = NOISE_SHIFT

    @torch.no_grad()
    def gradient(self, clip: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """From the real score to the fake one, over the real one's distance from `clip`; NaN becomes zero."""
        fake, plain = self.fake(noisy, t, self.context), self.real(noisy, t, self.context)
        real = plain + self.guidance * (plain - self.real(noisy, t, self.negative))
        distance = (clip - real).abs().mean(dim=(1, 2, 3, 4), keepdim=True)
        return torch.nan_to_num((fake - real) / distance)


def generator_loss(clip: Tensor, noise: Tensor, t: Tensor, scores: Scores, mask: Tensor | None = None) -> Tensor:
    """A float64 number whose gradient moves `clip` (with grad, [B, F, C, h, w]) from the fake score to the real one.

    noise: like clip; t [B, F] from `score_timesteps`; mask: bool, like clip, what is supervised (all without it).
    """
    gradient = scores.gradient(clip.detach(), noised(clip.detach(), noise, t, scores.shift), t)
    target = (clip.detach() - gradient).double()
    return 0.5 * _masked_mean((clip.double() - target).square(), mask)


def critic_loss(clip: Tensor, noise: Tensor, t: Tensor, scores: Scores, mask: Tensor | None = None) -> Tensor:
    """How well the fake score (with grad) denoises the generator's own clip: squared error of the flow."""
    noisy = noised(clip, noise, t, scores.shift)
    flow = fake_flow(noisy, scores.fake(noisy, t, scores.context), t, scores.shift)
    return _masked_mean((flow - (noise - clip)).square(), mask)


def fake_flow(noisy: Tensor, x0: Tensor, t: Tensor, shift: float = NOISE_SHIFT) -> Tensor:
    """The flow (noise - x0) that a score's answer x0 means, all [B, F, C, h, w], on the grid the clip was noised on."""
    return ((noisy.double() - x0.double()) / sigma_at(t, shift).double()).to(noisy.dtype)


def _masked_mean(errors: Tensor, mask: Tensor | None) -> Tensor:
    return errors.mean() if mask is None else errors[mask.expand_as(errors)].mean()
