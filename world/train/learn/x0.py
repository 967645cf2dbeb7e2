"""Flow matching with models that predict x0: noise levels, noised latents, and the squared error."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from world.compact.decoder import LinearLatents


def shift_noise_levels(uniform: Tensor, shift: float) -> Tensor:
    """Noise levels in 0 to 1 from uniform ones; a `shift` above 1 moves them towards 1."""
    return shift * uniform / (1 + (shift - 1) * uniform)


def noise_latents(x0: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """x_t of x0 [B, n, C, h, w] at noise levels sigma [B, n]; noise: like x0."""
    level = sigma[..., None, None, None]
    return (1 - level) * x0 + level * noise


class X0Loss(nn.Module):
    """The squared error of x0, weighted so that it equals an error of the flow, plus `motion` times that of the motion.

    The motion is what changes from picture to picture. It is a small part of a block's variance and most of what a
    block means, so its error is added once more. Latents are linear in pixels: the error of the changes is a quadratic
    form.
    """

    form: Tensor  # [C, C]

    def __init__(self, latents: LinearLatents, motion: float) -> None:
        super().__init__()
        # with a scale for each component, a step of one is not a step of another in pixels
        share = latents.scale.expand(len(latents.basis)) / latents.scale.mean()
        basis = (latents.basis * share[:, None]).unflatten(1, (latents.geometry.frames, -1))
        # the first picture itself counts too: it is the change from the block before
        changes = torch.cat([basis[:, :1], basis.diff(dim=1)], 1).flatten(1)
        form = changes @ changes.T
        self.register_buffer(
            "form", torch.eye(len(form), device=form.device) + motion * form * len(form) / form.trace()
        )

    def forward(self, predicted: Tensor, x0: Tensor, sigma: Tensor, weight: Tensor) -> Tensor:
        """The mean loss, weighted.

        predicted, x0: [B, n, C, h, w]; sigma: [B, n]; weight: float or bool, [B, n, 1, h, w] or broadcast to it.
        """
        error = (predicted - x0) / sigma.clamp(min=0.2)[..., None, None, None]
        weighted = torch.einsum("bnchw,cd->bndhw", error, self.form)
        losses = (error * weighted).mean(2, keepdim=True)
        return (losses * weight).sum() / weight.expand_as(losses).sum()
