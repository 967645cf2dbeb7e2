"""The model as the engine uses it: one stream, made by a process that is started again whenever it dies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from loop.link.message import (
    NOBODY,
    BlockDone,
    BlockMade,
    Died,
    Fault,
    Mode,
    Opened,
    Stage,
    Start,
    Started,
    Submit,
    Taken,
)
from loop.link.ring import FrameMark, FrameRing, Schedule
from loop.supervise.block_memory import BlockMemory
from loop.supervise.model import StreamOptions
from loop.supervise.supervisor import Process
from world.event import Event, Prompt, Scene
from world.info import WorldInfo
from world.options import WorldOptions

log = logging.getLogger(__name__)
LIVES = 3  # after so many deaths in a row, without a block between them, the model is given up


class LiveModel:
    """A Model that runs in a process: starts it, feeds it, restarts it. Owned by the engine.

    launch(options): starts a process that opens the world. new_ring(slots, picture): makes the ring for its frames.
    """

    def __init__(
        self,
        options: StreamOptions,
        launch: Callable[[WorldOptions], Process],
        new_ring: Callable[[int, tuple[int, int]], FrameRing] = FrameRing.create,
    ) -> None:
        self.options = options
        self.info: WorldInfo | None = None
        self.versions: dict[str, str] = {}
        self.status: str | None = f"opening the world {options.world.name!r} ..."
        self.fault: Fault | None = None
        self.life = 0
        self.seen = 0
        self.mode = options.mode
        self.words = options.prompt
        self._launch, self._new_ring = launch, new_ring
        self._process = launch(options.world)
        self._heard = 0  # messages of this process
        self._ring: FrameRing | None = None
        self._next_ring: FrameRing | None = None  # made for a process that has not attached to it yet
        self._running = False
        self._opened: Opened | None = None  # until a session is begun
        self._opening: tuple[int, ...] = ()  # events that the session was begun with
        self._deaths = 0  # since the last block
        self._last_words: Fault | None = None
        self._newest_seen = -1
        self._memory = BlockMemory(options.reserve)
        self._unmade: dict[int, tuple[Event, int | None]] = {}  # events, and the block that each was taken for

    def submit(self, number: int, event: Event, keep: int | None = None) -> None:
        """Hand over an event; it survives a death of the process. keep: drop the blocks after this one for it."""
        if keep is not None:
            self._memory.drop_after(keep)
        if isinstance(event, Prompt | Scene):
            self.words = event.text
        self._unmade[number] = event, None
        if self._running:
            self._process.send(Submit(number, event, keep, self._memory.epoch))

    def set_mode(self, mode: str) -> None:
        """Switch prompts in this way from now on."""
        self.mode = mode
        if self._running:
            self._process.send(Mode(mode))

    @property
    def is_switching(self) -> bool:
        """Whether a prompt was submitted under which no block has been made yet."""
        return any(isinstance(event, Prompt) for event, _ in self._unmade.values())

    def can_take_back(self, kept: int) -> bool:
        """Whether the blocks after `kept` can be dropped and made anew, and no hard cut is on its way between them."""
        has_cut = any(isinstance(event, Scene) for event, _ in self._unmade.values())
        return not has_cut and self._memory.can_drop_after(kept)

    def poll(self) -> list[Any]:
        """Act on what the process said; returns the messages that concern the engine."""
        if self._opened is not None:
            self._begin(self._opened)
        messages = self._process.receive()
        for message in messages:
            self._hear(message)
        return [m for m in messages if isinstance(m, Stage | Taken | BlockMade | BlockDone | Died | Fault)]

    def new_frames(self) -> list[FrameMark]:
        """The frames that have come since the last call and were not dropped.

        A frame that was published after messages that are still in the pipe waits for them: they say what it shows.
        """
        found = []
        while self._ring is not None and self.seen < self._ring.written:
            mark = self._ring.mark(self.seen)
            if mark.messages > self._heard:
                break
            self.seen += 1
            self._newest_seen = max(self._newest_seen, mark.block)
            if not self._memory.is_dropped(mark.block, mark.epoch):
                found.append(mark)
        return found

    def pixels(self, mark: FrameMark) -> np.ndarray:
        """The frame's pixels, uint8 [Y, X, 3]: a view that is valid until `tell`."""
        assert self._ring is not None, "a mark comes out of a ring"
        return self._ring.slot(mark.ordinal)

    def tell(self, schedule: Schedule | None, oldest: int | None) -> None:
        """Tell the process which frame is due when; slots before frame `oldest` may be filled again (None: all)."""
        if self._ring is None:
            return
        self._ring.release(self.seen if oldest is None else oldest)
        if schedule is not None:
            self._ring.set_schedule(schedule)

    def close(self) -> None:
        """End the process and give back the rings."""
        self._process.close()
        self._close_next_ring()
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _hear(self, message: Any) -> None:
        if isinstance(message, Opened):
            self._heard = 0
        self._heard += 1
        if isinstance(message, Opened):
            self._meet(message)
        elif isinstance(message, Started):
            self._go_on()
        elif isinstance(message, Taken):
            self._note_taken(message)
        elif isinstance(message, BlockMade):
            self._remember(message)
        elif isinstance(message, Fault):
            self._last_words = message
        elif isinstance(message, Died):
            self._restart()

    def _meet(self, opened: Opened) -> None:
        """The world is open: begin its session, for the first time with the next poll, so that events can come first.

        Who submits knows only now which dials there are.
        """
        self._opened, self.info, self.versions = opened, opened.info, opened.versions
        self.words = self.words or opened.info.showpiece
        if self.life:
            self._begin(opened)

    def _begin(self, opened: Opened) -> None:
        """Give the session a ring to write to, and a place to go on from or the events to begin with."""
        info, self._opened = opened.info, None
        slots = info.block_frames * (3 + self.options.reserve) + 2
        self._next_ring = self._new_ring(slots, info.picture)
        snapshot = self._memory.snapshot(self._newest_seen)
        self.status = self.status if snapshot else f"warming up {info.name!r} ..."
        options = self.options
        assert self.words is not None, "known since the world was opened"
        opening = () if snapshot else tuple((number, event) for number, (event, _) in self._unmade.items())
        self._opening = tuple(number for number, _ in opening)
        setting = (options.seed, self.words, options.reserve, self.mode, options.transition, self._memory.epoch)
        self._process.send(Start(self._next_ring.name, slots, *setting, snapshot, opening))

    def _go_on(self) -> None:
        """The process has attached to its ring: use that one from now on, and submit what was not made yet."""
        assert self._next_ring is not None and self.words is not None, "the process answers to a Start"
        self._next_ring.unlink()
        if self._ring is not None:
            self._ring.close()
        self._ring, self._next_ring = self._next_ring, None
        self.life += 1
        self.seen, self._running = 0, True
        self._unmade = {number: (event, None) for number, (event, _) in self._unmade.items()}
        for number, (event, _) in self._unmade.items():
            if number not in self._opening:
                self._process.send(Submit(number, event, None, self._memory.epoch))
        conditions = self._memory.conditions
        if conditions is not None and conditions.words != self.words:
            self._process.send(Submit(NOBODY, Prompt(self.words)))  # the rest of a transition

    def _note_taken(self, taken: Taken) -> None:
        """Keep the events until the block that takes them is made, since the process may die before."""
        for number in taken.replaced:
            self._unmade.pop(number, None)
        for number in taken.applied:
            if number in self._unmade:
                self._unmade[number] = self._unmade[number][0], taken.block

    def _remember(self, made: BlockMade) -> None:
        assert self.info is not None, "blocks are made in an open world"
        self.status, self._deaths = None, 0
        self._unmade = {n: e for n, e in self._unmade.items() if e[1] is None or e[1] > made.block.index}
        self._memory.add(made, self.info.memory_blocks)

    def _restart(self) -> None:
        """The process has died: start another one, unless that has proved useless or cannot help."""
        self._running, self._opened = False, None
        self._deaths += 1
        fault = self._last_words or Fault("the model's process ended without a word (killed, or out of memory)", False)
        if fault.usage or self._deaths >= LIVES:
            self.fault = self.fault or fault
            self.status = f"the model cannot run: {fault.what}"
            return
        log.warning("the model stopped: %s; restarting it", fault.what)
        self.status, self._last_words = "the model stopped: restarting it ...", None
        self._close_next_ring()
        self._process.close()
        self._process = self._launch(self.options.world)

    def _close_next_ring(self) -> None:
        if self._next_ring is not None:
            self._next_ring.unlink()
            self._next_ring.close()
            self._next_ring = None
