"""Everything a show writes down: the ledger, the trace, the recording. Nothing here holds up a tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loop.link.message import BlockDone, Died, Fault
from loop.output.ledger import Ledger
from loop.output.recorder import Recorder
from loop.output.trace import Trace
from world.info import WorldInfo


class Outputs:
    """The ledger and the files of a show. Owned by the engine.

    now_ns: the clock of the lines that have no other time.
    """

    def __init__(self, trace: Trace, recorder: Recorder | None, now_ns: Callable[[], int]) -> None:
        self.recorder = recorder
        self.ledger = Ledger(trace, now_ns)
        self._trace, self._now_ns = trace, now_ns

    def header(self, fields: dict[str, Any]) -> None:
        """Write the trace's first line."""
        self._trace.put("header", **fields, t_ns=self._now_ns())

    def flip(self, line: dict[str, Any]) -> None:
        """Write the line of a tick that showed something."""
        self._trace.put("flip", **line)

    def block(self, done: BlockDone) -> None:
        """Write the line of a finished block."""
        facts, times = done.facts, {"t_begin_ns": done.t_begin_ns, "t_end_ns": done.t_end_ns}
        switch = {"switch": facts.seen is not None, "cut": facts.cut, "seen": facts.seen, "recache_ns": done.recache_ns}
        more = {"abandoned": facts.abandoned} | ({"dials": facts.dials} if facts.dials else {})
        self._trace.put("block", block=facts.index, start=facts.start, **times, **switch, **more)

    def fault(self, message: Died | Fault) -> None:
        """Write that the model's process failed or died."""
        what = "the model's process died" if isinstance(message, Died) else message.what
        self._trace.put("fault", what=what, t_ns=self._now_ns())

    def record(self, pixels: np.ndarray, t_ns: int, info: WorldInfo, blackout: bool) -> None:
        """Record a picture that differs from the one before: uint8 [Y, X, 3], as shown but without the overlay."""
        if self.recorder:
            self.recorder.add(np.zeros_like(pixels) if blackout else pixels, t_ns, info.fps)

    def close(self) -> None:
        """Finish the files; raises what the recorder's thread raised."""
        self._trace.close()
        if self.recorder:
            self.recorder.close()
