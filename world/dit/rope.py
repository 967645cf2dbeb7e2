"""Rotary position embedding in time, rows and columns. Angles are computed when needed, so no position is the last."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from world.dit.device import upload


class Rotation(NamedTuple):
    """Cosines and signed sines for T tokens: [T, 1, head_dim] each, float32."""

    cos: Tensor
    sin: Tensor


def split_pairs(head_dim: int) -> tuple[int, int, int]:
    """How many of a head's pairs of channels rotate with time, with the row and with the column."""
    pairs = head_dim // 2
    return pairs - 2 * (pairs // 3), pairs // 3, pairs // 3


def axis_angles(positions: Tensor, pairs: int) -> Tensor:
    """Angles of `positions` [n] along one axis: [n, pairs], float64."""
    ladder = torch.arange(pairs, dtype=torch.float64, device=positions.device) / pairs
    return positions.double()[:, None] * torch.pow(10000.0, -ladder)


def angles(positions: Tensor, grid: tuple[int, int], head_dim: int) -> Tensor:
    """Angles of every token of F frames, frame by frame and row by row: [F * rows * columns, head_dim / 2], float64.

    positions: [F], the frames' positions in time. grid: rows and columns of tokens in a frame.
    """
    (rows, columns), (in_time, in_rows, in_columns) = grid, split_pairs(head_dim)
    shape = (len(positions), rows, columns)
    time = axis_angles(positions, in_time)[:, None, None].expand(*shape, -1)
    row = axis_angles(torch.arange(rows, device=positions.device), in_rows)[None, :, None].expand(*shape, -1)
    column = axis_angles(torch.arange(columns, device=positions.device), in_columns)[None, None].expand(*shape, -1)
    return torch.cat([time, row, column], -1).flatten(0, 2)


def rotation(positions: Tensor, grid: tuple[int, int], head_dim: int) -> Rotation:
    """The rotation of every token of F frames; arguments as for `angles`."""
    turn = angles(positions, grid, head_dim)
    cos = turn.cos().repeat_interleave(2, -1)
    sin = torch.stack([-turn.sin(), turn.sin()], -1).flatten(-2)
    return Rotation(cos.float()[:, None], sin.float()[:, None])


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """x [B, T, heads, head_dim] with each interleaved pair of channels rotated: float32 inside, x's dtype outside."""
    swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    return torch.addcmul(x * by.cos, swapped, by.sin).type_as(x)


class RotationTable:
    """The rotation of up to `frames` frames, refilled in place when their positions change. Owned by a cache bank.

    Its memory stays at the same address, so that a captured CUDA graph may read it.
    """

    def __init__(self, frames: int, grid: tuple[int, int], head_dim: int, device: torch.device) -> None:
        self._tokens = grid[0] * grid[1]
        self._in_time = split_pairs(head_dim)[0]
        self._positions = [0] * frames
        self._whole = rotation(torch.zeros(frames, device=device), grid, head_dim)

    def at(self, positions: list[int]) -> Rotation:
        """The rotation of as many frames as there are `positions` in time."""
        count = len(positions)
        if self._positions[:count] != positions:
            self._fill(positions)
        return Rotation(*(part[: count * self._tokens] for part in self._whole))

    def _fill(self, positions: list[int]) -> None:
        device = self._whole.cos.device
        # rows and columns are the same in every frame and were filled once: only the pairs of time change
        turn = axis_angles(upload(torch.tensor(positions), device), self._in_time)[:, None, None]
        signed = torch.stack([-turn.sin(), turn.sin()], -1).flatten(-2)
        for part, values in zip(self._whole, (turn.cos().repeat_interleave(2, -1), signed), strict=True):
            part.unflatten(0, (-1, self._tokens))[: len(positions), ..., : 2 * self._in_time] = values
        self._positions[: len(positions)] = positions
