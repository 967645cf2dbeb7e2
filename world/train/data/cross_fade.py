"""A cross-fade between two clips, computed in latents: a ramp in time is a matrix there."""

from __future__ import annotations

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents


class CrossFade:
    """Fades one clip into another over `blocks` blocks."""

    def __init__(self, latents: LinearLatents, blocks: int = 2) -> None:
        g = latents.geometry
        basis = latents.basis.view(g.channels, g.frames, -1)
        share = (torch.arange(blocks * g.frames, device=basis.device) + 0.5) / (blocks * g.frames)
        scale = latents.scale.expand(g.channels)
        self.ramps = [
            torch.einsum("ktp,t,jtp->kj", basis, part, basis) * scale / scale[:, None]
            for part in share.view(blocks, -1)
        ]

    def fade(self, old: Tensor, new: Tensor, cut: int) -> Tensor:
        """Latents [..., n, C, h, w] that equal `old` before block `cut`, and `new` once the fade from there is over."""
        out = torch.cat([old[..., :cut, :, :, :], new[..., cut:, :, :, :]], -4)
        for ramp, at in zip(self.ramps, range(cut, min(cut + len(self.ramps), out.shape[-4])), strict=False):
            before, after = old[..., at, :, :, :], new[..., at, :, :, :]
            out[..., at, :, :, :] = before + torch.einsum("kj,...jhw->...khw", ramp, after - before)
        return out
