"""From checkpoints of the stages to the bundled file."""

from __future__ import annotations

from pathlib import Path

import torch

from world.packed import write
from world.small import SmallWorld


def package(folder: Path, out: Path) -> None:
    """Put the newest transformer (tuned, else base) and the decoder of a training folder into one file."""
    world = SmallWorld()
    newest = next(folder / name for name in ("tuned.pt", "base.pt") if (folder / name).exists())
    world.model.load_state_dict(torch.load(newest)["average"])
    world.decoder.load_state_dict(torch.load(folder / "decoder.pt")["model"])
    write(out, world.state_dict())
