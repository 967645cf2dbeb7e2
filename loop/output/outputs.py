"""Everything a show writes down: the ledger, the trace, the recording. Nothing here holds up a tick."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from loop.link.message import BlockDone, Died
from loop.output.ledger import Ledger
from loop.output.recorder import Recorder
from loop.output.trace import Trace
from world.info import WorldInfo


class Outputs:
    """Owned by the engine."""

    def __init__(self, trace: Path | None, record: Path | None) -> None:
        self._trace = Trace(trace)
        self.recorder = Recorder(record) if record else None
        self.ledger = Ledger(self._trace)

    def header(self, fields: dict[str, Any]) -> None:
        """The trace's first line."""
        self._trace.put("header", **fields, t_ns=time.perf_counter_ns())

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
