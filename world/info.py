"""What everybody may know of a world without opening it: sizes, rates, dials. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field


class WorldError(ValueError):
    """A world cannot be opened or used as asked; the message is one line for the user."""


@dataclass(frozen=True)
class DialRange:
    """A world dial: its limits and where it rests."""

    low: float = -1.0
    high: float = 1.0
    rest: float = 0.0


@dataclass(frozen=True)
class WorldInfo:
    """The public face of an open world.

    `block_frames` is the number of pixel frames of a block once the stream runs (the first may hold fewer);
    `picture` is (width, height) in pixels; `memory_blocks` is how many past blocks of latents are needed to go on
    from them (window and decoder), so this many are kept for recovery.
    """

    name: str
    fps: float
    block_frames: int
    picture: tuple[int, int]
    showpiece: str
    memory_blocks: int
    dials: dict[str, DialRange] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()  # the words that mean something; empty: any do
    silent: tuple[str, ...] = ()  # words that mean nothing and are not strangers either

    @property
    def block_s(self) -> float:
        """Seconds that one block plays."""
        return self.block_frames / self.fps
