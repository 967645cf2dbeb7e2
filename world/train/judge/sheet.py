"""Contact sheets: pictures side by side, to be looked at."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def tile_pictures(rows: list[list[Tensor]], shrink: int = 2) -> np.ndarray:
    """Rows of pictures as one uint8 picture [Y, X, 3], of which every `shrink`th pixel is kept.

    Each picture is [3, Y, X], -1 to 1; all have the same size.
    """
    picture = torch.cat([torch.cat(row, 2) for row in rows], 1)
    return ((picture.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).cpu().numpy()[::shrink, ::shrink]


def write_png(path: Path, picture: np.ndarray) -> None:
    """Save uint8 [Y, X, 3] as a PNG file."""
    path.write_bytes(png_bytes(picture))


def png_bytes(picture: np.ndarray) -> bytes:
    """uint8 [Y, X, 3] as the content of a PNG file, without an image library."""
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(picture))
    header = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")]
    number = struct.Struct(">I").pack
    chunks = (number(len(body)) + kind + body + number(zlib.crc32(kind + body)) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
