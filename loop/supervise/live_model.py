"""The model as the engine uses it: one stream, made by one process after another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loop.link.kept import Kept
from loop.link.message import (
    BlockDone,
    BlockMade,
    Died,
    DrawStored,
    Fault,
    GoBack,
    Lost,
    Mode,
    Opened,
    Opening,
    Stage,
    Start,
    Started,
    Submit,
    Taken,
    Transition,
    Trouble,
)
from loop.link.ring import FrameMark, FrameRing, Schedule
from loop.supervise.block_memory import BlockMemory
from loop.supervise.lives import ModelLives
from loop.supervise.memory_choice import recall_for
from loop.supervise.model import GoingOn, StreamOptions
from loop.supervise.past import ShowPast
from loop.supervise.requests import StreamRequests
from loop.supervise.supervisor import Process
from loop.timing.clock import Clock
from world.block import Snapshot
from world.boundary import cut_if_loose
from world.event import Event, Prompt, Recall, Rewind, Scene
from world.info import WorldInfo, grip_of
from world.options import WorldOptions

log = logging.getLogger(__name__)
PATIENCE_S = 300.0  # with a process that opens or starts for the first time: a large world takes minutes to load
FRESH = 5  # after so many deaths in a row it may be the blocks to go on from that kill: the stream begins anew
TOLD = (Stage, Taken, BlockMade, BlockDone, Died, Fault, Lost, Trouble)  # messages that concern the engine


@dataclass
class _Reader:
    """A ring, which life of the stream it belongs to, and how many of its frames were handed out or dropped."""

    ring: FrameRing
    life: int
    seen: int = 0


class LiveModel:
    """A Model that runs in a process: feeds it, and goes on in another one whenever it dies or hangs. Owned by the
    engine.

    launch(options): starts a process that opens the world. new_ring(slots, picture): makes the ring for its frames.
    """

    def __init__(
        self,
        options: StreamOptions,
        launch: Callable[[WorldOptions], Process],
        clock: Clock,
        new_ring: Callable[[int, tuple[int, int]], FrameRing] = FrameRing.create,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.options = options
        self.info: WorldInfo | None = None
        self.versions: dict[str, str] = {}
        self.status: str | None = f"opening the world {options.world.name!r} ..."
        self.fault: Fault | None = None
        self.life = 0
        self.mode = options.mode
        self._transition = options.transition
        self._new_ring = new_ring
        self._lives = ModelLives(options.world, launch, options.spare, clock, patience_s)
        self._heard = 0  # messages of this process
        self._readers: list[_Reader] = []  # oldest first: of a process that died, frames may still be queued
        self._next_ring: FrameRing | None = None  # made for a process that has not attached to it yet
        self._opened: Opened | None = None  # until a session is begun in it
        self._deaths = 0  # since the last block
        self._last_words: Fault | None = None
        self._newest_seen = -1
        self._memory = BlockMemory(options.reserve)
        self.past = ShowPast(options.going_on.past if options.going_on else ())
        self._asked = StreamRequests(options.prompt)
        if options.going_on:
            self._go_on(options.going_on)

    @property
    def words(self) -> str | None:
        """The newest words that were asked for, as they were said."""
        return self._asked.words

    @property
    def seen(self) -> int:
        """How many frames of the present ring `new_frames` has handed out or dropped."""
        return self._readers[-1].seen if self._readers else 0

    def submit(
        self, number: int, event: Event, keep: Kept | None = None, block: int | None = None, leaps: bool = False
    ) -> None:
        """Hand over an event; it survives a death of the process. keep: drop what comes after it for the event.

        block: the block that the event is meant for; None: the next. leaps: that one is to be begun at once.
        """
        if keep is not None:
            self._memory.drop_after(keep)
            self.past.cut(keep)
        grip = grip_of(self._asked.dials, self.info.dials) if self.info else 1.0
        event = self._with_memory(cut_if_loose(event, self.words, grip))
        self._asked.note(number, event)
        if self._lives.is_fed:
            self._lives.send(Submit(number, event, keep, self._memory.epoch, block, leaps))

    def set_mode(self, mode: str) -> None:
        """Switch prompts in this way from now on."""
        self.mode = mode
        if self._lives.is_fed:
            self._lives.send(Mode(mode))

    def set_transition(self, blocks: int) -> None:
        """Let the words that are submitted from now on come in over so many blocks."""
        if blocks != self._transition:
            self._transition = blocks
            if self._lives.is_fed:
                self._lives.send(Transition(blocks))

    @property
    def is_switching(self) -> bool:
        """Whether a prompt was submitted under which no block has been made yet."""
        return any(isinstance(event, Prompt | Recall) for event in self._asked.unmade.values())

    def can_take_back(self, kept: Kept) -> bool:
        """Whether what comes after `kept` can be dropped and made anew: a process is there to do it."""
        has_scene = any(isinstance(event, Scene) for event in self._asked.unmade.values())
        cut_from = self.info.cut_from if self.info and self._has_room else None
        return self._lives.is_fed and not has_scene and self._memory.can_drop_after(kept, cut_from)

    @property
    def _has_room(self) -> bool:
        """Whether the ring has room for a block now: what was dropped is in it until what comes before was shown."""
        return self.info is not None and bool(self._readers) and self._readers[-1].ring.free >= self.info.block_frames

    def snapshot(self) -> Snapshot | None:
        """Where the stream is at by its newest block; None before the first."""
        made = self._memory.conditions
        return self._memory.snapshot(-1, self.options.seed, self._asked.whole_words) if made else None

    def is_dropped(self, block: int, epoch: int) -> bool:
        """Whether block number `block`, made in this epoch, was taken back after it was made."""
        return self._memory.is_dropped(block, epoch)

    def rest(self) -> None:
        """Make no blocks until `go_back`; nothing that was made and not handed out will be."""
        self._memory.go_back_to(self._memory.made, self._memory.end)
        self._lives.send(DrawStored((), self._memory.epoch))

    def draw(self, index: int) -> None:
        """Draw a stored block again, its frames last to first."""
        *before, last = (made.block for made in self.past.line(index))
        self._lives.send(DrawStored((*before, last.until(self.past.end(index))), self._memory.epoch))

    def go_back(self, number: int, event: Rewind, words: str | None = None) -> tuple[int, ...]:
        """Go on from the event's block; words: under these, and not under those that were asked for last.

        Returns the numbers of the events that these words leave without effect.
        """
        lost = () if words is None else self._asked.return_to(words)
        self._asked.anew()
        self._asked.note(number, event)
        self._memory.go_back_to(self.past.line(event.block), self.past.end(event.block))
        snapshot = self._memory.snapshot(self._newest_seen, self.options.seed, self._asked.whole_words)
        if self._lives.is_fed and snapshot:
            self._lives.send(GoBack(snapshot, self._to_submit(), self._memory.epoch))
        return lost

    def poll(self) -> list[Any]:
        """Act on what the process said; returns the messages that concern the engine."""
        if self._opened is not None:
            self._begin(self._opened)
        messages = [] if self.fault else self._lives.receive()
        for message in messages:
            self._hear(message)
        return [message for message in messages if isinstance(message, TOLD)]

    def new_frames(self) -> list[FrameMark]:
        """The frames that have come since the last call and were not dropped.

        A frame that was published after messages that are still in the pipe waits for them: they say what it shows.
        """
        found = []
        for reader in self._readers:
            while reader.seen < reader.ring.written:
                mark = replace(reader.ring.mark(reader.seen), life=reader.life)
                if reader.life == self.life and mark.messages > self._heard:
                    break
                reader.seen += 1
                self._newest_seen = max(self._newest_seen, mark.block)
                if not self._memory.is_dropped(mark.block, mark.epoch, mark.latent):
                    found.append(mark)
        return found

    def pixels(self, mark: FrameMark) -> np.ndarray:
        """The frame's pixels, uint8 [Y, X, 3]: a view that is valid until `tell`."""
        reader = next(reader for reader in self._readers if reader.life == mark.life)
        return reader.ring.slot(mark.ordinal)

    def tell(self, schedule: Schedule | None, oldest: FrameMark | None) -> None:
        """Tell the process which frame is due when; slots before frame `oldest` may be filled again (None: all)."""
        kept = 1 if self._lives.is_fed else 0  # a dead process's ring makes room for the next one once it is empty
        while len(self._readers) > kept and (oldest is None or oldest.life > self._readers[0].life):
            self._readers.pop(0).ring.close()
        if not self._readers:
            return
        reader = self._readers[-1]
        if oldest is None or oldest.life == reader.life:  # else no frame of this ring was shown yet
            reader.ring.release(oldest.ordinal if oldest else reader.seen, self._memory.epoch)
        if schedule is not None:
            reader.ring.set_schedule(schedule)

    def close(self) -> None:
        """End the process and give back the rings."""
        self._lives.close()
        self._close_next_ring()
        while self._readers:
            self._readers.pop().ring.close()

    def _hear(self, message: Any) -> None:
        if isinstance(message, Opening):
            self.status = message.what
            return
        if isinstance(message, Opened):
            self._heard = 0
        self._heard += 1
        if isinstance(message, Opened):
            self._meet(message)
        elif isinstance(message, Started):
            self._attach()
        elif isinstance(message, Taken):
            self._asked.taken(message)
        elif isinstance(message, Lost):
            self._asked.forget(message.numbers)
        elif isinstance(message, BlockMade):
            self._remember(message)
        elif isinstance(message, BlockDone):
            self._lives.running(message.t_end_ns - message.t_begin_ns)
        elif isinstance(message, Fault):
            self._last_words = message
        elif isinstance(message, Died):
            self._restart()

    def _meet(self, opened: Opened) -> None:
        """The world is open: begin its session, for the first time with the next poll, so that events can come first.

        Who submits knows only now which dials there are.
        """
        self._opened, self.info, self.versions = opened, opened.info, opened.versions
        self._asked.begin_under(opened.info.showpiece)
        self.past.memory_blocks = opened.info.memory_blocks
        if self.options.going_on and not self.life:
            self._asked.dials = {**self._at_rest(opened.info), **self._asked.dials}
        if self.life:
            self._begin(opened)

    def _begin(self, opened: Opened) -> None:
        """Give the session a ring to write to, a place to go on from, and what is not made yet."""
        info, self._opened = opened.info, None
        slots = info.block_frames * (3 + self.options.reserve) + 2
        self._next_ring = self._new_ring(slots, info.picture)
        first_words = self.options.prompt or info.showpiece
        self.status = self.status if self._memory.conditions else f"warming up {info.name!r} ..."
        options = self.options
        snapshot = self._memory.snapshot(self._newest_seen, options.seed, self._asked.whole_words)
        setting = (options.seed, first_words, options.reserve, self.mode, self._transition, self._memory.epoch)
        self._asked.anew()
        start = Start(
            self._next_ring.name, slots, info.picture, *setting, snapshot, self._to_submit(), brakes=options.brakes
        )
        self._lives.start(self._session(start))

    def _session(self, start: Start) -> Start:
        """The session that the process is to begin: this one."""
        return start

    def _to_submit(self) -> tuple[Submit, ...]:
        """What the next block is to be made under."""
        known = self._asked.dials.items()
        dials = {name: value for name, value in known if self.info is None or name in self.info.dials}
        return self._asked.to_submit(self._memory.conditions, self._memory.epoch, dials, bool(self.options.brakes))

    def _go_on(self, earlier: GoingOn) -> None:
        """Begin where an earlier show was."""
        self._memory.recall(earlier.made)
        self._newest_seen = earlier.newest
        self._asked = StreamRequests(earlier.words)
        self._asked.dials = dict(earlier.dials)

    def _at_rest(self, info: WorldInfo) -> dict[str, float]:
        """The dials that the newest block was made under, as they are until somebody turns them."""
        in_force = self._memory.conditions.dials if self._memory.conditions else {}
        return {name: info.dials[name].rest for name in in_force if name in info.dials}

    def _attach(self) -> None:
        """The process has attached to its ring: frames come out of that one from now on."""
        assert self._next_ring is not None, "the process answers to a Start"
        self._next_ring.unlink()
        self.life += 1
        self._readers.append(_Reader(self._next_ring, self.life))
        self._next_ring = None

    def _with_memory(self, event: Event) -> Event:
        """New words with what is to come back with them; words that come in over several blocks bring nothing."""
        made = self._memory.made
        if (
            not isinstance(event, Prompt)
            or event.text == self.words
            or self._transition > 1
            or not made
            or not self.info
        ):
            return event
        return recall_for(self.options.memory, self.past, made[-1].block.index, event.text, self.info) or event

    def _remember(self, made: BlockMade) -> None:
        assert self.info is not None, "blocks are made in an open world"
        self.status, self._deaths = None, 0
        self._asked.made(made.block)
        self._memory.add(made, self.info.memory_blocks)
        self.past.add(made)

    def _restart(self) -> None:
        """The process has died or hangs: go on in another one, unless the world could not be opened as asked."""
        self._deaths += 1
        fault = self._last_words or Fault("the model's process ended without a word (killed, or out of memory)", False)
        self._last_words = self._opened = None
        self._close_next_ring()
        if fault.usage and not self.life:  # not opened as asked, or without memory for its frames
            self._lives.end()
            self.fault, self.status = fault, f"the model cannot run: {fault.what}"
            return
        if self._deaths == FRESH:
            self._memory.forget()
        wait_s = self._lives.replace(self._deaths)
        when = f"trying again in {wait_s:.0f} s" if wait_s else "restarting it"
        log.warning("the model stopped: %s; %s", fault.what, when)
        self.status = (
            f"the model stopped: {fault.what}; {when}" if self._deaths > 1 else "the model stopped: restarting it"
        )

    def _close_next_ring(self) -> None:
        if self._next_ring is not None:
            self._next_ring.unlink()
            self._next_ring.close()
            self._next_ring = None
