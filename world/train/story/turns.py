"""Dials as hands turn them: a dial is taken hold of, glides to where it is wanted, and stays there."""

from __future__ import annotations

import torch
from torch import Tensor

from world.train.tale.stage import DIALS

USED = 0.5  # the share of the dials of a clip that are turned in it
BEGINS_TURNED, RETURNS = 0.5, 0.25  # the shares of dials that are off their rest already, and of turns back to rest
TURNS = 0.07  # of the blocks in which a dial is taken hold of
LONGEST = 6  # blocks of a glide


def turned_dials(clips: int, blocks: int, generator: torch.Generator, moved: float) -> Tensor:
    """Random dial values at the end of each block, [clips, blocks, dials], -1 to 1, from a generator of the CPU.

    Most of the time a dial stays where it is, off its rest too: that a picture holds under it has to be learnt.
    moved: the share of the clips whose dials are turned; in the others they are at rest.
    """
    size = (clips, len(DIALS))

    def chance(share: float) -> Tensor:
        return torch.rand(size, generator=generator) < share

    def anywhere() -> Tensor:
        return torch.rand(size, generator=generator) * 2 - 1

    value = anywhere() * chance(BEGINS_TURNED)
    target, left, path = value, torch.zeros(size, dtype=torch.long), []
    for _ in range(blocks):
        takes = chance(TURNS)
        target = torch.where(takes, anywhere() * ~chance(RETURNS), target)
        left = torch.where(takes, torch.randint(1, LONGEST + 1, size, generator=generator), left)
        value = value + (target - value) / left.clamp(min=1)
        left = (left - 1).clamp(min=0)
        path.append(value)
    is_moved = torch.rand(clips, 1, 1, generator=generator) < moved
    return torch.stack(path, 1) * chance(USED).unsqueeze(1) * is_moved
