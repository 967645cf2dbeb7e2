"""A show as a process of its own that also writes what it shows: `python -m tests.peer_show FILE OPTIONS...`.

FILE gets one line for each frame that was shown: its number, and the SHA-256 of its pixels. If its name ends in .rgb,
it gets the pixels themselves instead.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from loop.__main__ import main
from loop.supervise.live_model import LiveModel

_HEAD = struct.Struct("<QHH")  # frame number, height, width


def digests(path: Path) -> dict[int, str]:
    """The frames that such a show has shown, by number."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {line["frame"]: line["sha256"] for line in lines}


def pictures(path: Path) -> dict[int, np.ndarray]:
    """The same with the pixels, uint8 [Y, X, 3]; a frame that was not written to its end is left out."""
    found, data = {}, path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        number, height, width = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + height * width * 3 <= len(data):
            found[number] = np.frombuffer(data, np.uint8, height * width * 3, at).reshape(height, width, 3)
        at += height * width * 3
    return found


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    """How alike two pictures are."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _write_pixels(file: BinaryIO, number: int, pixels: np.ndarray) -> None:
    file.write(_HEAD.pack(number, *pixels.shape[:2]) + pixels.tobytes())


def _write_digest(file: BinaryIO, number: int, pixels: np.ndarray) -> None:
    line = json.dumps({"frame": number, "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()})
    file.write(line.encode() + b"\n")
    file.flush()


def _write_down(path: Path) -> None:
    """Let every model of this process write down the frames that are taken from it to be shown."""
    plain: Callable[[LiveModel, Any], np.ndarray] = LiveModel.pixels
    write = _write_pixels if path.suffix == ".rgb" else _write_digest
    file = path.open("wb")

    def pixels(model: LiveModel, mark: Any) -> np.ndarray:
        found = plain(model, mark)
        write(file, mark.number, found)
        return found

    LiveModel.pixels = pixels  # type: ignore[method-assign]


if __name__ == "__main__":
    _write_down(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
