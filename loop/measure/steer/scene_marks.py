"""What a switch named and what it did not, as a reader of the storybook's scenes sees them before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from loop.cli.usage import UsageError
from loop.measure.steer.streams import SteeredSwitch
from loop.measure.steer.switches import PromptSwitch, tells_stories
from world.compact.cpu_decoder import CpuDecoder
from world.compact.decoder import PictureDecoder
from world.diffusion.world import DiffusionWorld
from world.train.marks.judge import read_attributes
from world.train.story.form import TALE
from world.train.story.reader import SceneReader, load_reader
from world.train.tale.words import ATTRIBUTES, VALUES, SceneWords, named_values, scene_after

_READER = "reader.safetensors"  # as training writes it, beside the world


@dataclass(frozen=True)
class SceneMarks:
    """For one switch in one mode. named: whether each attribute that it named is shown as asked; stayed: whether each
    of the others is as it was before. seen: every attribute as it was read."""

    named: dict[str, bool]
    stayed: dict[str, bool]
    seen: SceneWords


class SceneMarker:
    """Reads the scenes of a world that tells stories."""

    def __init__(self, world: DiffusionWorld, reader: SceneReader) -> None:
        assert isinstance(world.decoder, PictureDecoder | CpuDecoder)  # every compact world has one of them
        self._reader, self._linear, self._device = reader.to(world.device), world.decoder.linear, world.device

    def marks(self, made: SteeredSwitch, mode: str) -> SceneMarks:
        """The marks at the end of one mode's stretch."""
        before, seen = self.read(made.before.newest), self.read(made.after[mode].newest)
        return compared(made.switch, before, seen)

    def read(self, latents: np.ndarray) -> SceneWords:
        """What is seen in the two newest latent frames [1, 2, C, h, w]."""
        pair = torch.from_numpy(latents).float().to(self._device)
        numbers = read_attributes(self._reader, self._linear, pair)[0].tolist()
        return {name: VALUES[name][number] for name, number in zip(ATTRIBUTES, numbers, strict=True)}


def compared(switch: PromptSwitch, before: SceneWords, seen: SceneWords) -> SceneMarks:
    """Marks from what was read before a switch and after it. A colour counts only where there is a subject."""
    old = scene_after(switch.before)
    asked, named = scene_after(switch.after, old), set(named_values(switch.after))
    visible = [name for name in ATTRIBUTES if name != "colour" or "none" not in (old["subject"], asked["subject"])]
    right = {name: seen[name] == asked[name] for name in ATTRIBUTES if name in named}
    same = {name: seen[name] == before[name] for name in visible if name not in named and asked[name] == old[name]}
    return SceneMarks(right, same, seen)


def scene_marker(world: DiffusionWorld, name: str, reader: Path | None) -> SceneMarker | None:
    """Reads with `reader`, or the one beside the world's file; None where there is none.

    Raises UsageError if `reader` is not for this world, and WorldError if it cannot be read.
    """
    g = TALE.geometry
    fits = tells_stories(world.info) and world.config.latents.shape(2)[2:] == (g.channels, g.rows, g.columns)
    if reader is not None and not fits:
        raise UsageError(f"--reader reads the scenes of storybook worlds: {world.info.name!r} is none")
    found = reader or Path(name).with_name(_READER)
    return SceneMarker(world, load_reader(found)) if fits and found.is_file() else None
