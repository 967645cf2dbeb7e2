"""A world made of a causal diffusion transformer, a text encoder and a decoder."""

from __future__ import annotations

from dataclasses import dataclass

from world.diffusion.model import DiffusionModel
from world.diffusion.session import DiffusionSession
from world.switch_state import SPARE


@dataclass(frozen=True)
class DiffusionWorld(DiffusionModel):
    """Implements world.block.World: a model that streams can be begun with."""

    def session(self, seed: int, prompt: str, spare: int = SPARE) -> DiffusionSession:
        """A new stream that begins with `prompt`; its newest `spare` blocks can be taken back."""
        return DiffusionSession(self, seed, prompt, spare)
