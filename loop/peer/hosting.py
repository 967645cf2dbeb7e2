"""The host's side of a show: every block goes to those who follow, and what they ask for goes to the model."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from loop.link.message import BlockMade, Taken
from loop.link.ring import FrameMark
from loop.peer.blocks import to_latents, to_state
from loop.peer.peers import RemoteEvent, ShowSwitches
from loop.supervise.live_model import LiveModel
from loop.timing.clock import TICK_NS, Clock
from loop.timing.pacer import Pacer
from net.discovery import Announcement
from net.door import HostFacts
from net.host import Host
from net.message import Digest, Due, Events, Hello, Message, News, Receipt, Retract, Switch
from net.schema import NetError, event_from
from net.seats import Member
from net.transport import Listener, place_text
from world.block import Conditions
from world.event import Event, Prompt, Scene, text_of, to_json
from world.info import WorldInfo

log = logging.getLogger(__name__)
DUE_NS = 250_000_000  # a frame that stands is told again after so long
POLL_NS = TICK_NS // 2  # strangers get no more than a millisecond of so long
LEAD_NS = 2 * TICK_NS  # a block waits for a tick of the host, and for a tick of the guest
KEPT_DIGESTS = 256
ENDS = ("flip", "replaced", "lost")


class Hosting:
    """Implements Peers. weights: says which weights the world has. key: what guests have to know, if anything.

    host: None until the world is open. own_key: drawn for guests of this machine itself (see net.door.HostFacts).
    """

    def __init__(
        self, listener: Listener, model: LiveModel, clock: Clock, name: str, weights: str, key: bytes | None = None
    ) -> None:
        self.host: Host | None = None
        self.own_key = secrets.token_bytes(32)
        self.newest = ("", 0)
        self.can_go_back = True
        self._announcement: Announcement | None = None
        self._listener, self._model, self._clock = listener, model, clock
        self._name, self._weights, self._key = name, weights, key
        self._asked: dict[int, RemoteEvent] = {}  # events of guests, by their numbers here
        self._members: dict[int, Member] = {}
        self._without_snapshot: list[Member] = []
        self._switched: list[Switch] = []
        self._digests: OrderedDict[int, str] = OrderedDict()
        self._due: tuple[Any, ...] = ()
        self._due_ns = self._polled_ns = 0

    def announce(self, announcement: Announcement) -> None:
        """The local network is told of this host, until it takes leave."""
        self._announcement = announcement

    @property
    def horizon_ns(self) -> int:
        """How much sooner than here a guest may have shown a frame by the time it hears of something."""
        members = self.host.members if self.host else []
        followers = [member for member in members if member.follow == "latents"]
        return max((member.round_trip_ns // 2 - member.delay_ns for member in followers), default=0)

    @property
    def lead_ns(self) -> int:
        """How much sooner blocks are to be made, so that they come to the guests before they are due."""
        follows = self.host is not None and any(member.follow == "latents" for member in self.host.members)
        return LEAD_NS if follows else 0

    def meet(self, info: WorldInfo) -> None:
        """The world is open: guests may come in."""
        facts = HostFacts(info.name, self._weights, info.fps, info.block_frames, self._name, self._key, self.own_key)
        self.host = Host(self._listener, facts, self._clock.now_ns)

    @property
    def port(self) -> int:
        """Where guests come in."""
        return self._listener.port

    def close_door(self, why: str) -> None:
        """Let nobody in for now, and say why; empty: let guests in from now on."""
        if self.host:
            self.host.close_door(why)

    def came(self, marks: Sequence[FrameMark]) -> None:
        """A host's frames are due by its own clock, whenever they come."""

    def gather(self) -> list[RemoteEvent]:
        """What guests have asked for since the last call."""
        found: list[RemoteEvent] = []
        now_ns = self._clock.now_ns()
        if self.host is None or now_ns - self._polled_ns < POLL_NS:
            return found
        self._polled_ns = now_ns
        for member, message in self.host.poll():
            self._members[member.number] = member
            if isinstance(message, Hello) and message.follow == "latents":
                self._send_snapshot(member)
            elif isinstance(message, Digest):
                self._compare(member, message)
            elif isinstance(message, Switch):
                self._switched.append(message)
            elif isinstance(message, Events):
                found += [_remote(member, asked, self._clock.now_ns()) for asked in message.events]
        self.host.flush()
        return found

    def submitted(self, number: int | None, event: Event, remote: RemoteEvent | None) -> None:
        """An event has its number: tell everybody of new words, and remember who is to have the receipts."""
        if remote and number is None:
            self._receipt(remote, "lost", None, "this world and its display have no such dial")
        if number is None:
            return
        if remote:
            self._asked[number] = remote
        text = text_of(event)
        if text is not None:
            name = self._members[remote.guest].name if remote else self._name
            told = event if isinstance(event, Prompt | Scene) else Prompt(text)
            self._tell_all(lambda: (News(name, to_json(told)), b""))
            if remote:
                self.newest = f"{name}: {text}", self._clock.now_ns()

    def stamped(self, number: int, stage: str, t_ns: int, why: str) -> None:
        """An event has ended: its sender is told how."""
        if number in self._asked and stage in ENDS:
            self._receipt(self._asked.pop(number), stage, None, why, t_ns)

    def note(self, message: Any) -> None:
        """Send what the model has made to those who follow, and receipts for what was taken for it."""
        if isinstance(message, Taken):
            for number in message.applied:
                if number in self._asked:
                    self._receipt(self._asked[number], "taken", message.block, "", message.t_ns)
        elif isinstance(message, BlockMade) and self.host and not self._model.is_dropped(message):
            self._digests[message.block.index] = message.block.digest
            while len(self._digests) > KEPT_DIGESTS:
                self._digests.popitem(last=False)
            waiting, self._without_snapshot = self._without_snapshot, []
            for member in waiting:
                self._send_snapshot(member)
            self._tell_all(lambda: to_latents(message.block, message.conditions), followers_only=True)

    def taken_back(self, kept: int) -> None:
        """Those who follow drop the same blocks."""
        if self.host:
            self.host.broadcast(Retract(kept), followers_only=True)

    def align(self, pacer: Pacer, switches: ShowSwitches, tick_ns: int) -> int:
        """Do what operators have switched; a host's frames are due by its own clock."""
        for switch in self._switched:
            if switch.switch == "freeze":
                switches.frozen = switch.on
            else:
                switches.blackout = switch.on
        self._switched.clear()
        return 0

    def shown(self, frame: FrameMark, times_ns: tuple[int, int], pacer: Pacer, switches: ShowSwitches) -> None:
        """Tell when this frame was due here, once for each frame, and again while it stands."""
        due_ns, tick_ns = times_ns
        due = frame.number, due_ns, switches.frozen, switches.blackout
        now_ns = self._clock.now_ns()
        if self.host and (due != self._due or now_ns - self._due_ns > DUE_NS):
            self._due, self._due_ns = due, now_ns
            state = switches.frozen, switches.blackout
            self.host.broadcast(Due(frame.number, due_ns, tick_ns, pacer.period_ns, *state))
            self.host.flush()

    def rows(self) -> Sequence[tuple[str, str]]:
        """Who is there."""
        members = self.host.members if self.host else []
        return [(f"guest {member.name}", _told(member)) for member in members]

    def close(self) -> None:
        """Take leave of everybody."""
        if self._announcement:
            self._announcement.close()
        if self.host:
            self.host.close("the show has ended")
        else:
            self._listener.close()

    def _tell_all(self, make: Callable[[], tuple[Message, bytes]], followers_only: bool = False) -> None:
        """Send all the same, if anybody is there; what the protocol has no room for is told to the operator instead."""
        members = self.host.members if self.host else []
        if self.host is None or not any(member.follow == "latents" or not followers_only for member in members):
            return
        try:
            message, payload = make()
            self.host.broadcast(message, payload, followers_only)
        except NetError as error:
            log.warning("guests cannot be told: %s", error)

    def _send_snapshot(self, member: Member) -> None:
        """Send where the world is at; before its first block that is not known yet."""
        snapshot = self._model.snapshot()
        if self.host is None or snapshot is None:
            self._without_snapshot.append(member)
            return
        self.host.send(member, to_state(snapshot))
        now = Conditions(snapshot.words, snapshot.seed, snapshot.dials)
        words = {block.index: made_under for block, made_under in snapshot.line()}
        for block in snapshot.blocks:
            under = Conditions(words.get(block.index) or now.words, now.seed, block.dials or now.dials)
            self.host.send(member, *to_latents(block, under))

    def _compare(self, member: Member, digest: Digest) -> None:
        """A guest says what its newest block is: where that is not ours, or it knows none, it begins from ours."""
        ours = self._digests.get(digest.block)
        if digest.digest and ours == digest.digest:
            return
        if digest.digest and ours is None and self._digests and digest.block < next(iter(self._digests)):
            return  # too old to tell
        if digest.digest:
            log.warning("%s is at another block %d than this host: it gets a snapshot", member.name, digest.block)
        self._send_snapshot(member)

    def _receipt(self, remote: RemoteEvent, state: str, block: int | None, why: str, t_ns: int | None = None) -> None:
        t_ns = self._clock.now_ns() if t_ns is None else t_ns
        if self.host:
            self.host.send(self._members[remote.guest], Receipt(remote.number, state, block, t_ns, why[:300]))


def open_line(listener: Listener, address: str) -> str:
    """What a host says of where it listens."""
    where = place_text((address, listener.port))
    if address.startswith("127.") or address == "::1":
        return f"hosting on {where}, for this machine only"
    return f"hosting on {where}, open to every machine that reaches it"


def _remote(member: Member, asked: dict[str, Any], now_ns: int) -> RemoteEvent:
    event = event_from(asked["event"])
    return RemoteEvent(event, f"peer {member.name}", now_ns - asked["age_ns"], member.number, asked["number"])


def _told(member: Member) -> str:
    delay = f", {member.delay_ns / 1e6:.0f} ms behind" if member.follow == "latents" else ""
    return f"{member.role}{delay}, {member.round_trip_ns / 1e6:.0f} ms away"
