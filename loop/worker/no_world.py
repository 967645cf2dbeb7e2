"""The world of a process that opens none: it draws what another machine makes, and has neither weights nor torch."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from world.info import WorldError, WorldInfo

NO_WORLD = "another machine's world"  # the name to open it by; what it is comes with the session's Start


class NoDecoder:
    """Implements world.block.Decoder as far as there are no latents."""

    memory = 0

    def start(self) -> None:
        """No state."""

    def decode(self, state: Any, latents: np.ndarray) -> NoReturn:
        """Raises WorldError."""
        raise WorldError("latents came, and this machine follows by video: it has no weights to decode them")


class NoWorld:
    """Implements world.block.World."""

    def __init__(self) -> None:
        self.info = WorldInfo(NO_WORLD, fps=1.0, block_frames=1, picture=(2, 2), showpiece="", memory_blocks=0)
        self.decoder = NoDecoder()

    def session(self, seed: int, prompt: str, spare: int = 8) -> NoReturn:
        """Raises WorldError."""
        raise WorldError("this machine follows by video: it has no weights to make blocks with")
