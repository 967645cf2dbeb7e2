"""What becomes of the frames that leave a window where they are averaged: into the sink, or beside it.

Both remember how they were before the newest frames, since a block that is abandoned has changed them already, and so
has one that a recache is made beside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from world.dit.config import AVERAGES
from world.dit.device import upload


class SinkAverage:
    """The sink of a bank as it was before its newest frames changed it. Owned by the bank.

    keys, values: [layers, B, sink, N, heads, head_dim]. since: of which latent frame on they are not valid any more.
    """

    def __init__(self, shape: tuple[int, ...], like: Tensor) -> None:
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.since = 0

    def remember(self, keys: Tensor, values: Tensor, since: int) -> None:
        """Keep a copy of the sink, which is about to change."""
        self.keys.copy_(keys)
        self.values.copy_(values)
        self.since = since

    def forget(self) -> None:
        """The sink comes from elsewhere now."""
        self.since = 0


@dataclass(frozen=True)
class MeanTokens:
    """The mean token of a long and of a short average: keys (not rotated) and values [layers, B, 2, heads, head_dim].

    float32, whatever the cache's dtype: in bfloat16 a slow average would stand still.
    """

    keys: Tensor
    values: Tensor

    def array(self) -> np.ndarray:
        """Both as they travel with a block: float32 [2, layers, B, 2, heads, head_dim]."""
        return torch.stack((self.keys, self.values)).cpu().numpy()

    @staticmethod
    def of_array(array: np.ndarray, device: torch.device) -> MeanTokens:
        """The inverse of `array`."""
        return MeanTokens(*upload(torch.from_numpy(array), device))


class WindowAverages:
    """A long and a short running average of all that has left the window: MemRoPE's rule (arXiv 2603.12513).

    Of the frames that leave at a time only the mean over all their tokens is taken; its place in the cache is a frame
    whose tokens are all that one. The first frames that leave are both averages. Owned by a bank.

    kept: what the long and the short one keep of themselves each time. now: None before anything has left.
    """

    def __init__(self, kept: tuple[float, ...], device: torch.device) -> None:
        self._kept = torch.tensor(kept, device=device).view(AVERAGES, 1, 1)
        self.now: MeanTokens | None = None
        self._before: MeanTokens | None = None
        self._since = 0  # of which latent frame on `_before` is not valid any more

    def take(self, keys: Tensor, values: Tensor, since: int) -> None:
        """Let the mean tokens of the frames that leave change both averages; since: the latent frame after the newest.

        keys (not rotated), values: [layers, B, heads, head_dim], float32.
        """
        self._before, self._since = self.now, since
        mean = MeanTokens(*(part.unsqueeze(2).expand(-1, -1, AVERAGES, -1, -1) for part in (keys, values)))
        now = self.now or mean
        self.now = MeanTokens(mean.keys.lerp(now.keys, self._kept), mean.values.lerp(now.values, self._kept))

    def before(self, made: int) -> MeanTokens | None:
        """The averages as they were when the bank had seen `made` latent frames."""
        return self._before if self._since > made else self.now

    def hold(self, tokens: MeanTokens | None) -> None:
        """Go on from these, of another bank, or from nothing."""
        self.now, self._before, self._since = tokens, None, 0

    def copy(self, other: WindowAverages) -> None:
        """Be where another bank's averages are."""
        self.now, self._before, self._since = other.now, other._before, other._since
