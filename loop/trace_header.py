"""The first line of the trace: what the show was played with."""

from __future__ import annotations

from typing import Any

from loop.screen.display_dials import DISPLAY_DIALS
from loop.supervise.model import Model
from loop.timing.clock import TICK_HZ, FixedStep
from world.info import WorldInfo


def trace_header(model: Model, info: WorldInfo, ticks: FixedStep) -> dict[str, Any]:
    """The fields of the header (design, section 9) for the open world `info`. `ticks` says when tick 0 was."""
    options = model.options
    world = {"world": info.name, "seed": options.seed, "prompt": model.words, "fps": info.fps}
    world |= {"block_frames": info.block_frames, "picture": list(info.picture), "tick_hz": TICK_HZ}
    world["tick_zero_ns"] = ticks.start_ns
    for name, dials in (("dials", info.dials), ("display_dials", DISPLAY_DIALS)):
        world[name] = {dial: [limits.low, limits.high] for dial, limits in dials.items()}
    setting = {"device": options.world.device, "threads": options.world.threads, "reserve": options.reserve}
    return {"format": 1, **world, **setting, "switch": options.mode, "versions": model.versions}
