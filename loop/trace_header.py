"""The first lines of the trace and of the saved session: what the show was played with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from loop.archive.fingerprint import fingerprint
from loop.archive.record import SessionHeader
from loop.screen.display_dials import DISPLAY_DIALS
from loop.supervise.model import Model
from loop.timing.clock import TICK_HZ, FixedStep
from loop.timing.leap import MOST_RATE, MOST_STOLEN_NS, WITHIN_NS
from world.info import WorldInfo
from world.zoo import NAMES, weight_files


def trace_header(model: Model, info: WorldInfo, ticks: FixedStep) -> dict[str, Any]:
    """The fields of the header (design, section 9) for the open world `info`. `ticks` says when tick 0 was."""
    options = model.options
    world = {"world": info.name, "seed": options.seed, "prompt": model.words, "fps": info.fps}
    world |= {"block_frames": info.block_frames, "picture": list(info.picture), "tick_hz": TICK_HZ}
    world |= {"tick_zero_ns": ticks.start_ns, "late_steps": info.late_steps}
    world["cut_from"] = info.cut_from
    for name, dials in (("dials", info.dials), ("display_dials", DISPLAY_DIALS)):
        world[name] = {dial: [limits.low, limits.high] for dial, limits in dials.items()}
    setting = {"device": options.world.device, "threads": options.world.threads, "reserve": options.reserve}
    leap = {"most_ms": MOST_STOLEN_NS / 1e6, "within_ms": WITHIN_NS / 1e6, "most_rate": MOST_RATE}
    return {"format": 1, **world, **setting, "switch": options.mode, "leap": leap, "versions": model.versions}


def session_header(model: Model, info: WorldInfo) -> SessionHeader:
    """The header of the saved session. Files of weights are read for their fingerprint, up to 64 MB of each."""
    world, name = model.options.world, model.options.world.name
    if name not in NAMES and Path(name).exists():
        world = replace(world, name=str(Path(name).absolute()))
    return SessionHeader(
        world=world,
        seed=model.options.seed,
        prompt=model.options.prompt or info.showpiece,
        fps=info.fps,
        block_frames=info.block_frames,
        picture=info.picture,
        memory_blocks=info.memory_blocks,
        versions=model.versions,
        weights=fingerprint(weight_files(name)),
        began=datetime.now().isoformat(timespec="seconds"),
    )
