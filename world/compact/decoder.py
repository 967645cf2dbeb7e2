"""A compact world's pixels: a linear code for latents, and a small causal network that decodes them well."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from world.compact.form import PictureForm
from world.compact.geometry import Geometry
from world.compact.layers import LatentRefiner, Residual, Upscale, zero
from world.compact.sharpen import sharpen
from world.diffusion.pixels import as_tensor, to_uint8


class LinearLatents(nn.Module):
    """Latents as principal components of the pixels of a cell over a block.

    The code is linear, so a cross-fade of latents is a cross-fade of pixels. Pictures have a cell's size here, whatever
    the decoder makes of them. has_scales: each component has a scale of its own, [C], instead of one for all.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self, geometry: Geometry, has_scales: bool = False) -> None:
        super().__init__()
        self.geometry = geometry
        self.register_buffer("mean", torch.zeros(geometry.numbers))
        self.register_buffer("basis", torch.zeros(geometry.channels, geometry.numbers))
        self.register_buffer("scale", torch.ones(geometry.channels if has_scales else ()))

    def cells(self, frames: Tensor) -> Tensor:
        """frames [B, T, 3, Y, X], -1 to 1 -> cells [B, n, h, w, numbers] of the n = T / 6 blocks."""
        g = self.geometry
        shape = (len(frames), -1, g.frames, 3, frames.shape[-2] // g.cell, g.cell, frames.shape[-1] // g.cell, g.cell)
        return frames.reshape(shape).permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4)

    def picture(self, cells: Tensor) -> Tensor:
        """The inverse of `cells`: cells [B, n, h, w, numbers] -> frames [B, T, 3, Y, X]."""
        g = self.geometry
        b, n, h, w, _ = cells.shape
        split = cells.reshape(b, n, h, w, g.frames, 3, g.cell, g.cell).permute(0, 1, 4, 5, 2, 6, 3, 7)
        return split.reshape(b, n * g.frames, 3, h * g.cell, w * g.cell)

    def encode(self, frames: Tensor) -> Tensor:
        """frames [B, T, 3, Y, X], -1 to 1 -> latents [B, n, C, h, w], about unit variance."""
        return ((self.cells(frames) - self.mean) @ self.basis.T / self.scale).permute(0, 1, 4, 2, 3)

    def decode(self, latents: Tensor) -> Tensor:
        """latents [B, n, C, h, w] -> frames [B, 6 n, 3, Y, X], about -1 to 1."""
        return self.picture(latents.permute(0, 1, 3, 4, 2) * self.scale @ self.basis + self.mean)


class PictureDecoder(nn.Module):
    """Latents to pixels: the linear decoding, plus a correction from a latent frame and the one before it.

    All pixel frames of a block are made at once, as channels. The latent frame before is enough to make motion go on
    smoothly from block to block; it is the decoder's state. A geometry that enlarges gets its linear decoding stretched
    and one stage more of the correction. By its PictureForm it may correct the latents first, and sharpen the contours
    of what it has drawn.
    """

    memory: int = 1  # latent frames, besides its own, that a picture depends on

    def __init__(
        self,
        geometry: Geometry,
        widths: tuple[int, int, int] = (128, 64, 48),
        has_scales: bool = False,
        form: PictureForm | None = None,
    ) -> None:
        super().__init__()
        form = form or PictureForm()
        self.form, self.linear = form, LinearLatents(geometry, has_scales)
        size = form.refiner_width, form.refiner_depth
        self.refiner = LatentRefiner(geometry, *size) if form.refiner_depth else None
        wide, middle, narrow = widths
        self.enter = nn.Conv2d(2 * geometry.channels, wide, 3, padding=1)
        self.body = nn.Sequential(Residual(wide), Upscale(wide, middle), Residual(middle), Upscale(middle, narrow))
        last: list[nn.Module] = [Residual(narrow)]
        factor = geometry.cell * geometry.enlarge // 4
        if geometry.enlarge > 1:
            last += [Upscale(narrow, narrow // 2), Residual(narrow // 2)]
            narrow, factor = narrow // 2, factor // 2
        self.leave = nn.Sequential(*last, Upscale(narrow, 3 * geometry.frames, factor))
        zero(self.leave[-1])  # before training the correction is nothing

    def forward(self, latents: Tensor, before: Tensor) -> Tensor:
        """latents and those before them, [B, C, h, w] each -> frames [B, 6, 3, Y, X], -1 to 1 where it sharpens."""
        drawn = self.draw(latents, before)
        if not self.form.sharpenings:
            return drawn
        levels = ((drawn + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
        return sharpen(levels, self.form.sharpenings) / 127.5 - 1

    def draw(self, latents: Tensor, before: Tensor) -> Tensor:
        """As `forward`, but not sharpened: what is trained."""
        if self.refiner is not None:
            latents = self.refiner(latents, before)
        with torch.autocast(latents.device.type, enabled=False):  # in bfloat16 it would be off by a grey level or two
            plain = self.linear.decode(latents.float().unsqueeze(1))
        extra = self.leave(self.body(self.enter(torch.cat([before, latents], 1))))
        if extra.shape[-2:] == plain.shape[-2:]:
            return plain + extra.unflatten(1, plain.shape[1:3])
        # in the memory order of `extra`, on one thread of a CPU, this takes a third of the time
        narrow = plain.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        wide = F.interpolate(narrow, extra.shape[-2:], mode="bilinear", align_corners=False)
        return (wide + extra).unflatten(1, plain.shape[1:3])

    def start(self) -> Tensor | None:
        """The state at the start of a stream: None, so that the first latent frame counts as the one before it."""
        return None

    @torch.inference_mode()
    def decode(self, state: Tensor | None, latents: Tensor | np.ndarray) -> tuple[np.ndarray, Tensor | None]:
        """latents [1, f, C, h, w] -> frames uint8 [6 * f, Y, X, 3] RGB, and the next state [1, C, h, w]."""
        current = as_tensor(latents).to(self.enter.weight)[0]
        first = current[:1] if state is None else state
        frames = self(current, torch.cat([first, current[:-1]]))
        return to_uint8(frames.flatten(0, 1).div_(2).add_(0.5)).cpu().numpy(), current[-1:]
