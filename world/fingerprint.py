"""Which world exactly is opened: two machines with the same fingerprint make the same pixels from the same latents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from world.options import WorldOptions

ASSETS = Path(__file__).parent / "assets"
SAMPLE = 1 << 20  # bytes at either end of a file: a checkpoint of gigabytes is not read as a whole


def fingerprint(options: WorldOptions) -> str:
    """SHA-256, in hex, of the weights (of large files: size and both ends) and of the options that pixels depend on."""
    told = hashlib.sha256(repr((options.picture, options.decoder)).encode())
    if options.name == "probe":
        told.update(repr((options.probe.fps, options.probe.frames)).encode())
    for name, path in _files(options.name):
        told.update(f"{name} {path.stat().st_size}".encode())
        with path.open("rb") as file:
            told.update(file.read(SAMPLE))
            if path.stat().st_size > SAMPLE:
                file.seek(-SAMPLE, 2)
                told.update(file.read(SAMPLE))
    return told.hexdigest()


def _files(world: str) -> Iterator[tuple[str, Path]]:
    """The files of a world, each with its name in it; none for one that is made of random weights."""
    path = Path(world)
    if path.is_dir():
        yield from ((file.relative_to(path).as_posix(), file) for file in sorted(path.rglob("*")) if file.is_file())
    for file in (path, ASSETS / f"{world}.safetensors"):
        if file.is_file():
            yield "weights", file
            return
