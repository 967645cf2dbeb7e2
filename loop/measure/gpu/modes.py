"""The world in one way of running: what its stages and switches cost, and how far it is from the exact way."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loop.measure.gpu.blocks import TimedStream, gather_times
from loop.measure.gpu.setting import GpuSetting
from loop.measure.report import Spread
from world.block import Block, Snapshot
from world.diffusion.world import DiffusionWorld
from world.dit.device import peak_gib, wait
from world.event import Prompt

SEED = 7
STAGES = ("step 1", "step 2", "step 3", "step 4", "latents to the host", "decode", "upload", "clean pass")


def measure_stages(stream: TimedStream, blocks: int) -> dict[str, Any]:
    """Each stage of plain blocks in ms, its share, and the frames a second that follow from the whole."""
    times = gather_times([stream.block() for _ in range(blocks)])
    spreads = {name: Spread.of(values) for name, values in times.items()}
    whole_ms = spreads["block"].p50
    return {
        "ms": spreads,
        "shares": {name: spreads[name].p50 / whole_ms for name in STAGES if name in spreads},
        "FPS": stream.world.info.block_frames / whole_ms * 1e3,
        "GiB at most": peak_gib(stream.world.device),
        "blocks": blocks,
    }


def measure_vae(setting: GpuSetting, stream: TimedStream, decoder: Any) -> dict[str, Any]:
    """`measure_stages` with another decoder, in the same session's world."""
    world = replace(stream.world, decoder=decoder)
    other = TimedStream(world)
    try:
        other.fill()
        return measure_stages(other, max(2, setting.blocks // 3))
    finally:
        other.close()


def measure_switches(stream: TimedStream, switches: int) -> dict[str, Any]:
    """Blocks that begin with a recache: its cost, and the time from the boundary to the first frame in the ring."""
    switched = []
    for number in range(switches):
        stream.block()
        switched.append(stream.block([Prompt(f"other words, number {number}")]))
    times = gather_times(switched)
    spreads = {name: Spread.of(times[name]) for name in ("recache", "first frame", "block")}
    return {"ms": spreads, "switches": switches}


def measure_overlap(stream: TimedStream, switches: int) -> dict[str, Any]:
    """What a recache beside a block costs: two blocks in a row, with and without one beside the first, in turn."""
    session, plain, beside = stream.session, [], []
    for number in range(switches):
        prompt = Prompt(f"words from aside, number {number}")
        session.prepare(prompt)
        plain.append(_two_blocks(stream, None))
        beside.append(_two_blocks(stream, prompt))
    without, with_recache = Spread.of(plain), Spread.of(beside)
    lost_ms = with_recache.p50 - without.p50
    spreads = {"two blocks": without, "two blocks and a recache": with_recache}
    return {"ms": spreads, "lost ms": lost_ms, "lost blocks": lost_ms / (without.p50 / 2), "switches": switches}


def _two_blocks(stream: TimedStream, prompt: Prompt | None) -> float:
    """Milliseconds of two blocks; the second is made under `prompt`, recached beside the first."""
    wait(stream.world.device)
    begun = time.perf_counter()
    stream.block(after_step=(lambda: stream.session.ahead([prompt])) if prompt else None)
    stream.block()
    return (time.perf_counter() - begun) * 1e3


@dataclass(frozen=True)
class ReferenceBlocks:
    """What the exact way makes: the first block of a stream, the stream after some more, and the block that follows."""

    first: Block
    snapshot: Snapshot
    after: Block


def make_reference(world: DiffusionWorld) -> ReferenceBlocks:
    """The blocks that other ways of running are compared with, made by the exact one."""
    words, kept = world.info.showpiece, world.info.memory_blocks
    session = world.session(SEED, words)
    blocks = [session.step() for _ in range(kept + 1)]
    end = blocks[-1].start + blocks[-1].latents.shape[1]
    snapshot = Snapshot(SEED, len(blocks), end, words, {}, tuple(blocks[-kept:]))
    return ReferenceBlocks(blocks[0], snapshot, _after(world, snapshot))


def measure_error(world: DiffusionWorld, reference: ReferenceBlocks) -> dict[str, Any]:
    """The relative error (L2) of latents made of the same noise and words: a first block, and one after the same past.

    The second sees a full window, rebuilt by a recache of the reference's latents.
    """
    first = world.session(SEED, world.info.showpiece).step()
    after = _after(world, reference.snapshot)
    return {
        "first block": relative_error(first.latents, reference.first.latents),
        "full window": relative_error(after.latents, reference.after.latents),
    }


def _after(world: DiffusionWorld, snapshot: Snapshot) -> Block:
    session = world.session(SEED, world.info.showpiece)
    session.resume(snapshot)
    return session.step()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The L2 norm of the difference over that of what was expected."""
    exact = expected.astype(np.float64)
    return float(np.linalg.norm(found.astype(np.float64) - exact) / np.linalg.norm(exact))
