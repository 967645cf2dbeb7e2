"""How to open a world: the options as one value that travels between processes. No torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from world.info import MOST_STEPS, WorldError

SPEEDS = ("exact", "fast", "fp8", "int8")
# what the sink keeps of itself; or what a long and a short average beside it do; None: the world's own rule
SinkAverages = float | tuple[float, float] | None
# rules that a world is opened with, as every command explains them
RULE_HELP = {
    "sink": "latent frames that stay in the window for good, and that recalls fill (Deep Forcing's rule, untrained)",
    "steps": "denoising steps of a block, 1 to 8: fewer are faster and coarser (as many as the model was made for)",
    "carry": "latent frames of the window that survive new words; 0: a hard cut (Infinity-RoPE's flush, untrained, and "
    "the frames encoded under the new words; all)",
    "press": "how strongly new words are pressed on for four blocks, 0 to 4, at twice the passes (the world's own)",
}
# where a folder's prompts are encoded: on the GPU with the encoder's weights there, on the GPU with weights that stay
# in host memory and are copied for each prompt, or on the CPU
TEXT_DEVICES = ("cuda", "offload", "cpu")


@dataclass(frozen=True)
class ProbeOptions:
    """The test card's geometry and its made-up costs.

    frames: pixel frames of a block. busy: whether a cost burns the CPU instead of sleeping. latents: latent frames of
        a block, between which it can be cut; 0: one for each pixel frame, and it stays whole.
    pace: speeds as multiples of real time, like (2.0, 0.5). Each holds for `pace_every_s` seconds of video, then the
        next one, round and round. A block (clean pass included) then costs what that speed asks for, and the cost of a
        recache is scaled with it. Empty: the costs stay as given.
    """

    fps: float = 16.0
    frames: int = 4
    block_ms: float = 0.0
    recache_ms: float = 0.0
    busy: bool = False
    pace: tuple[float, ...] = ()
    pace_every_s: float = 10.0
    latents: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.fps <= 240 and 1 <= self.frames <= 64):
            raise WorldError(
                f"probe at {self.fps:g} fps, {self.frames} frames a block: expected 0 < fps <= 240, frames 1 to 64"
            )
        if self.latents < 0 or self.frames % self.latent_frames:
            told = f"{self.latents} latent frames for {self.frames} frames a block"
            raise WorldError(f"probe with {told}: expected a number that divides the frames")
        if min(self.block_ms, self.recache_ms) < 0:
            raise WorldError(f"probe costs {self.block_ms:g} and {self.recache_ms:g} ms: expected 0 or more")
        if self.pace and not (min(self.pace) > 0 and self.pace_every_s > 0 and self.block_ms > 0):
            told = f"probe pace {', '.join(f'{pace:g}' for pace in self.pace)} for {self.pace_every_s:g} s each"
            raise WorldError(f"{told}, block {self.block_ms:g} ms: expected all of them above 0")

    @property
    def latent_frames(self) -> int:
        """The latent frames of a block."""
        return self.latents or self.frames

    def slowness(self, block: int) -> float:
        """The factor that `pace` puts on every cost while block number `block` is made; 1 without a pace."""
        if not self.pace:
            return 1.0
        play_s = self.frames / self.fps
        turn = int(block * play_s / self.pace_every_s) % len(self.pace)
        return play_s * 1e3 / self.pace[turn] / self.block_ms


DEFAULT_WORLD = "tale"


@dataclass(frozen=True)
class WorldOptions:
    """The options of `open_world`, which explains them.

    threads: CPU threads for torch. Opening a world does not apply it, since the whole process has one such number: the
        process that runs the model does (`zoo.open_in_own_process`).
    ranks: processes that make each block together, on a GPU each.
    """

    name: str = DEFAULT_WORLD
    device: str = "auto"
    threads: int = 1
    picture: tuple[int, int] | None = None
    positions: str | None = None
    decoder: str = "vae"
    dtype: str | None = None
    speed: str | None = None
    text_device: str = "auto"
    sink: int | None = None
    ranks: int = 1
    steps: str | None = None
    carry: int | None = None
    press: float | None = None
    sink_ema: SinkAverages = None
    memory_slots: int | None = None
    probe: ProbeOptions = field(default_factory=ProbeOptions)

    def __post_init__(self) -> None:
        step_counts(self.steps)


@dataclass(frozen=True)
class StepCounts:
    """In how many denoising steps the first block of a scene is made, and the later ones; None for the model's own."""

    first: int | None = None
    then: int | None = None


def step_counts(text: str | None) -> StepCounts:
    """What a text like `4`, or `first:4,then:2`, asks for; raises WorldError for another one."""
    if text is None:
        return StepCounts()
    one = f"([1-{MOST_STEPS}])"
    found = re.fullmatch(f"{one}|first:{one}(?:,then:{one})?|then:{one}", text)
    if found is None:
        raise WorldError(f"steps {text!r}: expected 1 to {MOST_STEPS}, or first:4,then:2")
    both, first, second, then = (int(number) if number else None for number in found.groups())
    return StepCounts(first, both or second or then)


def default_threads() -> int:
    """One less than there are cores: a model that uses all of them starves the window, and itself."""
    return max(1, (os.cpu_count() or 2) - 1)
