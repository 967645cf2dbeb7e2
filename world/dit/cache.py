"""The cache of keys and values: the sink stays where it is, the rest of the window is a ring that is written in place.

Softmax attention does not depend on the order of the keys, so no data ever moves: where the reference clones and shifts
the whole cache in every layer of every call, we change a few integers. Keys are stored rotated, so that a pass rotates
its own frames only; the sink's keys are kept without rotation as well, to be turned once a block where it moves along.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from world.dit.attend import attention
from world.dit.averages import MeanTokens, SinkAverage, WindowAverages
from world.dit.config import AVERAGES, CacheConfig, DiTConfig
from world.dit.device import upload
from world.dit.rope import RotationTable, rotate, rotation
from world.dit.slots import Placement, Slots


class CacheBank:
    """One cache of all layers. Owned by a session; written only under `torch.no_grad()` or inference mode.

    keys, values: one tensor for each layer, [B, slots, N, heads, head_dim] in physical order (see slots.py), averages
        last; the keys are rotated. sink_keys: those of the sink without rotation. N is the number of tokens in a latent
        frame.
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
        self.config, self.grid, self.device = config, grid, torch.device(device)
        self.slots = Slots(config)
        slots = config.size + len(config.averages)
        of_slots = (dit.num_layers, batch, slots, grid[0] * grid[1], dit.num_heads, dit.head_dim)
        of_sink = (*of_slots[:2], config.sink, *of_slots[3:])
        self._keys, self._values = (torch.zeros(of_slots, device=device, dtype=dtype) for _ in range(2))
        self._sink_keys = torch.zeros(of_sink, device=device, dtype=dtype)
        self.keys, self.values = list(self._keys), list(self._values)
        self.sink_keys = list(self._sink_keys)
        self.slot_numbers = torch.arange(config.size, device=device)
        self.table = RotationTable(config.size, grid, dit.head_dim, self.device)
        self._sink_table = RotationTable(config.sink, grid, dit.head_dim, self.device)
        self._sink_at: list[int] | None = None  # the positions that the sink's keys are rotated to
        self._average = SinkAverage(of_sink, self._sink_keys) if config.sink_average else None
        self._averages = WindowAverages(config.averages, self.device) if config.averages else None
        self._averages_at: list[int] | None = None  # the positions that they lie in their slots for
        self._average_table = RotationTable(len(config.averages), grid, dit.head_dim, self.device)

    def clear(self) -> None:
        """Empty the cache: the stream begins anew."""
        self.reset(0)

    def reset(self, made: int, kept: CacheBank | None = None, upto: int = 0, filled: int | None = None) -> None:
        """Count as if `made` latent frames had been written; what a slot held before can be seen no more.

        kept, upto: the first `upto` sink slots are copied from this other bank, as they were when it had seen so many.
        filled: how many of those frames there is room for, if not for a window of them.
        """
        self.slots.reset(made, filled)
        self._sink_at = None
        sink = self.config.sink
        upto = min(upto, sink)
        # a sink may be attended to before it is filled; no other slot is
        self._sink_keys[:, :, upto:] = 0
        self._values[:, :, upto:sink] = 0
        if self._average:
            self._average.forget()
        if self._averages:
            self.hold_averages(None)
        if kept is not None and upto:
            self.slots.frame[:upto] = kept.slots.frame[:upto]
            keys, values = kept.sink(made)
            self._sink_keys[:, :, :upto] = keys[:, :, :upto]
            self._values[:, :, :upto] = values[:, :, :upto]

    def averages(self, made: int) -> MeanTokens | None:
        """The averages of what has left the window, as they were before latent frame `made`; None: nothing has."""
        return self._averages.before(made) if self._averages else None

    def hold_averages(self, tokens: MeanTokens | None) -> None:
        """Go on from these averages of what has left the window."""
        assert self._averages is not None, "only a cache that has averages is given any"
        self._averages.hold(tokens)
        self._averages_at, self.slots.averaged = None, tokens is not None

    def sink(self, made: int) -> tuple[Tensor, Tensor]:
        """Keys (not rotated) and values of the sink before latent frame `made`: [layers, B, sink, N, heads, head_dim].

        An averaged sink is known as it is, and as it was before the newest block.
        """
        if self._average and self._average.since > made:
            return self._average.keys, self._average.values
        return self._sink_keys, self._values[:, :, : self.config.sink]

    def flush(self, end: int) -> None:
        """Forget all before latent frame `end` but the sink and the newest frames, which come to lie behind it."""
        kept = SlotView(self.slots.flush(end), self.device)
        place = slice(self.config.sink, self.config.sink + kept.count)
        for buffer in (*self.keys, *self.values):
            buffer[:, place] = kept.of(buffer).clone()

    def copy(self, other: CacheBank) -> None:
        """Hold what another bank of the same sizes holds."""
        self.slots.copy(other.slots)
        self._keys.copy_(other._keys)
        self._values.copy_(other._values)
        self._sink_keys.copy_(other._sink_keys)
        self._sink_at = other._sink_at
        if self._average and other._average:
            self._average.remember(other._average.keys, other._average.values, other._average.since)
        if self._averages and other._averages:
            self._averages.copy(other._averages)
            self._averages_at = other._averages_at

    def attend(self, start: int, frames: int, renew: bool = False) -> CachedPass:
        """The attention of one pass over `frames` latent frames, the first of them number `start`.

        renew: whether the pass may overwrite sink slots that were written before.
        """
        placement = self.slots.place(start, frames, renew)
        if self._average and placement.evicted:
            self._average_sink(placement.evicted)
        if self._averages and placement.evicted:
            self._average_window(self._averages, placement.evicted)
        self._turn_sink(placement.sink)
        self._place_averages(placement.averages)
        if any(slot < self.config.sink for slot in placement.written) and placement.positions[0] != placement.sink[0]:
            self._sink_at = None  # the pass writes sink keys where its own frames stand: the next one turns them
        return CachedPass(self, placement)

    def logical(self, layer: int) -> tuple[Tensor, Tensor]:
        """Copies of the keys (not rotated) and values of `layer` in order of time: [B, slots, N, heads, head_dim]."""
        order, sink = self.slots.order, self.config.sink
        keys, values = self.keys[layer][:, order], self.values[layer][:, order]
        frames = torch.tensor([self.slots.frame[slot] for slot in order], device=self.device)
        back = rotation(frames, self.grid, keys.shape[-1]).conj()
        keys = rotate(keys.flatten(1, 2), back).view_as(keys)
        keys[:, :sink] = self.sink_keys[layer]
        return keys, values

    def _average_sink(self, evicted: dict[int, int]) -> None:
        """Let the frames that leave the window, by slot, change the sink, before anything is written over them."""
        assert self._average is not None and len(evicted) == self.config.sink, "CacheConfig sees to this"
        self._average.remember(self._sink_keys, self._values[:, :, : self.config.sink], self.slots.made)
        weight = 1 - self.config.sink_average
        for (keys, leaving), values, sink in zip(self._leaving(evicted), self.values, self.sink_keys, strict=True):
            sink.lerp_(keys, weight)
            values[:, : self.config.sink].lerp_(leaving, weight)
        self._sink_at = None

    def _average_window(self, averages: WindowAverages, evicted: dict[int, int]) -> None:
        """Let the frames that leave the window, by slot, change the averages, before anything is written over them."""
        means = [[part.float().mean((1, 2)) for part in leaving] for leaving in self._leaving(evicted)]
        keys, values = (torch.stack(part) for part in zip(*means, strict=True))
        averages.take(keys, values, self.slots.made)
        self._averages_at = None

    def _leaving(self, evicted: dict[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
        """Keys (not rotated) and values of these slots, layer by layer: [B, F, N, heads, head_dim] each."""
        slots = SlotView(list(evicted), self.device)
        numbers = upload(torch.tensor(list(evicted.values())), self.device)
        back = rotation(numbers, self.grid, self._keys.shape[-1]).conj()
        for keys, values in zip(self.keys, self.values, strict=True):
            leaving = slots.of(keys)
            yield rotate(leaving.flatten(1, 2), back).view_as(leaving), slots.of(values)

    def _place_averages(self, positions: list[int]) -> None:
        """Write the averages into their slots, as frames at `positions`; nothing before there are any."""
        if not positions or positions == self._averages_at:
            return
        assert self._averages is not None and self._averages.now is not None, "slots know of them"
        self._averages_at, now, by = positions, self._averages.now, self._average_table.at(positions)
        slots, tokens = slice(self.config.size, None), self.grid[0] * self.grid[1]
        for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            spread = now.keys[layer].repeat_interleave(tokens, 1)
            keys[:, slots] = rotate(spread, by).unflatten(1, (AVERAGES, tokens)).to(keys.dtype)
            values[:, slots] = now.values[layer].unsqueeze(2).to(values.dtype)

    def _turn_sink(self, positions: list[int]) -> None:
        """Rotate the sink's keys of every layer to `positions`."""
        if positions == self._sink_at:
            return
        self._sink_at, by = positions, self._sink_table.at(positions)
        # layer by layer: all at once would take 2 GiB at the sizes of Wan
        for keys, sink in zip(self.keys, self.sink_keys, strict=True):
            keys[:, : self.config.sink] = rotate(sink.flatten(1, 2), by).view_as(sink)


class SlotView:
    """Some physical slots of a buffer, in this order: a view if they are contiguous, a gathered copy if not."""

    def __init__(self, slots: list[int], device: torch.device) -> None:
        self.count = len(slots)
        first, end = (slots[0], slots[-1] + 1) if slots else (0, 0)
        self._span = slice(first, end)
        is_contiguous = slots == list(range(first, end))
        self._index = None if is_contiguous else upload(torch.tensor(slots), device)

    def of(self, buffer: Tensor) -> Tensor:
        """buffer [B, slots, ...] -> [B, chosen slots, ...]."""
        return buffer[:, self._span] if self._index is None else buffer.index_select(1, self._index)

    def write(self, buffer: Tensor, frames: Tensor) -> None:
        """frames [B, chosen slots, ...] into those slots of `buffer` [B, slots, ...]."""
        if self._index is None:
            buffer[:, self._span] = frames
        else:
            buffer.index_copy_(1, self._index, frames)


class CachedPass:
    """The attention of one pass: each layer writes its keys and values to the bank, then attends to the visible slots.

    Implements `dit.CacheAttention`. rotation: of the pass's frames, [F * N, 1, head_dim / 2], complex64.
    """

    def __init__(self, bank: CacheBank, placement: Placement) -> None:
        self.bank, self.placement = bank, placement
        self.frames = len(placement.positions)
        self.visible = SlotView(placement.visible, bank.device)
        self._written = SlotView(placement.written, bank.device)
        self.rotation = bank.table.at(placement.positions)
        self.is_steady = self._is_steady()
        self._sunk = slice(*_span([slot for slot in placement.written if slot < bank.config.sink]))

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v and the result: [B, F * N, heads, head_dim]. q and k are normed but not yet rotated."""
        self.write(layer, k, v)
        k, v = (self.visible.of(part[layer]).flatten(1, 2) for part in (self.bank.keys, self.bank.values))
        return attention(rotate(q, self.rotation), k, v)

    def write(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Store k and v [B, F * N, heads, head_dim]; the first frames are left out where their slots are protected."""
        dropped = self.frames - len(self.placement.written)
        for buffer, x in ((self.bank.keys, rotate(k, self.rotation)), (self.bank.values, v)):
            self._written.write(buffer[layer], self._by_frame(x)[:, dropped:])
        sunk = self._sunk.stop - self._sunk.start
        if sunk:
            self.bank.sink_keys[layer][:, self._sunk] = self._by_frame(k)[:, dropped : dropped + sunk]

    @property
    def written(self) -> Tensor:
        """The slots that a steady pass writes: int64 [F], on the bank's device."""
        first = self.placement.written[0]
        return self.bank.slot_numbers[first : first + self.frames]

    def _is_steady(self) -> bool:
        """Whether the pass is like those of a full window: it sees every slot, and writes neighbours behind the sink.

        All such passes over as many frames have the same shapes, so that one compiled function makes them.
        """
        placement, config = self.placement, self.bank.config
        first = placement.written[0] if placement.written else 0
        neighbours = list(range(first, first + self.frames))
        sees_all = placement.visible == list(range(config.size + len(config.averages)))
        return sees_all and placement.written == neighbours and first >= config.sink

    def _by_frame(self, x: Tensor) -> Tensor:
        """x [B, F * N, ...] -> [B, F, N, ...]."""
        return x.unflatten(1, (self.frames, -1))


def _span(slots: list[int]) -> tuple[int, int]:
    """First and end of consecutive slots."""
    return (slots[0], slots[-1] + 1) if slots else (0, 0)


class BankPair:
    """Two caches: blocks are made with the front one while the back one is rebuilt. Owned by a session."""

    def __init__(self, front: CacheBank, back: CacheBank) -> None:
        self.front, self.back = front, back

    def swap(self) -> None:
        """Make the next blocks with the bank that was rebuilt."""
        self.front, self.back = self.back, self.front
