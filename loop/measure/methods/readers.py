"""What can be read in a picture of what its words asked for: in the bundled worlds and those trained like them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from loop.measure.steer.scene_marks import SceneMarker, compared, scene_marker
from loop.measure.steer.switches import PromptSwitch
from world.block import Decoder
from world.compact.small import SMALL
from world.diffusion.world import DiffusionWorld
from world.train.data.captions import COLOURS, SCENES, Look, look_of
from world.train.data.motion import measure_motion
from world.train.judge.scores import nearest_colours
from world.train.tale.words import named_values

NEWEST = 3  # latent frames that are read; the first of them helps to draw the second
Seen = dict[str, str]  # by attribute


class WordReader(Protocol):
    """Reads pictures. texts: what their stream was asked for so far, oldest first; what the last named counts."""

    def read(self, latents: np.ndarray, texts: Sequence[str]) -> Seen:
        """What is seen in the NEWEST latent frames [1, NEWEST, C, h, w]."""

    def named(self, texts: Sequence[str], seen: Seen) -> list[bool]:
        """Of each attribute that the last text named, whether it is seen as asked."""

    def stayed(self, texts: Sequence[str], before: Seen, seen: Seen) -> list[bool]:
        """Of each attribute that the last text left as it was, whether it is seen as before."""


class StoryReader:
    """Reads a storybook's scenes with a trained reader."""

    def __init__(self, marker: SceneMarker) -> None:
        self._marker = marker

    def read(self, latents: np.ndarray, texts: Sequence[str]) -> Seen:
        return self._marker.read(latents[:, -2:])

    def named(self, texts: Sequence[str], seen: Seen) -> list[bool]:
        return [seen[name] == value for name, value in named_values(texts[-1]).items()]

    def stayed(self, texts: Sequence[str], before: Seen, seen: Seen) -> list[bool]:
        return list(compared(PromptSwitch(*texts[-2:]), before, seen).stayed.values())


class PatternReader:
    """Reads colour and direction of the patterns of `small` in pixels; no network, and the kind of pattern not."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def read(self, latents: np.ndarray, texts: Sequence[str]) -> Seen:
        _, state = self._decoder.decode(self._decoder.start(), latents[:, :1])
        pictures, _ = self._decoder.decode(state, latents[:, 1:])
        frames = torch.from_numpy(pictures).permute(0, 3, 1, 2).unsqueeze(0) / 127.5 - 1
        return {"colour": nearest_colours(frames)[0], "direction": measure_motion(frames[0], _looks(texts)[-1])[0]}

    def named(self, texts: Sequence[str], seen: Seen) -> list[bool]:
        asked, told = vars(_looks(texts)[-1]), _named(texts[-1])
        return [seen[name] == asked[name] for name in seen if name in told]

    def stayed(self, texts: Sequence[str], before: Seen, seen: Seen) -> list[bool]:
        old, asked = (vars(look) for look in _looks(texts)[-2:])
        told = _named(texts[-1])
        return [seen[name] == before[name] for name in seen if name not in told and old[name] == asked[name]]


def _looks(texts: Sequence[str]) -> list[Look]:
    """What each text asks for after those before it."""
    looks: list[Look] = []
    for text in texts:
        looks.append(look_of(text, looks[-1] if looks else None))
    return looks


def _named(text: str) -> set[str]:
    """The attributes that a text names."""
    concepts = SMALL.language.concepts(text)
    directions = {direction for known in SCENES.values() for direction in known}
    kinds = {"colour": set(COLOURS), "direction": directions}
    return {name for name, values in kinds.items() if values & set(concepts)}


def word_reader(world: DiffusionWorld, name: str, reader: Path | None) -> WordReader | None:
    """What reads this world's pictures; None where nothing does, as without a storybook's reader.

    Raises UsageError if `reader` is not for this world, and WorldError if it cannot be read.
    """
    marker = scene_marker(world, name, reader)
    if marker:
        return StoryReader(marker)
    g, knows = SMALL.geometry, {*COLOURS, *SCENES} <= set(world.info.vocabulary)
    fits = knows and world.config.latents.shape(1)[2:] == (g.channels, g.rows, g.columns)
    return PatternReader(world.decoder) if fits else None
