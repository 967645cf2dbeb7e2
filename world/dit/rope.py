"""Rotary positions in time, rows and columns: angles are computed, so a stream has no last position."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from world.dit.device import upload


class Rotation(NamedTuple):
    """Cosines and signed sines of one token per row: [T, 1, head_dim], float32."""

    cos: Tensor
    sin: Tensor


def split_pairs(head_dim: int) -> tuple[int, int, int]:
    """How many of the head's complex pairs turn with time, row and column."""
    pairs = head_dim // 2
    return pairs - 2 * (pairs // 3), pairs // 3, pairs // 3


def axis_angles(positions: Tensor, pairs: int) -> Tensor:
    """Angles [len(positions), pairs] in float64 of `positions` along one axis."""
    ladder = torch.arange(pairs, dtype=torch.float64, device=positions.device) / pairs
    return positions.double()[:, None] * torch.pow(10000.0, -ladder)


def angles(positions: Tensor, grid: tuple[int, int], head_dim: int) -> Tensor:
    """Angles [F * rows * columns, head_dim / 2] in float64: frame-major, then rows, then columns.

    positions: [F], the frames' positions in time; grid: rows and columns of tokens in a frame.
    """
    (rows, columns), (in_time, in_rows, in_columns) = grid, split_pairs(head_dim)
    shape = (len(positions), rows, columns)
    time = axis_angles(positions, in_time)[:, None, None].expand(*shape, -1)
    row = axis_angles(torch.arange(rows, device=positions.device), in_rows)[None, :, None].expand(*shape, -1)
    column = axis_angles(torch.arange(columns, device=positions.device), in_columns)[None, None].expand(*shape, -1)
    return torch.cat([time, row, column], -1).flatten(0, 2)


def rotation(positions: Tensor, grid: tuple[int, int], head_dim: int) -> Rotation:
    """The table that `rotate` reads; arguments as for `angles`."""
    turn = angles(positions, grid, head_dim)
    cos = turn.cos().repeat_interleave(2, -1)
    sin = torch.stack([-turn.sin(), turn.sin()], -1).flatten(-2)
    return Rotation(cos.float()[:, None], sin.float()[:, None])


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """x [B, T, heads, head_dim] with each interleaved pair turned; computed in float32, returned in x's dtype."""
    swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(x * by.cos, swapped, by.sin).type_as(x)


class Table:
    """A rotation for up to `frames` frames, refilled in place when their positions change. Owned by a cache bank.

    The memory stays where it is, so that a captured graph may read it.
    """

    def __init__(self, frames: int, grid: tuple[int, int], head_dim: int, device: torch.device) -> None:
        self._tokens = grid[0] * grid[1]
        self._in_time = split_pairs(head_dim)[0]
        self._positions = [0] * frames
        self._whole = rotation(torch.zeros(frames, device=device), grid, head_dim)

    def at(self, positions: list[int]) -> Rotation:
        """The rotation of frames at `positions`."""
        count = len(positions)
        if self._positions[:count] != positions:
            self._fill(positions)
        return Rotation(*(part[: count * self._tokens] for part in self._whole))

    def _fill(self, positions: list[int]) -> None:
        device = self._whole.cos.device
        # only the pairs of time turn with the frame: rows and columns were filled once
        turn = axis_angles(upload(torch.tensor(positions), device), self._in_time)[:, None, None]
        signed = torch.stack([-turn.sin(), turn.sin()], -1).flatten(-2)
        for part, values in zip(self._whole, (turn.cos().repeat_interleave(2, -1), signed), strict=True):
            part.unflatten(0, (-1, self._tokens))[: len(positions), ..., : 2 * self._in_time] = values
        self._positions[: len(positions)] = positions
