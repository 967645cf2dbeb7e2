"""The latents that a rebuild would encode: the window's newest blocks, as the cache knew them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from world.block import Block
from world.device import upload
from world.recache import Stretch


class Past:
    """The newest latent frames of a stream, at least `window` of them (-1: all). Owned by a session.

    end: the number of the latent frame that comes next.
    """

    def __init__(self, window: int, device: torch.device) -> None:
        self._window, self._device = window, device
        self.clear()

    def clear(self, end: int = 0) -> None:
        """Nothing is known before latent frame `end`."""
        self.end = end
        self._latents: list[Tensor] = []
        self._dials: list[dict[str, float]] = []

    def add(self, start: int, latents: np.ndarray, dials: dict[str, float]) -> None:
        """The next block: latents [B, F, C, h, w] as stored, and the dials it was made under."""
        if start != self.end:
            raise ValueError(f"a block begins at latent frame {start} where {self.end} comes next: blocks are missing")
        self._latents.append(upload(torch.from_numpy(latents).float(), self._device))
        self._dials.append(dials)
        self.end += latents.shape[1]
        while self._window != -1 and self._frames() - self._latents[0].shape[1] >= self._window:
            del self._latents[0], self._dials[0]

    def all(self) -> tuple[Stretch, list[dict[str, float]]]:
        """All that is kept, and the dials of each of its latent frames; raises ValueError when there is nothing."""
        if not self._latents:
            raise ValueError(f"nothing is known of what came before latent frame {self.end}: blocks are missing")
        dials = [d for d, latents in zip(self._dials, self._latents, strict=True) for _ in range(latents.shape[1])]
        return Stretch(torch.cat(self._latents, 1), self.end - self._frames()), dials

    def newest(self) -> tuple[Stretch, list[dict[str, float]]]:
        """The newest block, and the dials of each of its latent frames."""
        latents = self._latents[-1]
        return Stretch(latents, self.end - latents.shape[1]), [self._dials[-1]] * latents.shape[1]

    def _frames(self) -> int:
        return sum(latents.shape[1] for latents in self._latents)


def gapless(blocks: Sequence[Block], end: int) -> list[Block]:
    """The newest of `blocks` that follow one another up to latent frame `end`, oldest first."""
    run: list[Block] = []
    for block in reversed(blocks):
        if block.start + block.latents.shape[1] != end:
            break
        run.insert(0, block)
        end = block.start
    return run
