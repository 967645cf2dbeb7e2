"""The model of a guest: its blocks are made by the host, and become pixels here, in the model's process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from loop.link.kept import Kept
from loop.link.message import (
    BlockMade,
    Drawn,
    DropAfter,
    Fault,
    Follow,
    FollowVideo,
    Lost,
    Opened,
    Retracted,
    Start,
    Stray,
    Taken,
)
from loop.link.ring import FrameRing
from loop.peer.blocks import from_latents
from loop.peer.follow_way import FollowWay
from loop.peer.line import Line
from loop.supervise.live_model import PATIENCE_S, LiveModel
from loop.supervise.model import StreamOptions
from loop.supervise.supervisor import Process
from loop.timing.clock import Clock
from net.guest import Guest
from net.message import CueList, News, Receipt, Roster, Welcome
from net.picture import Digest, Due, FollowBy, Latents, Retract, Video, WorldDescription, WorldState
from net.schema import Message, NetError, event_from
from net.transport import place_text
from world.event import Event, Prompt, Scene, to_json
from world.info import WorldInfo
from world.options import WorldOptions

log = logging.getLogger(__name__)
GAP = 64  # block numbers that a new host leaves out: the old one may have used them for others
DIGEST_NS = 2_000_000_000  # between two comparisons with the host


class GuestModel(LiveModel):
    """A LiveModel whose process follows a host, until `lead` lets it go on by itself. Owned by the engine.

    way: how it follows. described: the world as the host describes it, where it is not opened here. roster: who is
    there, by the host's last word. dues: what the host has said of its frames since they were read. news: new words and
    who sent them, since they were read. cues: the host's set list where it has changed, until that is read.
    """

    def __init__(
        self,
        options: StreamOptions,
        launch: Callable[[WorldOptions], Process],
        clock: Clock,
        guest: Guest,
        way: FollowWay,
        described: WorldInfo | None = None,
        new_ring: Callable[[int, tuple[int, int]], FrameRing] = FrameRing.create,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(replace(options, spare="off"), launch, clock, new_ring, patience_s)
        self.guest, self.way, self._described = guest, way, described
        self.follows = True
        self.roster = Roster(())
        self.dues: list[Due] = []
        self.news: list[News] = []
        self.cues: CueList | None = None
        self._clock = clock
        self._world: Opened | None = None  # of the process that runs
        self._has_snapshot = self._has_asked = False
        self._line = Line()
        self._digest_ns = self._number = 0
        self._heard_from_host: list[Any] = []  # for the engine

    def submit(
        self, number: int, event: Event, keep: Kept | None = None, block: int | None = None, leaps: bool = False
    ) -> None:
        """Ask the host for an event; once this is the host itself, the same as ever.

        Words wait for the beat of the host, if it lets words wait.
        """
        if not self.follows:
            super().submit(number, event, keep, block, leaps)
            return
        self._asked.note(number, event)
        self.guest.ask(number, to_json(event), self._clock.now_ns())

    def turn_way(self) -> None:
        """Follow in the next way."""
        before = self.way.current
        self.way.turn()
        if self.way.current != before:
            self._follow_anew()

    def set_mode(self, mode: str) -> None:
        """The host decides how prompts are switched."""
        if not self.follows:
            super().set_mode(mode)

    def set_transition(self, blocks: int) -> None:
        """The host decides over how many blocks words come in."""
        if not self.follows:
            super().set_transition(blocks)

    def can_take_back(self, kept: Kept) -> bool:
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
        newest = self._memory.snapshot(-1, self.options.seed, self._asked.whole_words)
        self._newest_seen = max(self._newest_seen, newest.index if newest else 0) + GAP
        if self._lives.is_fed and self._world is not None:
            self._begin(self._world)

    @property
    def can_lead(self) -> bool:
        """Whether the process could begin a session of its own now."""
        return self._next_ring is None and bool(self.life) and self.way.current == "latents"

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
        opened = replace(opened, info=self._described) if self._described else opened
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
        if not self.follows:
            return
        if isinstance(message, Stray):
            log.warning("what came of block %d continues nothing that is known here: beginning anew", message.block)
            self._line.clear()
            self._ask_again()
        elif isinstance(message, Drawn):
            self._note_drawn(message)
        elif isinstance(message, BlockMade) and self.way.note_block(message.took_ns, self._block_ns):
            log.warning("this machine decodes blocks slower than they play: following by video from now on")
            self._follow_anew()

    def _restart(self) -> None:
        self._has_snapshot = self._has_asked = False
        self._world = None
        self._line.clear()
        super()._restart()

    def _remember(self, made: BlockMade) -> None:
        before = list(self._asked.unmade)
        super()._remember(made)
        self._settle(before)

    @property
    def _block_ns(self) -> float:
        """How long a block plays."""
        assert self.info is not None, "blocks come to an open world"
        return self.info.block_s * 1e9

    def _note_drawn(self, drawn: Drawn) -> None:
        """The same of a block of which this machine gets the video only."""
        self.status, self._deaths = None, 0
        self._lives.running(drawn.took_ns)
        before = list(self._asked.unmade)
        self._asked.settled(drawn.block)
        self._settle(before)

    def _settle(self, before: Sequence[int]) -> None:
        for number in before:
            if number not in self._asked.unmade:
                self.guest.settle(number)

    # -- the host --

    def _follow_anew(self) -> None:
        """Follow in the way that is chosen now, from what the host sends next."""
        self._line.clear()
        self._line.give_up()
        self._memory.forget()
        self.guest.introduce(replace(self.guest.introduction, follow=self.way.current))
        self.guest.send(FollowBy(self.way.current))

    def _ask_again(self) -> None:
        """Ask for something to begin with: a snapshot, or a key frame."""
        if self.way.current == "video":
            self.guest.send(FollowBy("video"))
        else:
            self.guest.ask_for_snapshot()

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
            self._ask_again()
        snapshot = self.snapshot() if now_ns - self._digest_ns > DIGEST_NS and self._lives.is_fed else None
        if snapshot and snapshot.blocks:
            self._digest_ns = now_ns
            self.guest.send(Digest(snapshot.blocks[-1].index, snapshot.blocks[-1].digest))

    def _hear_host(self, message: Message, payload: bytes) -> list[Any]:
        """Act on a message of the host; what the engine is to be told."""
        if isinstance(message, Welcome):
            self._number = message.number
            self._line.give_up()
            self._has_asked = True  # a snapshot or a key frame comes by itself
        elif isinstance(message, WorldDescription):
            self._check_world(message)
        elif isinstance(message, WorldState | Latents | Video):
            return self._hear_picture(message, payload)
        elif isinstance(message, Retract):
            return self._retract(message.kept)
        elif isinstance(message, Receipt):
            return self._hear_receipt(message)
        elif isinstance(message, Due):
            self.dues.append(message)
        elif isinstance(message, Roster):
            self.roster = message
        elif isinstance(message, CueList):
            self.cues = message
        elif isinstance(message, News):
            self.news.append(message)
            event = event_from(message.event)
            if isinstance(event, Prompt | Scene):
                self._asked.words = event.text
        return []

    def _hear_picture(self, message: WorldState | Latents | Video, payload: bytes) -> list[Any]:
        """Act on what the host sends of its picture, if it comes in the way that was asked for last."""
        if isinstance(message, Video) != (self.way.current == "video"):
            return []
        if isinstance(message, Video):
            self._hear_video(message, payload)
        elif isinstance(message, WorldState):
            self._line.expect(message)
        else:
            return self._hear_block(message, payload)
        return []

    def _hear_video(self, video: Video, packet: bytes) -> None:
        """Let the process decode a frame; with the first key frame it begins."""
        if self._opened is not None and video.is_key:
            super()._begin(self._opened)
        if self._lives.is_fed:
            place = video.frame, video.block
            self._lives.send(FollowVideo(*place, packet, self._memory.epoch, video.is_key, video.is_hidden))

    def _check_world(self, about: WorldDescription) -> None:
        """A video of another size than this show's cannot be shown in it."""
        if self.info and self.info.picture != (about.width, about.height):
            self.guest.refuse(f"it plays another world now, of {about.width}x{about.height}: join it again")

    def _hear_receipt(self, receipt: Receipt) -> list[Any]:
        """Say of an event what the ledger needs: its first pixel on this screen is this screen's own matter."""
        number = receipt.number
        if number not in self._asked.unmade:
            return []
        if receipt.state == "taken" and receipt.block is not None:
            taken = Taken(receipt.block, (number,), (), self.guest.clock.to_local(receipt.t_ns))
            self._asked.taken(taken)
            return [taken]
        if receipt.state in ("lost", "replaced"):
            self._asked.forget((number,))
            self.guest.settle(number)
            return [Lost((number,), receipt.why or f"{receipt.state} on the host")]
        return []

    def _hear_block(self, message: Latents, payload: bytes) -> list[Any]:
        """A block has come: of a snapshot, or the next one."""
        try:
            made = from_latents(message, payload, self._memory.epoch)
        except NetError as error:
            log.warning("%s: asking for a snapshot", error)
            self._line.give_up()
            self.guest.ask_for_snapshot()
            return []
        if self._line.is_arriving:
            blocks = self._line.arrived(made)
            return self._catch_up(blocks) if blocks else []
        self._follow(made)
        return []

    def _follow(self, made: BlockMade) -> None:
        """Let the process decode the next block, if it can continue."""
        block = made.block
        if self._line.knows(block.index) or not (self._lives.is_fed or self._has_snapshot):
            return
        if not self._lives.is_fed:  # it belongs to what the process is to begin with
            self._memory_add([made])
            self._line.note_given(made)
            return
        if block.start and not self._line.knows(block.parent):
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
                self._line.note_given(made)
            self._has_snapshot = True
            return []
        known = self._line.known_of(blocks)
        kept = blocks[known - 1].block.index if known else -1
        dropped = self._retract(kept) if self._line.newest > kept else []
        blocks = [replace(made, epoch=self._memory.epoch) for made in blocks]
        if known:
            for made in blocks[known:]:
                self._give(Follow(made))
            return dropped
        self._line.clear()
        self._memory.forget()
        self._memory_add(blocks[:-1])
        self._give(Follow(blocks[-1], tuple(made.block for made in blocks[:-1])))
        return dropped

    def _give(self, follow: Follow) -> None:
        self._line.note_given(follow.made)
        self._lives.send(follow)

    def _memory_add(self, blocks: Sequence[BlockMade]) -> None:
        assert self.info is not None, "a snapshot comes to an open world"
        for made in blocks:
            self._memory.add(made, self.info.memory_blocks)

    def _retract(self, kept: int) -> list[Any]:
        """Drop the blocks after `kept`, here and in the process."""
        self._memory.drop_after(Kept(kept))
        self._line.drop_after(kept)
        if self._lives.is_fed:
            self._lives.send(DropAfter(kept))
        return [Retracted(kept)]
