"""Rotary position embedding in time, rows and columns. Angles are computed when needed, so no position is the last."""

from __future__ import annotations

import torch
from torch import Tensor

from world.dit.device import upload


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


def rotation(positions: Tensor, grid: tuple[int, int], head_dim: int) -> Tensor:
    """The rotation of every token of F frames as unit complex numbers: [F * N, 1, head_dim / 2], complex64."""
    turn = angles(positions, grid, head_dim)
    return torch.polar(torch.ones_like(turn), turn).to(torch.complex64)[:, None]


def rotate(x: Tensor, by: Tensor) -> Tensor:
    """x [..., T, heads, head_dim] with each interleaved pair of channels rotated: float32 inside, x's dtype outside."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * by).flatten(-2).type_as(x)


def rotate_pairs(x: Tensor, by: Tensor) -> Tensor:
    """As `rotate`, by a rotation in its real form [T, 1, head_dim / 2, 2]: for code that is compiled.

    Each number takes its neighbour's part by itself, so that a compiled kernel reads two numbers for each that it
    writes.
    """
    pairs = x.float().unflatten(-1, (-1, 2))
    sign = 2 * torch.arange(2, device=x.device) - 1
    return (pairs * by[..., :1] + pairs.flip(-1) * (by[..., 1:] * sign)).flatten(-2).type_as(x)


class RotationTable:
    """The rotation of up to `frames` frames, refilled in place when their positions change. Owned by a cache bank.

    Its memory stays at the same address, so that a captured CUDA graph may read it.
    """

    def __init__(self, frames: int, grid: tuple[int, int], head_dim: int, device: torch.device) -> None:
        self._tokens = grid[0] * grid[1]
        self._in_time = split_pairs(head_dim)[0]
        self._positions = [0] * frames
        self.whole = rotation(torch.zeros(frames, device=device), grid, head_dim)

    def at(self, positions: list[int]) -> Tensor:
        """The rotation of as many frames as there are `positions` in time."""
        count = len(positions)
        if self._positions[:count] != positions:
            self._fill(positions)
        return self.whole[: count * self._tokens]

    def _fill(self, positions: list[int]) -> None:
        count, turn = len(positions), axis_angles(torch.tensor(positions), self._in_time)
        # rows and columns are the same in every frame and were filled once: only the pairs of time change
        values = upload(torch.polar(torch.ones_like(turn), turn).to(torch.complex64), self.whole.device)
        self.whole.unflatten(0, (-1, self._tokens))[:count, ..., : self._in_time] = values[:, None, None]
        self._positions[:count] = positions
