"""The model of a guest: its blocks are made by the host, and become pixels here, in the model's process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loop.link.message import BlockMade, DropAfter, Fault, Follow, Lost, Opened, Retracted, Start, Stray, Taken
from loop.link.ring import FrameRing
from loop.peer.blocks import from_latents
from loop.supervise.live_model import PATIENCE_S, LiveModel
from loop.supervise.model import StreamOptions
from loop.supervise.supervisor import Process
from loop.timing.clock import Clock
from net.guest import Guest
from net.message import Digest, Due, Latents, Message, News, Receipt, Retract, Roster, Welcome, WorldState
from net.schema import NetError, event_from
from net.transport import place_text
from world.event import Event, Prompt, Scene, to_json
from world.options import WorldOptions

log = logging.getLogger(__name__)
GAP = 64  # block numbers that a new host leaves out: the old one may have used them for others
DIGEST_NS = 2_000_000_000  # between two comparisons with the host
KEPT_LINE = 64


@dataclass
class _Arriving:
    """A snapshot and those of its blocks that have come."""

    state: WorldState
    blocks: list[BlockMade] = field(default_factory=list)


class GuestModel(LiveModel):
    """A LiveModel whose process follows a host, until `lead` lets it go on by itself. Owned by the engine.

    roster: who is there, by the host's last word. dues: what the host has said of its frames since they were read.
    news: new words and who sent them, since they were read.
    """

    def __init__(
        self,
        options: StreamOptions,
        launch: Callable[[WorldOptions], Process],
        clock: Clock,
        guest: Guest,
        new_ring: Callable[[int, tuple[int, int]], FrameRing] = FrameRing.create,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(replace(options, spare="off"), launch, clock, new_ring, patience_s)
        self.guest = guest
        self.follows = True
        self.roster = Roster(())
        self.dues: list[Due] = []
        self.news: list[News] = []
        self._clock = clock
        self._world: Opened | None = None  # of the process that runs
        self._arriving: _Arriving | None = None
        self._has_snapshot = self._has_asked = False
        self._line: dict[int, str] = {}  # the newest blocks that the process was given, in order, and their digests
        self._digest_ns = self._number = 0
        self._heard_from_host: list[Any] = []  # for the engine

    def submit(
        self, number: int, event: Event, keep: int | None = None, block: int | None = None, leaps: bool = False
    ) -> None:
        """Ask the host for an event; once this is the host itself, the same as ever.

        The host takes it for its next block: a launch of a guest does not wait for its beat.
        """
        if not self.follows:
            super().submit(number, event, keep, block, leaps)
            return
        self._note_asked(number, event)
        self.guest.ask(number, to_json(event), self._clock.now_ns())

    def set_mode(self, mode: str) -> None:
        """The host decides how prompts are switched."""
        if not self.follows:
            super().set_mode(mode)

    def set_transition(self, blocks: int) -> None:
        """The host decides over how many blocks words come in."""
        if not self.follows:
            super().set_transition(blocks)

    def can_take_back(self, kept: int) -> bool:
        """The host decides what is taken back."""
        return not self.follows and super().can_take_back(kept)

    def poll(self) -> list[Any]:
        """Act on what host and process said; returns the messages that concern the engine."""
        self.listen()
        heard, self._heard_from_host = self._heard_from_host, []
        return [*heard, *super().poll()]

    def listen(self) -> None:
        """Act on what the host has said; called between ticks too, since a block that waits for one comes late."""
        if self.follows and self.info is not None:
            for message, payload in self.guest.poll():
                self._heard_from_host += self._hear_host(message, payload)
            self._ask_where_needed()

    def lead(self) -> None:
        """Go on with the world here, from the newest block that came, by a cut: this machine is the host now."""
        self.follows = False
        newest = self._memory.snapshot(-1, self.options.seed, self.words or "")
        self._newest_seen = max(self._newest_seen, newest.index if newest else 0) + GAP
        if self._lives.is_fed and self._world is not None:
            self._begin(self._world)

    @property
    def can_lead(self) -> bool:
        """Whether the process could begin a session of its own now."""
        return self._next_ring is None and bool(self.life)

    @property
    def own_number(self) -> int:
        """This guest's number by the host's last welcome, 0 before the first."""
        return self._number

    def close(self) -> None:
        """Take leave of the host, and end the process."""
        self.guest.close()
        super().close()

    # -- the process --

    def _meet(self, opened: Opened) -> None:
        self._world = opened
        super()._meet(opened)
        if self.follows:
            self.status = f"looking for the host at {place_text(self.guest.place)} ..."

    def _begin(self, opened: Opened) -> None:
        if self.follows and not self._has_snapshot:
            self._opened = opened  # it waits for what the host will say
            return
        super()._begin(opened)

    def _session(self, start: Start) -> Start:
        return replace(start, submits=(), follows=True) if self.follows else start

    def _hear(self, message: Any) -> None:
        super()._hear(message)
        if isinstance(message, Stray) and self.follows:
            log.warning("block %d continues none that is known here: asking for a snapshot", message.block)
            self._line.clear()
            self.guest.ask_for_snapshot()

    def _restart(self) -> None:
        self._has_snapshot = self._has_asked = False
        self._world = None
        self._line.clear()
        super()._restart()

    def _remember(self, made: BlockMade) -> None:
        before = list(self._unmade)
        super()._remember(made)
        for number in before:
            if number not in self._unmade:
                self.guest.settle(number)

    # -- the host --

    def _ask_where_needed(self) -> None:
        """Ask for a snapshot where the process waits for one, and tell the host which block is the newest here."""
        now_ns = self._clock.now_ns()
        if not self.guest.is_joined:
            self._has_asked = False
            if self.guest.refused and not self._number:  # it never was a guest: a wrong key, say, or another world
                what = f"the host at {place_text(self.guest.place)} refuses this guest: {self.guest.refused}"
                self.fault, self.status = Fault(what, usage=True), what
            return
        if self._opened is not None and not self._has_snapshot and not self._has_asked:
            self._has_asked = True
            self.guest.ask_for_snapshot()
        snapshot = self.snapshot() if now_ns - self._digest_ns > DIGEST_NS and self._lives.is_fed else None
        if snapshot and snapshot.blocks:
            self._digest_ns = now_ns
            self.guest.send(Digest(snapshot.blocks[-1].index, snapshot.blocks[-1].digest))

    def _hear_host(self, message: Message, payload: bytes) -> list[Any]:
        """Act on a message of the host; what the engine is to be told."""
        if isinstance(message, Welcome):
            self._number = message.number
            self._arriving, self._has_asked = None, True  # a snapshot comes by itself
        elif isinstance(message, WorldState):
            self._arriving = _Arriving(message)
        elif isinstance(message, Latents):
            return self._hear_block(message, payload)
        elif isinstance(message, Retract):
            return self._retract(message.kept)
        elif isinstance(message, Receipt):
            return self._hear_receipt(message)
        elif isinstance(message, Due):
            self.dues.append(message)
        elif isinstance(message, Roster):
            self.roster = message
        elif isinstance(message, News):
            self.news.append(message)
            event = event_from(message.event)
            if isinstance(event, Prompt | Scene):
                self.words = event.text
        return []

    def _hear_receipt(self, receipt: Receipt) -> list[Any]:
        """Say of an event what the ledger needs: its first pixel on this screen is this screen's own matter."""
        number = receipt.number
        if number not in self._unmade:
            return []
        if receipt.state == "taken" and receipt.block is not None:
            taken = Taken(receipt.block, (number,), (), self.guest.clock.to_local(receipt.t_ns))
            self._note_taken(taken)
            return [taken]
        if receipt.state in ("lost", "replaced"):
            del self._unmade[number]
            self.guest.settle(number)
            return [Lost((number,), receipt.why or f"{receipt.state} on the host")]
        return []

    def _hear_block(self, message: Latents, payload: bytes) -> list[Any]:
        """A block has come: of a snapshot, or the next one."""
        try:
            made = from_latents(message, payload, self._memory.epoch)
        except NetError as error:
            log.warning("%s: asking for a snapshot", error)
            self._arriving = None
            self.guest.ask_for_snapshot()
            return []
        arriving = self._arriving
        if arriving is None:
            self._follow(made)
            return []
        arriving.blocks.append(made)
        if len(arriving.blocks) < arriving.state.blocks:
            return []
        self._arriving = None
        return self._catch_up(arriving.blocks)

    def _follow(self, made: BlockMade) -> None:
        """Let the process decode the next block, if it can continue."""
        block = made.block
        if block.index in self._line or not (self._lives.is_fed or self._has_snapshot):
            return
        if not self._lives.is_fed:  # it belongs to what the process is to begin with
            self._memory_add([made])
            self._note_given(made)
            return
        if block.start and block.parent not in self._line:
            log.warning("block %d continues block %d, which never came", block.index, block.parent)
            self.guest.ask_for_snapshot()
            return
        self._give(Follow(made))

    def _catch_up(self, blocks: Sequence[BlockMade]) -> list[Any]:
        """Go on where the snapshot is: after the newest block that is known, or else from its newest one."""
        if not self._lives.is_fed:
            self._memory.forget()
            self._memory_add(blocks)
            self._line.clear()
            for made in blocks:
                self._note_given(made)
            self._has_snapshot = True
            return []
        known = [n for n, made in enumerate(blocks) if self._line.get(made.block.index) == made.block.digest]
        kept = blocks[known[-1]].block.index if known else -1
        dropped = self._retract(kept) if max(self._line, default=-1) > kept else []
        blocks = [replace(made, epoch=self._memory.epoch) for made in blocks]
        if known:
            for made in blocks[known[-1] + 1 :]:
                self._give(Follow(made))
            return dropped
        self._line.clear()
        self._memory.forget()
        self._memory_add(blocks[:-1])
        self._give(Follow(blocks[-1], tuple(made.block for made in blocks[:-1])))
        return dropped

    def _give(self, follow: Follow) -> None:
        self._note_given(follow.made)
        self._lives.send(follow)

    def _note_given(self, made: BlockMade) -> None:
        self._line[made.block.index] = made.block.digest
        while len(self._line) > KEPT_LINE:
            del self._line[next(iter(self._line))]

    def _memory_add(self, blocks: Sequence[BlockMade]) -> None:
        assert self.info is not None, "a snapshot comes to an open world"
        for made in blocks:
            self._memory.add(made, self.info.memory_blocks)

    def _retract(self, kept: int) -> list[Any]:
        """Drop the blocks after `kept`, here and in the process."""
        self._memory.drop_after(kept)
        self._line = {index: digest for index, digest in self._line.items() if index <= kept}
        if self._lives.is_fed:
            self._lives.send(DropAfter(kept))
        return [Retracted(kept)]
