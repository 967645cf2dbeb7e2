"""What an open world says of itself: sizes, rates, dials, words. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field


class WorldError(ValueError):
    """A world cannot be opened or used as asked; the message is one line for the user."""


@dataclass(frozen=True)
class DialRange:
    """The limits of a world dial, and the value it has until somebody turns it."""

    low: float = -1.0
    high: float = 1.0
    rest: float = 0.0


@dataclass(frozen=True)
class WorldInfo:
    """Everything the rest of the engine knows of a world.

    fps: frames a second of its video. picture: width and height in pixels. showpiece: a prompt to begin with.
    block_frames: pixel frames of a block once the stream runs; the first block may hold fewer.
    memory_blocks: past blocks whose latents must be kept, so that the window and the decoder can be rebuilt from them.
    vocabulary: the words that mean something to this world; empty if any word may.
    silent: words like `the` that mean nothing here and are no reason for a remark.
    """

    name: str
    fps: float
    block_frames: int
    picture: tuple[int, int]
    showpiece: str
    memory_blocks: int
    dials: dict[str, DialRange] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def block_s(self) -> float:
        """Seconds of video in one block."""
        return self.block_frames / self.fps
