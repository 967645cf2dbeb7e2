"""The latents that a recache may encode: the newest blocks, as the cache knew them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from world.block import Block
from world.diffusion.recache import Stretch
from world.dit.averages import MeanTokens
from world.dit.device import upload
from world.past_block import PastBlock

Dials = list[dict[str, float]]  # of each latent frame


@dataclass(frozen=True)
class KeptLatents:
    """A block's latents [B, F, C, h, w] as stored, in float32 on the world's device, and the dials it was made under.

    start, end: its first latent frame and the one after it. averages: of what had left the window after it.
    """

    latents: Tensor
    start: int
    end: int
    dials: dict[str, float]
    averages: MeanTokens | None = None

    def until(self, end: int) -> KeptLatents:
        """What is left of it where it ends at latent frame `end`."""
        return self if end == self.end else replace(self, latents=self.latents[:, : end - self.start], end=end)


class LatentHistory:
    """Latents by block number. Owned by a session, whose switch state says which blocks are needed."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._blocks: dict[int, KeptLatents] = {}

    def copy(self) -> LatentHistory:
        """Another history of the same blocks."""
        twin = LatentHistory(self._device)
        twin._blocks = dict(self._blocks)
        return twin

    def add(self, block: Block) -> None:
        """Keep a block's latents, and the averages that came with it."""
        latents = upload(torch.from_numpy(block.latents).float(), self._device)
        end = block.start + latents.shape[1]
        averages = None if block.averages is None else MeanTokens.of_array(block.averages, self._device)
        self._blocks[block.index] = KeptLatents(latents, block.start, end, block.dials, averages)

    def keep_averages(self, index: int, averages: MeanTokens | None) -> None:
        """Keep those of a bank that has seen block `index` as the newest."""
        self._blocks[index] = replace(self._blocks[index], averages=averages)

    def averages(self, index: int) -> MeanTokens | None:
        """The averages of what had left the window after block `index`."""
        return self._blocks[index].averages

    def keep(self, line: Iterable[tuple[int, int]]) -> None:
        """Forget every block whose number is not in `line`, and what comes after its end.

        line: the number of each block and the latent frame after it, in the order of time.
        """
        self._blocks = {index: self._blocks[index].until(end) for index, end in line}

    def latents(self, index: int) -> Tensor:
        """The latents of one block, [B, F, C, h, w]."""
        return self._blocks[index].latents

    def before(self, end: int, frames: int) -> tuple[Stretch, Dials]:
        """The `frames` latent frames before latent frame `end`, and the dials of each."""
        blocks = [block for block in self._blocks.values() if block.start < end and block.end > end - frames]
        dials = [block.dials for block in blocks for _ in range(block.start, block.end)]
        stretch = Stretch(torch.cat([block.latents for block in blocks], 1), blocks[0].start)
        return stretch.last(frames), dials[-frames:]

    def recalled(self, blocks: Sequence[PastBlock], most: int) -> tuple[Tensor, Dials]:
        """The newest latent frames of recalled blocks, at most so many: [B, f, C, h, w]; and the dials of each."""
        latents = np.concatenate([block.latents for block in blocks if block.latents is not None], 1)
        dials = [dict(block.dials) for block in blocks if block.latents is not None for _ in block.latents[0]]
        skipped = max(0, len(dials) - most)
        return upload(torch.from_numpy(latents[:, skipped:]).float(), self._device), dials[skipped:]

    def block(self, index: int) -> tuple[Stretch, Dials]:
        """One block, and the dials of each of its latent frames."""
        block = self._blocks[index]
        return Stretch(block.latents, block.start), [block.dials] * (block.end - block.start)
