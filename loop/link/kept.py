"""Up to where a stream is kept when what nobody has seen of it is dropped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    """The newest block that is kept, and how many of its latent frames are; None: all of them."""

    block: int
    latents: int | None = None

    def drops(self, block: int, latent: int = 0) -> bool:
        """Whether latent frame number `latent` of a block, counted from 0, is dropped."""
        if block != self.block or self.latents is None:
            return block > self.block
        return latent >= self.latents

    def at_most(self, other: Kept | None) -> Kept:
        """What is left where this and `other` are dropped after."""
        if other is None or other.block > self.block:
            return self
        if other.block < self.block or self.latents is None:
            return other
        return self if other.latents is None else Kept(self.block, min(self.latents, other.latents))
