"""The model as the engine uses it: one stream across as many lives of the model's process as it takes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
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
from loop.supervise.supervisor import ModelProcess
from world.block import Snapshot
from world.event import Event, Prompt, Scene
from world.info import WorldInfo
from world.options import WorldOptions

log = logging.getLogger(__name__)
LIVES = 3  # deaths in a row, without a block between them, after which the model is given up


@dataclass(frozen=True)
class StreamOptions:
    """What the stream begins with."""

    world: WorldOptions
    seed: int
    prompt: str | None  # None: the world's showpiece
    reserve: int = 0
    mode: str = "auto"
    transition: int = 1  # blocks over which new words come in


class LiveModel:
    """Starts, feeds and restarts the model's process; keeps what is needed to go on. Owned by the engine.

    info: None until the world is open. status: one line for the screen while there is nothing to show, else None.
    fault: set when the model is given up. life: counts rings; frames of an older life are never handed out again.
    """

    def __init__(self, options: StreamOptions) -> None:
        self.options = options
        self.info: WorldInfo | None = None
        self.versions: dict[str, str] = {}
        self.status: str | None = f"opening the world {options.world.name!r} ..."
        self.fault: Fault | None = None
        self.life = 0
        self.ring: FrameRing | None = None
        self.mode = options.mode
        self.words = options.prompt  # the newest that were asked for
        self._process = ModelProcess(options.world)
        self._pending_ring: FrameRing | None = None
        self._running = False
        self._deaths = 0
        self._last_words: Fault | None = None
        self.seen = 0
        self._newest_block = -1
        self._memory: list[BlockMade] = []
        self._drops: list[int] = []  # for each epoch after the first: the newest block that was kept
        self._unmade: dict[int, tuple[Event, int | None]] = {}  # events, and the block that each was taken for

    @property
    def pid(self) -> int | None:
        """The model process's number."""
        return self._process.pid

    def submit(self, number: int, event: Event, keep: int | None = None) -> None:
        """Hand over an event; it survives a death of the process. keep: take back the blocks after this one for it."""
        if keep is not None:
            self._drops.append(keep)
            self._memory = [made for made in self._memory if made.block.index <= keep]
        if isinstance(event, Prompt | Scene):
            self.words = event.text
        self._unmade[number] = event, None
        if self._running:
            self._process.send(Submit(number, event, keep, len(self._drops)))

    def set_mode(self, mode: str) -> None:
        """Switch prompts this way from now on."""
        self.mode = mode
        if self._running:
            self._process.send(Mode(mode))

    @property
    def is_switching(self) -> bool:
        """Whether words are on their way, so that a recache may be in the making."""
        return any(isinstance(event, Prompt) for event, _ in self._unmade.values())

    def can_take_back(self, kept: int) -> bool:
        """Whether the blocks after `kept` can be forgotten: recent enough, and no hard cut among them."""
        later = [made.block for made in self._memory if made.block.index > kept]
        is_known = any(made.block.index == kept for made in self._memory)
        return is_known and len(later) <= self.options.reserve + 1 and all(block.start for block in later)

    def poll(self) -> list[Any]:
        """Work off what the process said; returns the messages that concern the ledger."""
        told = self._process.receive()
        for message in told:
            self._hear(message)
        return [m for m in told if isinstance(m, Stage | Taken | BlockMade | BlockDone | Died | Fault)]

    def new_frames(self) -> list[FrameMark]:
        """Frames that have come into the ring since the last call."""
        if self.ring is None:
            return []
        marks = [self.ring.mark(ordinal) for ordinal in range(self.seen, self.ring.written)]
        self.seen += len(marks)
        self._newest_block = max([self._newest_block, *(mark.block for mark in marks)])
        return [mark for mark in marks if not self._is_dropped(mark.block, mark.epoch)]

    def pixels(self, mark: FrameMark) -> np.ndarray:
        """The frame's pixels, uint8 [Y, X, 3]: a view until `tell`."""
        return self.ring.slot(mark.ordinal)

    def tell(self, schedule: Schedule | None, oldest: int | None) -> None:
        """What is due when, for the start of the next block; slots before frame `oldest` may be filled again."""
        if self.ring is None:
            return
        self.ring.release(self.seen if oldest is None else oldest)
        if schedule is not None:
            self.ring.set_schedule(schedule)

    def close(self) -> None:
        """End the process and give back the rings."""
        self._process.close()
        for ring in (self.ring, self._pending_ring):
            if ring is not None:
                ring.close()
        self.ring = self._pending_ring = None

    # -- what the process says --

    def _hear(self, message: Any) -> None:
        if isinstance(message, Opened):
            self._begin(message)
        elif isinstance(message, Started):
            self._started()
        elif isinstance(message, Taken):
            self._taken(message)
        elif isinstance(message, BlockMade):
            self._keep(message)
        elif isinstance(message, Fault):
            self._last_words = message
        elif isinstance(message, Died):
            self._died()

    def _begin(self, opened: Opened) -> None:
        """The world is open: give its session a ring to write to."""
        info = self.info = opened.info
        self.versions = opened.versions
        self.words = self.words or info.showpiece
        slots = info.block_frames * (3 + self.options.reserve) + 2
        self._pending_ring = FrameRing.create(slots, info.picture)
        self.status = self.status if self._memory else f"warming up {info.name!r} ..."
        options = self.options
        setting = (options.seed, self.words, options.reserve, self.mode, options.transition, len(self._drops))
        start = Start(self._pending_ring.name, slots, *setting, self._snapshot())
        self._process.send(start)

    def _started(self) -> None:
        """The ring is attached: forget its name, so that no crash can leave it behind, and let events through."""
        self._pending_ring.unlink()
        if self.ring is not None:
            self.ring.close()
        self.ring, self._pending_ring = self._pending_ring, None
        self.life += 1
        self.seen, self._running = 0, True
        self._unmade = {number: (event, None) for number, (event, _) in self._unmade.items()}
        for number, (event, _) in self._unmade.items():
            self._process.send(Submit(number, event, None, len(self._drops)))
        if self._memory and self._memory[-1].conditions.words != self.words:
            self._process.send(Submit(NOBODY, Prompt(self.words)))  # a transition was under way

    def _taken(self, taken: Taken) -> None:
        """Events are kept until their block is made, since the process may die before."""
        for number in taken.replaced:
            self._unmade.pop(number, None)
        for number in taken.applied:
            if number in self._unmade:
                self._unmade[number] = self._unmade[number][0], taken.block

    def _keep(self, made: BlockMade) -> None:
        """Remember the newest blocks, back to the last hard cut at most."""
        self.status, self._deaths = None, 0
        self._unmade = {n: e for n, e in self._unmade.items() if e[1] is None or e[1] > made.block.index}
        if self._is_dropped(made.block.index, made.epoch):
            return
        self._memory = [*self._memory, made][-(self.info.memory_blocks + self.options.reserve + 2) :]

    def _is_dropped(self, block: int, epoch: int) -> bool:
        return any(block > kept for kept in self._drops[epoch:])

    def _snapshot(self) -> Snapshot | None:
        """Where to go on; the numbers of blocks that were seen or lost are not used again."""
        if not self._memory:
            return None
        last, conditions = self._memory[-1].block, self._memory[-1].conditions
        since = max((i for i, made in enumerate(self._memory) if made.block.start == 0), default=0)
        blocks = tuple(made.block for made in self._memory[since:])
        index = max(self._newest_block, last.index) + 1
        return Snapshot(
            conditions.seed, index, last.start + last.latents.shape[1], conditions.words, conditions.dials, blocks
        )

    def _died(self) -> None:
        """Start over from the last block, unless that has proved useless."""
        self._running = False
        self._deaths += 1
        fault = self._last_words or Fault("the model's process ended without a word (killed, or out of memory)", False)
        if fault.usage or self._deaths >= LIVES:
            self.fault = self.fault or fault
            self.status = f"the model cannot run: {fault.what}"
            return
        log.warning("the model stopped: %s; restarting it", fault.what)
        self.status, self._last_words = "the model stopped: restarting it ...", None
        if self._pending_ring is not None:
            self._pending_ring.unlink()
            self._pending_ring.close()
            self._pending_ring = None
        self._process.close()
        self._process = ModelProcess(self.options.world)
