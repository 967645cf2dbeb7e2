"""The cache of keys and values: the sink stays where it is, the rest of the window is a ring that is written in place.

Softmax attention does not depend on the order of the keys, so no data ever moves: where the reference clones and shifts
the whole cache in every layer of every call, we change a few integers. Keys are stored before rotation and rotated when
they are read, since a position relative to the window changes while the key stays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from world.dit.attend import attention
from world.dit.config import CacheConfig, DiTConfig
from world.dit.device import upload
from world.dit.rope import RotationTable, rotate
from world.dit.slots import Placement, Slots


class CacheBank:
    """One cache of all layers. Owned by a session; written only under `torch.no_grad()` or inference mode.

    keys, values: one tensor for each layer, [B, slots, N, heads, head_dim] in physical order (see slots.py); the keys
        are not rotated. N is the number of tokens in a latent frame.
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
        self.query_table, self.key_table = (
            RotationTable(config.size, grid, dit.head_dim, self.device) for _ in range(2)
        )

    def clear(self) -> None:
        """Empty the cache: the stream begins anew."""
        self.reset(0)

    def reset(self, made: int, kept: CacheBank | None = None, upto: int = 0) -> None:
        """Zero all slots and count as if `made` latent frames had been written.

        kept, upto: the first `upto` logical slots (the sink) are copied from this other bank.
        """
        for buffer in (*self.keys, *self.values):
            buffer.zero_()
        self.slots.reset(made)
        if kept is not None and upto:
            self.slots.frame[:upto] = [kept.slots.frame[slot] for slot in kept.slots.order[:upto]]
            sink = SlotView(kept.slots.order[:upto], self.device)
            for ours, theirs in zip([*self.keys, *self.values], [*kept.keys, *kept.values], strict=True):
                ours[:, :upto] = sink.of(theirs)

    def attend(self, start: int, frames: int, renew: bool = False) -> CachedPass:
        """The attention of one pass over `frames` latent frames, the first of them number `start`.

        renew: whether the pass may overwrite sink slots that were written before.
        """
        return CachedPass(self, self.slots.place(start, frames, renew))

    def logical(self, layer: int) -> tuple[Tensor, Tensor]:
        """Copies of the keys (not rotated) and values of `layer` in order of time: [B, slots, N, heads, head_dim]."""
        return self.keys[layer][:, self.slots.order], self.values[layer][:, self.slots.order]


class SlotView:
    """Some physical slots of a buffer, in this order: a view if they are contiguous, a gathered copy if not."""

    def __init__(self, slots: list[int], device: torch.device) -> None:
        first, end = (slots[0], slots[-1] + 1) if slots else (0, 0)
        self._span = slice(first, end)
        is_contiguous = slots == list(range(first, end))
        self._index = None if is_contiguous else upload(torch.tensor(slots), device)

    def of(self, buffer: Tensor) -> Tensor:
        """buffer [B, slots, ...] -> [B, chosen slots, ...]."""
        return buffer[:, self._span] if self._index is None else buffer.index_select(1, self._index)


class CachedPass:
    """The attention of one pass: each layer writes its keys and values to the bank, then attends to the visible slots.

    Implements `dit.CacheAttention`.
    """

    def __init__(self, bank: CacheBank, placement: Placement) -> None:
        self.bank = bank
        self.frames = len(placement.queries)
        self.written = upload(torch.tensor(placement.written, dtype=torch.long), bank.device)
        self.visible = SlotView(placement.visible, bank.device)
        self._query_rotation = bank.query_table.at(placement.queries)
        self._key_rotation = bank.key_table.at(placement.keys)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, F * N, heads, head_dim]. q and k are normed but not yet rotated."""
        self.write(layer, k, v)
        k, v = (self.visible.of(part[layer]).flatten(1, 2) for part in (self.bank.keys, self.bank.values))
        return attention(rotate(q, self._query_rotation), rotate(k, self._key_rotation), v)

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store k and v [B, F * N, heads, head_dim]; the first frames are left out where their slots are protected."""
        dropped = self.frames - len(self.written)
        for buffer, x in ((self.bank.keys[layer], k), (self.bank.values[layer], v)):
            buffer.index_copy_(1, self.written, x.unflatten(1, (self.frames, -1))[:, dropped:])


class BankPair:
    """Two caches: blocks are made with the front one while the back one is rebuilt. Owned by a session."""

    def __init__(self, front: CacheBank, back: CacheBank) -> None:
        self.front, self.back = front, back

    def swap(self) -> None:
        """Make the next blocks with the bank that was rebuilt."""
        self.front, self.back = self.back, self.front
