"""Checkpoints of a training: dicts of tensors, numbers and lists, so that loading one runs no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from world.train.learn.device import default_device


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint in a file, with its tensors on the default device, wherever they were saved from."""
    return torch.load(path, map_location=default_device(), weights_only=True)


def save_checkpoint(path: Path, **state: Any) -> None:
    """Replace a checkpoint as a whole: a process killed meanwhile leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        torch.save(state, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
