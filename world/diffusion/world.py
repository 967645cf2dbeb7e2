"""A world made of a causal diffusion transformer, a text encoder and a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from world.diffusion.model import DiffusionModel
from world.diffusion.session import DiffusionSession
from world.dit.fast import FastDiT
from world.event import Prompt, Rebuild
from world.switch_state import SPARE


@dataclass(frozen=True)
class DiffusionWorld(DiffusionModel):
    """Implements world.block.World: a model that streams can be begun with."""

    def session(self, seed: int, prompt: str, spare: int = SPARE) -> DiffusionSession:
        """A new stream that begins with `prompt`; its newest `spare` blocks can be taken back."""
        return DiffusionSession(self, seed, prompt, spare)

    def prepare(self, tell: Callable[[str], None] = lambda told: None) -> None:
        """Let a fast model compile and capture what a show should not wait for: every kind of pass, and the decoder.

        It takes a few blocks' time; up to a minute more where layers are compiled for the first time on a machine.
        tell: called with how far it is.
        """
        if not isinstance(self.dit, FastDiT):
            return
        tell("compiling the model for this machine, which takes up to a minute the first time ...")
        session, state = self.session(0, self.info.showpiece), self.decoder.start()
        first, other = self.info.showpiece, next(iter(self.info.examples), "a")
        words = (*[first] * (self.config.cache.blocks + 1), other, other, first)
        for number, prompt in enumerate(words):
            tell(f"warming the model up, {number} of {len(words)} blocks ...")
            _, state = self.decoder.decode(state, session.step([Prompt(prompt)]).latents)
        session.step([Rebuild()])
