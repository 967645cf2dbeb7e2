"""A compact world's pixels on a CPU: each picture of a block by itself, so that the first does not wait for the others.

It draws what `decoder.PictureDecoder` draws, within a level of 255, which rounding decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.layers import LatentRefiner, Residual, Upscale
from world.compact.onednn import PackedConv
from world.compact.sharpen import sharpen
from world.diffusion.pixels import as_tensor
from world.dit.linears import PackedLinear

LEVELS = 127.5  # from -1 .. 1 to 0 .. 255; a half more, since numbers are cut off where they become bytes


class CpuDecoder:
    """Implements world.block.Decoder, from a PictureDecoder in float32. linear: that decoder's code of latents."""

    def __init__(self, decoder: PictureDecoder) -> None:
        g = decoder.linear.geometry
        *layers, last = [*decoder.body, *decoder.leave]
        size = g.rows, g.columns
        assert isinstance(last, Upscale)
        self.memory, self.linear = decoder.memory, decoder.linear
        self._refine = None if decoder.refiner is None else _refiner(decoder.refiner, size)
        self._enter = PackedConv(decoder.enter.weight, decoder.enter.bias, size)
        self._layers: list[Callable[[Tensor], Tensor]] = []
        for layer in layers:
            if isinstance(layer, Residual):
                self._layers.append(_residual(layer, size))
            elif isinstance(layer, Upscale):
                self._layers.append(_upscale(layer, size))
                size = size[0] * layer.factor, size[1] * layer.factor
        self._sharpenings = decoder.form.sharpenings
        self._pictures = [PictureLayers(decoder.linear, last, size, number) for number in range(g.frames)]

    def start(self) -> Tensor | None:
        """As `PictureDecoder.start`."""
        return None

    def decode(self, state: Tensor | None, latents: Tensor | np.ndarray) -> tuple[np.ndarray, Tensor | None]:
        """As `PictureDecoder.decode`."""
        drawn = []
        for frame in range(latents.shape[1]):
            pictures, state = self.pictures(state, latents[:, frame : frame + 1])
            drawn += list(pictures)
        return np.concatenate(drawn), state

    def pictures(self, state: Tensor | None, latents: Tensor | np.ndarray) -> tuple[Iterator[np.ndarray], Tensor]:
        """The pictures of one latent frame [1, 1, C, h, w], uint8 [1, Y, X, 3] each, and the next state.

        Each is drawn when it is asked for.
        """
        current = as_tensor(latents).float()[0]
        return self._draw(current, current if state is None else state), current

    def _draw(self, current: Tensor, before: Tensor) -> Iterator[np.ndarray]:
        with torch.inference_mode():
            if self._refine is not None:
                current = self._refine(current, before)
            x = self._enter(_side_by_side(before, current))
            for layer in self._layers:
                x = layer(x)
            cells = current.flatten(2)[0].T.contiguous()  # [h * w, C]
        for picture in self._pictures:
            with torch.inference_mode():  # which must not stay on while the caller has its turn
                drawn = picture(cells, x)
                if self._sharpenings:
                    drawn = sharpen(drawn.flatten(2), self._sharpenings, step=3).view(drawn.shape)
            yield drawn.numpy()


class PictureLayers:
    """What of the last layers makes picture `number` of a block.

    size: rows and columns of what the layers before have made.
    """

    def __init__(self, linear: LinearLatents, last: Upscale, size: tuple[int, int], number: int) -> None:
        self._geometry, self._size, self._factor = linear.geometry, size, last.factor
        g, factor = linear.geometry, last.factor
        # of each cell: rows, columns and colours, as a picture lies in memory
        basis = (linear.scale.view(-1, 1) * linear.basis).view(-1, g.frames, 3, g.cell, g.cell)[:, number]
        mean = linear.mean.view(g.frames, 3, g.cell, g.cell)[number].permute(1, 2, 0).flatten()
        basis = basis.permute(2, 3, 1, 0).flatten(0, 2)
        self._plain = PackedLinear(basis * LEVELS, mean * LEVELS + LEVELS + 0.5, g.rows * g.columns)
        # of each place: the rows, columns and colours that it becomes
        own = slice(3 * factor**2 * number, 3 * factor**2 * (number + 1))
        order = torch.arange(3 * factor**2).view(3, factor, factor).permute(1, 2, 0).flatten()
        weight, bias = (x[own][order] * LEVELS for x in last.conv.parameters())
        self._extra = PackedConv(weight, bias, size)

    def __call__(self, cells: Tensor, x: Tensor) -> Tensor:
        """cells: latents [h * w, C]; x: what the other layers have made of them -> a picture, uint8 [1, Y, X, 3]."""
        g, (rows, columns), factor = self._geometry, self._size, self._factor
        split = self._plain(cells).view(g.rows, g.columns, g.cell, 3 * g.cell)
        plain = split.transpose(1, 2).reshape(1, g.rows * g.cell, g.columns * g.cell, 3)
        if g.enlarge > 1:
            wide = F.interpolate(plain.permute(0, 3, 1, 2), scale_factor=g.enlarge, mode="bilinear")
            plain = wide.permute(0, 2, 3, 1)
        extra = self._extra(x).permute(0, 2, 3, 1).view(rows, columns, factor, factor, 3)
        plain.view(rows, factor, columns, factor, 3).add_(extra.transpose(1, 2))
        return plain.clamp_(0, 255).to(torch.uint8)


def _side_by_side(before: Tensor, current: Tensor) -> Tensor:
    return torch.cat([before, current], 1).contiguous(memory_format=torch.channels_last)


def _refiner(refiner: LatentRefiner, size: tuple[int, int]) -> Callable[[Tensor, Tensor], Tensor]:
    enter, leave = (PackedConv(conv.weight, conv.bias, size) for conv in (refiner.enter, refiner.leave))
    body = [_residual(layer, size) for layer in refiner.body if isinstance(layer, Residual)]
    place = refiner.place.detach()[None].contiguous(memory_format=torch.channels_last)

    def refine(current: Tensor, before: Tensor) -> Tensor:
        x = enter(_side_by_side(before, current)).add_(place)
        for layer in body:
            x = layer(x)
        return leave(x).add_(current)

    return refine


def _residual(layer: Residual, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    first = PackedConv(layer.first.weight, layer.first.bias, size, is_gelu=True)
    second = PackedConv(layer.second.weight, layer.second.bias, size)
    return lambda x: second(first(x)).add_(x)


def _upscale(layer: Upscale, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    conv, factor = PackedConv(layer.conv.weight, layer.conv.bias, size), layer.factor
    return lambda x: F.pixel_shuffle(conv(x), factor)
