"""The engine on its screen without a model: what its own loop takes, to compare with. `python -m loop.bare OPTIONS`.

It takes the options of `play`. Frames of one picture come at the test card's rate, out of no ring and no process, and
an event is in the very next one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from input.script import Script, read_script
from loop.cli.options import parse, world_options
from loop.link.message import Stage, Taken
from loop.link.ring import FrameMark, Schedule
from loop.play import show
from loop.supervise.live_model import StreamOptions
from loop.timing.clock import TICK_NS
from world.event import Event
from world.info import WorldInfo

PICTURE = (256, 144)


class BareModel:
    """What the engine calls a model, made of nothing. Owned by the engine."""

    def __init__(self, options: StreamOptions) -> None:
        picture = options.world.picture or PICTURE
        self.options, self.mode = options, options.mode
        self.info = WorldInfo("bare", options.world.probe.fps, 1, picture, "nothing", memory_blocks=0)
        self.words = options.prompt or self.info.showpiece
        self.status = self.fault = None
        self.is_switching = False
        self.versions: dict[str, str] = {}
        self.life, self.seen = 1, 0
        self._pixels = np.full((picture[1], picture[0], 3), 96, np.uint8)
        self._told: list[Any] = []
        self._due_ns = 0

    def submit(self, number: int, event: Event, keep: int | None = None) -> None:
        """The next frame shows it."""
        now = time.perf_counter_ns()
        self._told += [Taken(self.seen, (number,), (), now), Stage(number, "uploaded", now)]

    def set_mode(self, mode: str) -> None:
        self.mode = mode

    def can_take_back(self, kept: int) -> bool:
        """A frame is here when it is due: none is ever unseen."""
        return False

    def poll(self) -> list[Any]:
        told, self._told = self._told, []
        return told

    def new_frames(self) -> list[FrameMark]:
        """The next frame, a tick before it is due."""
        now = time.perf_counter_ns()
        if self._due_ns > now + TICK_NS:
            return []
        self.seen += 1
        return [FrameMark(self.seen - 1, self.seen - 1, self.seen - 1, 0, now)]

    def pixels(self, mark: FrameMark) -> np.ndarray:
        """uint8 [Y, X, 3], the same at every call."""
        return self._pixels

    def tell(self, schedule: Schedule | None, oldest: int | None) -> None:
        self._due_ns = schedule.due_ns if schedule else 0

    def close(self) -> None:
        pass


def main(argv: Sequence[str]) -> int:
    """Play nothing, under the options of `play`."""
    options = parse(["play", *argv])
    stream = StreamOptions(world_options(options), 0, options.prompt, options.reserve, options.switch)
    return show(options, BareModel(stream), Script(read_script(options.script)) if options.script else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
