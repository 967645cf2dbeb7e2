"""A block of the past that comes back as memory, whether it belongs to the present line or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class PastBlock:
    """A block by its number. Two are equal if their numbers are: numbers are never used again, and logs hold no more.

    latents: [1, F, C, h, w] as stored; None as long as only a log was read. dials: those that the block was made under.
    """

    index: int
    latents: np.ndarray | None = field(default=None, compare=False, repr=False)
    dials: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)
