"""How to open a world: everything `open_world` may be told. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from world.info import WorldError


@dataclass(frozen=True)
class ProbeOptions:
    """The test card's geometry and its made-up costs in milliseconds.

    pace: times real time, in turn for `pace_every_s` of video each: what a block costs follows from it, clean pass
    included, and a recache keeps its cost in proportion. Empty: the costs stay as they are.
    """

    fps: float = 16.0
    frames: int = 4
    block_ms: float = 0.0
    recache_ms: float = 0.0
    busy: bool = False
    pace: tuple[float, ...] = ()
    pace_every_s: float = 10.0

    def __post_init__(self) -> None:
        if not (0 < self.fps <= 240 and 1 <= self.frames <= 64):
            raise WorldError(
                f"probe at {self.fps:g} fps, {self.frames} frames a block: expected 0 < fps <= 240, frames 1 to 64"
            )
        if min(self.block_ms, self.recache_ms) < 0:
            raise WorldError(f"probe costs {self.block_ms:g} and {self.recache_ms:g} ms: expected 0 or more")
        if self.pace and not (min(self.pace) > 0 and self.pace_every_s > 0 and self.block_ms > 0):
            told = f"probe pace {', '.join(f'{pace:g}' for pace in self.pace)} for {self.pace_every_s:g} s each"
            raise WorldError(f"{told}, block {self.block_ms:g} ms: expected all of them above 0")

    def slowness(self, block: int) -> float:
        """What the costs are multiplied by while block number `block` is made."""
        if not self.pace:
            return 1.0
        play_s = self.frames / self.fps
        turn = int(block * play_s / self.pace_every_s) % len(self.pace)
        return play_s * 1e3 / self.pace[turn] / self.block_ms


@dataclass(frozen=True)
class WorldOptions:
    """How to open a world: everything `open_world` may be told.

    positions, decoder, dtype: of a folder of checkpoints; dtype is float32, bfloat16, or what suits the device.
    """

    name: str = "small"
    device: str = "auto"
    threads: int = 1
    picture: tuple[int, int] | None = None
    positions: str = "relative"
    decoder: str = "vae"
    dtype: str | None = None
    probe: ProbeOptions = field(default_factory=ProbeOptions)


def default_threads() -> int:
    """One core is the window's: a model on all of them starves itself and the window."""
    return max(1, (os.cpu_count() or 2) - 1)
