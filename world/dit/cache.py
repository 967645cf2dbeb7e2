"""Keys and values of the window: a sink that stays and a ring that is written in place.

Keys lie un-rotated and are rotated when read, by a table of positions. Softmax attention does not ask in which order
keys come, so nothing is ever moved: what the reference clones and shifts in every layer and call is a few integers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from world.dit.attend import attention
from world.dit.config import CacheConfig, DiTConfig
from world.dit.device import upload
from world.dit.rope import Table, rotate
from world.dit.slots import Placement, Slots


class CacheBank:
    """One cache. Owned by a session; written under `torch.no_grad()` or inference mode only.

    keys, values: for each layer [B, slots, N, heads, head_dim], un-rotated, in physical order (see slots.py).
    """

    def __init__(
        self,
        config: CacheConfig,
        dit: DiTConfig,
        grid: tuple[int, int],
        batch: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (batch, config.size, grid[0] * grid[1], dit.num_heads, dit.head_dim)
        self.config, self.device = config, torch.device(device)
        self.slots = Slots(config)
        self.keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(dit.num_layers)]
        self.values = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(dit.num_layers)]
        self.query_table, self.key_table = (Table(config.size, grid, dit.head_dim, self.device) for _ in range(2))

    def clear(self) -> None:
        """Empty: the beginning of a stream."""
        self.reset(0)

    def reset(self, made: int, kept: CacheBank | None = None, upto: int = 0) -> None:
        """Zero everything, as if `made` latent frames had gone by; take the first `upto` logical slots from `kept`."""
        for buffer in (*self.keys, *self.values):
            buffer.zero_()
        self.slots.reset(made)
        if upto:
            self.slots.frame[:upto] = [kept.slots.frame[slot] for slot in kept.slots.order[:upto]]
            where = Selection(kept.slots.order[:upto], self.device)
            pairs = zip([*self.keys, *self.values], [*kept.keys, *kept.values], strict=True)
            for ours, theirs in pairs:
                ours[:, :upto] = where.of(theirs)

    def attend(self, start: int, frames: int, renew: bool = False) -> Cached:
        """The attention of one pass over `frames` latent frames from `start` on; renew: it may write the sink again."""
        return Cached(self, self.slots.place(start, frames, renew))

    def logical(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys (un-rotated) and values of `layer` in the order of time: [B, slots, N, heads, head_dim]."""
        return self.keys[layer][:, self.slots.order], self.values[layer][:, self.slots.order]


class Selection:
    """Physical slots of a buffer: a view where they are neighbours, a gathered copy where not."""

    def __init__(self, slots: list[int], device: torch.device) -> None:
        first, last = (slots[0], slots[-1] + 1) if slots else (0, 0)
        self.span = slice(first, last) if slots == list(range(first, last)) else None
        self.index = None if self.span else upload(torch.tensor(slots), device)

    def of(self, buffer: Tensor) -> Tensor:
        """buffer [B, slots, ...] -> [B, selected, ...]."""
        return buffer[:, self.span] if self.span else buffer.index_select(1, self.index)


class Cached:
    """One pass against a bank: each layer writes its keys and values, then attends to all that the pass may see."""

    def __init__(self, bank: CacheBank, placement: Placement) -> None:
        self.bank = bank
        self.frames = len(placement.queries)
        self.written = upload(torch.tensor(placement.written, dtype=torch.long), bank.device)
        self.visible = Selection(placement.visible, bank.device)
        self.query_turn = bank.query_table.at(placement.queries)
        self.key_turn = bank.key_table.at(placement.keys)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, F * N, heads, head_dim]; q and k come normed and not yet rotated."""
        self.write(layer, k, v)
        k, v = (self.visible.of(part[layer]).flatten(1, 2) for part in (self.bank.keys, self.bank.values))
        return attention(rotate(q, self.query_turn), rotate(k, self.key_turn), v)

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Keep the last frames of k and v [B, F * N, heads, head_dim] in their slots."""
        dropped = self.frames - len(self.written)
        for buffer, x in ((self.bank.keys[layer], k), (self.bank.values[layer], v)):
            buffer.index_copy_(1, self.written, x.unflatten(1, (self.frames, -1))[:, dropped:])


class BankPair:
    """Two caches: the front one is generated with, the back one is rebuilt behind it. Owned by a session."""

    def __init__(self, front: CacheBank, back: CacheBank) -> None:
        self.front, self.back = front, back

    def swap(self) -> None:
        """What was rebuilt is generated with from now on."""
        self.front, self.back = self.back, self.front
