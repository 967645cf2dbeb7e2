"""The engine and its screen without a model, to measure what the loop itself takes.

`python -m loop.measure.shows.bare OPTIONS` takes the options of `play`. One picture is shown again and again at the
test card's rate, without a ring and without a second process, and every event takes effect in the next frame.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from input.script import Script, read_script
from loop.cli.options import parse_command_line
from loop.cli.signals import Interrupted, SignalWatch
from loop.cli.world_options import world_options
from loop.link.kept import Kept
from loop.link.message import Fault, Stage, Taken
from loop.link.ring import FrameMark, Schedule
from loop.play import show
from loop.supervise.live_model import StreamOptions
from loop.timing.clock import TICK_NS
from world.event import Event
from world.info import WorldInfo

PICTURE = (256, 144)


class BareModel:
    """A stand-in for LiveModel that makes one-frame blocks of a grey picture. Owned by the engine."""

    def __init__(self, options: StreamOptions) -> None:
        width, height = options.world.picture or PICTURE
        self.options, self.mode = options, options.mode
        self.info = WorldInfo("bare", options.world.probe.fps, 1, (width, height), "nothing", memory_blocks=0)
        self.words = options.prompt or self.info.showpiece
        self.status: str | None = None
        self.fault: Fault | None = None
        self.is_switching = False
        self.versions: dict[str, str] = {}
        self.life, self.seen = 1, 0
        self._pixels = np.full((height, width, 3), 96, np.uint8)
        self._messages: list[Taken | Stage] = []
        self._due_ns = 0

    def submit(
        self, number: int, event: Event, keep: Kept | None = None, block: int | None = None, leaps: bool = False
    ) -> None:
        """Let the next frame show the event."""
        now = time.perf_counter_ns()
        self._messages += [Taken(self.seen, (number,), (), now), Stage(number, "uploaded", now)]

    def set_mode(self, mode: str) -> None:
        """Keep the switch mode, which has no effect here."""
        self.mode = mode

    def set_transition(self, blocks: int) -> None:
        """There are no words that could come in."""

    def can_take_back(self, kept: Kept) -> bool:
        """Always False: a frame is made when it is due, so none is waiting unseen."""
        return False

    def is_dropped(self, block: int, epoch: int) -> bool:
        return False

    def poll(self) -> list[Taken | Stage]:
        """The messages since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def new_frames(self) -> list[FrameMark]:
        """The next frame, once it is due within a tick."""
        now = time.perf_counter_ns()
        if self._due_ns > now + TICK_NS:
            return []
        self.seen += 1
        return [FrameMark(self.seen - 1, self.seen - 1, self.seen - 1, 0, now)]

    def pixels(self, mark: FrameMark) -> np.ndarray:
        """uint8 [Y, X, 3], the same picture for every mark."""
        return self._pixels

    def tell(self, schedule: Schedule | None, oldest: FrameMark | None) -> None:
        """Note when the next frame is due."""
        self._due_ns = schedule.due_ns if schedule else 0

    def close(self) -> None:
        """Nothing to close."""


def play_bare(argv: Sequence[str]) -> int:
    """Run the engine on a BareModel, with the options of `play`; the exit status."""
    options = parse_command_line(["play", *argv])
    stream = StreamOptions(world_options(options), 0, options.prompt, options.reserve, options.switch)
    return show(options, BareModel(stream), Script(read_script(options.script)) if options.script else None)


if __name__ == "__main__":
    with SignalWatch():
        try:
            sys.exit(play_bare(sys.argv[1:]))
        except Interrupted as interruption:
            sys.exit(interruption.status)
