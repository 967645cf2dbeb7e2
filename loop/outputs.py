"""Everything a show writes down: the ledger, the trace, the recording. Nothing here holds up a tick."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from loop.clock import TICK_HZ, FixedStep
from loop.display_dials import DISPLAY_DIALS
from loop.ledger import Ledger
from loop.message import BlockDone, Died
from loop.model import LiveModel
from loop.record import Recorder
from loop.trace import Trace
from world.info import WorldInfo


class Outputs:
    """Owned by the engine."""

    def __init__(self, trace: Path | None, record: Path | None) -> None:
        self._trace = Trace(trace)
        self.recorder = Recorder(record) if record else None
        self.ledger = Ledger(self._trace)

    def header(self, model: LiveModel, clock: FixedStep) -> None:
        """The trace's first line, once the world is open. `clock` says when tick 0 was."""
        info, options = model.info, model.options
        world = {"world": info.name, "seed": options.seed, "prompt": model.words, "fps": info.fps}
        world |= {"block_frames": info.block_frames, "picture": list(info.picture), "tick_hz": TICK_HZ}
        world["tick_zero_ns"] = clock.start_ns
        for name, dials in (("dials", info.dials), ("display_dials", DISPLAY_DIALS)):
            world[name] = {dial: [span.low, span.high] for dial, span in dials.items()}
        setting = {"device": options.world.device, "threads": options.world.threads, "reserve": options.reserve}
        setting["switch"] = options.mode
        self._trace.put("header", format=1, **world, **setting, versions=model.versions, t_ns=time.perf_counter_ns())

    def flip(self, line: dict[str, Any]) -> None:
        """One shown tick."""
        self._trace.put("flip", **line)

    def block(self, done: BlockDone) -> None:
        """One finished block."""
        facts, times = done.facts, {"t_begin_ns": done.t_begin_ns, "t_end_ns": done.t_end_ns}
        switch = {"switch": facts.seen is not None, "cut": facts.cut, "seen": facts.seen, "recache_ns": done.recache_ns}
        more = {"left": facts.left} | ({"dials": facts.dials} if facts.dials else {})
        self._trace.put("block", block=facts.index, start=facts.start, **times, **switch, **more)

    def fault(self, message: Any) -> None:
        """The model's process failed or died."""
        what = "the model's process died" if isinstance(message, Died) else message.what
        self._trace.put("fault", what=what, t_ns=time.perf_counter_ns())

    def record(self, pixels: np.ndarray, t_ns: int, info: WorldInfo, blackout: bool) -> None:
        """Another picture than before was shown: uint8 [Y, X, 3], as it was shown but without what lies over it."""
        if self.recorder:
            self.recorder.add(np.zeros_like(pixels) if blackout else pixels, t_ns, info.fps)

    def close(self) -> None:
        """Finish the files; raises what the recorder ran into."""
        self._trace.close()
        if self.recorder:
            self.recorder.close()
