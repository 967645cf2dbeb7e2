"""The yardstick of latency, made of costs that are measured on an idle worker."""

from __future__ import annotations

import random
from argparse import Namespace
from dataclasses import dataclass
from statistics import median

from loop.measure import trial
from loop.measure.analysis import times_by_stage
from loop.measure.recording import Recording
from loop.timing.clock import TICK_NS

PROMPTS = 12  # from which the costs are taken
TICK_MS = TICK_NS / 1e6


@dataclass(frozen=True)
class Bound:
    """What an engine of whole blocks takes in the median if only the next boundary is waited for; ms."""

    half_block: float
    recache: float
    block: float
    first_decode: float
    tick: float = TICK_MS

    def of(self, kind: str) -> float:
        """For an event of this kind: only a prompt needs a recache, and a dial of the display needs no model."""
        if kind == "display dial":
            return self.tick
        return self.half_block + self.block + self.first_decode + self.tick + (self.recache if kind == "prompt" else 0)


def measure_idle(options: Namespace) -> tuple[Recording, Bound]:
    """A short show whose worker has nothing else to do, and the bound that follows from it."""
    idle = trial.insist(_idle_show(options))
    return idle, bound_of(idle)


def settle_s(recording: Recording, bound: Bound, reserve: int) -> float:
    """How long after an event nothing of it is left in the queue: the next one then finds a stream at rest."""
    return 0.1 + (bound.recache + bound.block) / 1e3 + (reserve + 2) * play_s(recording)


def play_s(recording: Recording) -> float:
    """Seconds that a block plays."""
    return recording.header["block_frames"] / recording.header["fps"]


def _idle_show(options: Namespace) -> trial.Show:
    """Prompts one at a time, recached in line: nothing else runs beside what is timed."""
    times = trial.moments(random.Random(trial.seed(options)), PROMPTS, 1.2, 0.5)
    return trial.Show(trial.arguments(options, "--switch", "inline"), trial.prompts(times), times[-1] + 1.5)


def bound_of(idle: Recording) -> Bound:
    """The bound from the medians of an idle worker's stages."""
    times = times_by_stage(event for event in idle.events if event.kind == "prompt")
    if "recached" not in times:
        raise ChildProcessError("no prompt of the idle run reached the screen: the world is too slow")
    recache, block, decode = (median(times[stage]) for stage in ("recached", "denoised", "decoded"))
    return Bound(play_s(idle) * 500, recache, block, decode)
