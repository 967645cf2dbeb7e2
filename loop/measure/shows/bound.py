"""The bound that latencies are compared with, made of costs measured on an idle worker in the same run."""

from __future__ import annotations

import random
from argparse import Namespace
from dataclasses import dataclass
from statistics import median

from loop.measure.shows import trial
from loop.measure.trace.analysis import times_by_stage
from loop.measure.trace.recording import MS, Recording
from loop.timing.clock import TICK_NS

IDLE_PROMPTS = 12  # the costs are medians over so many
TICK_MS = TICK_NS / 1e6


@dataclass(frozen=True)
class Bound:
    """The costs, in ms, that make up the median latency of an engine that waits for nothing else.

    pass_rest: what is expected to be left of a pass that the model is at when an event comes; 0 while it rests.
    longest_pass: of a block. all_frames: from a block's begin to its last frame. clean: from then to its end.
    """

    half_block: float
    recache: float
    block: float
    first_decode: float
    tick: float = TICK_MS
    pass_rest: float = 0.0
    longest_pass: float = 0.0
    all_frames: float = 0.0
    clean: float = 0.0

    def of(self, kind: str) -> float:
        """The bound of an engine of whole blocks: half a block to wait for the next boundary, and the work."""
        return self._work(kind) + (0.0 if kind == "display dial" else self.half_block)

    def at_once(self, kind: str) -> float:
        """The bound of an engine that begins the next block at once: the rest of a pass in flight, and the work."""
        return self._work(kind) + (0.0 if kind == "display dial" else self.pass_rest)

    def _work(self, kind: str) -> float:
        """Only a prompt needs a recache, and a display dial needs no model."""
        if kind == "display dial":
            return self.tick
        return self.block + self.first_decode + self.tick + (self.recache if kind == "prompt" else 0)


def measure_idle(options: Namespace) -> tuple[Recording, Bound]:
    """A short show whose worker has nothing else to do, and the bound made of its costs."""
    idle = trial.run_show_with_retry(_idle_show(options))
    return idle, bound_of(idle)


def drain_s(recording: Recording, bound: Bound, reserve: int) -> float:
    """Seconds after an event until all blocks that were queued or in flight at the time have been shown.

    Events that are further apart do not influence each other.
    """
    return 0.1 + (bound.recache + bound.block) / 1e3 + (reserve + 2) * block_play_s(recording)


def block_play_s(recording: Recording) -> float:
    """Seconds that a block plays."""
    return recording.header["block_frames"] / recording.header["fps"]


def _idle_show(options: Namespace) -> trial.Show:
    """One prompt at a time, switched in line, so that nothing runs beside what is timed."""
    times = trial.random_times(random.Random(trial.seed_of(options)), IDLE_PROMPTS, 1.2, 0.5)
    arguments = trial.play_arguments(options, "--switch", "inline")
    return trial.Show(arguments, trial.prompt_script(times), times[-1] + 1.5)


def bound_of(idle: Recording) -> Bound:
    """The bound made of the median stages of `idle`; raises ChildProcessError if no prompt reached the screen."""
    times = times_by_stage(event for event in idle.events if event.kind == "prompt")
    if "recached" not in times:
        raise ChildProcessError("no prompt of the idle run reached the screen: the world is too slow")
    recache, block, decode = (median(times[stage]) for stage in ("recached", "denoised", "decoded"))
    whole = {name: of(idle) for name, of in (("pass_rest", _pass_rest_ms), ("longest_pass", _longest_pass_ms))}
    parts = dict(zip(("all_frames", "clean"), _block_parts_ms(idle), strict=True))
    return Bound(block_play_s(idle) * 500, recache, block, decode, **whole, **parts)


def _longest_pass_ms(idle: Recording) -> float:
    """The longest pass that was planned for, in the median; 0 where the trace says nothing of passes."""
    return float(median([line["pass_ns"] for line in idle.blocks if "pass_ns" in line] or [0]) / MS)


def _pass_rest_ms(idle: Recording) -> float:
    """Half of the longest pass that was planned for, in the share of the time in which the model is at work."""
    blocks = [line for line in idle.blocks if "pass_ns" in line]
    if not blocks:
        return 0.0
    busy_ns = sum(line["t_end_ns"] - line["t_begin_ns"] for line in blocks)
    share = min(1.0, busy_ns / (blocks[-1]["t_end_ns"] - blocks[0]["t_begin_ns"]))
    return share * _longest_pass_ms(idle) / 2


def _block_parts_ms(idle: Recording) -> tuple[float, float]:
    """From a block's begin to its last frame, and from then to its end, in the median of blocks without a recache."""
    lines = [dict(line["passes"]) for line in idle.blocks if "passes" in line and not line["recache_ns"]]
    ends = [(passes["made"], passes["clean"]) for passes in lines if "clean" in passes]
    if not ends:
        return 0.0, 0.0
    return median(made for made, _ in ends), median(clean - made for made, clean in ends)
