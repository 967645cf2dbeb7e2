"""The host's side of a show: every block goes to those who follow, and what they ask for goes to the model."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import Any

from loop.link.message import BlockMade, Taken
from loop.link.ring import FrameMark
from loop.peer.description import describe_world
from loop.peer.guest_events import GuestEvents
from loop.peer.guest_lead import GuestLead
from loop.peer.latents import LatentsFeed
from loop.peer.operators import Operators
from loop.peer.peers import RemoteEvent, ShowSwitches
from loop.peer.video import NewEncoder, VideoFeed
from loop.supervise.live_model import LiveModel
from loop.timing.clock import TICK_NS, Clock
from loop.timing.pacer import Pacer
from loop.video.encoding import EncoderThread
from net.discovery import Announcement
from net.door import HostFacts
from net.host import Host
from net.message import CueCall, Events, Hello, News, Switch
from net.picture import Digest, Due, FollowBy, Retract
from net.schema import NetError, event_from
from net.seats import Member
from net.transport import Listener, place_text
from world.event import Event, Prompt, Scene, text_of, to_json
from world.info import WorldInfo

log = logging.getLogger(__name__)
DUE_NS = 250_000_000  # a frame that stands is told again after so long
POLL_NS = TICK_NS // 2  # strangers get no more than a millisecond of so long


class Hosting:
    """Implements Peers. weights: says which weights the world has. key: what guests have to know, if anything.

    host: None until the world is open. own_key: drawn for guests of this machine itself (see net.door.HostFacts).
    """

    def __init__(
        self,
        listener: Listener,
        model: LiveModel,
        clock: Clock,
        name: str,
        weights: str,
        key: bytes | None = None,
        new_encoder: NewEncoder = EncoderThread,
    ) -> None:
        self.host: Host | None = None
        self.own_key = secrets.token_bytes(32)
        self.newest = ("", 0)
        self.can_go_back = True
        self._announcement: Announcement | None = None
        self._listener, self._model, self._clock = listener, model, clock
        self._name, self._weights, self._key = name, weights, key
        self._new_encoder = new_encoder
        self._operators, self._lead = Operators(), GuestLead()
        self._due: tuple[Any, ...] = ()
        self._due_ns = self._polled_ns = 0

    def announce(self, announcement: Announcement) -> None:
        """The local network is told of this host, until it takes leave."""
        self._announcement = announcement

    @property
    def horizon_ns(self) -> int:
        """How much sooner than here a guest may have shown a frame by the time it hears of something."""
        return max((member.round_trip_ns // 2 - member.delay_ns for member in self._followers), default=0)

    @property
    def lead_ns(self) -> int:
        """How much sooner blocks are to be made, so that they come to the guests before they are due."""
        return self._lead.ns if self._followers else 0

    @property
    def _followers(self) -> list[Member]:
        members = self.host.members if self.host else []
        return [member for member in members if member.follow != "nothing"]

    def meet(self, info: WorldInfo) -> None:
        """The world is open: guests may come in."""
        about = describe_world(info, self._weights)
        shape = info.fps, info.block_frames
        facts = HostFacts(info.name, about, *shape, self._name, self._key, self.own_key)
        self.host = Host(self._listener, facts, self._clock.now_ns)
        self._guest_events = GuestEvents(self.host, self._clock)
        self._latents = LatentsFeed(self.host, self._model)
        self._video = VideoFeed(self.host, self._model, self._new_encoder)

    @property
    def port(self) -> int:
        """Where guests come in."""
        return self._listener.port

    def close_door(self, why: str) -> None:
        """Let nobody in for now, and say why; empty: let guests in from now on."""
        if self.host:
            self.host.close_door(why)

    def came(self, marks: Sequence[FrameMark]) -> None:
        """Those who follow by video get these frames; here they are due by the host's own clock, whenever they come."""
        if self.host:
            self._video.came(marks)

    def gather(self) -> list[RemoteEvent]:
        """What guests have asked for since the last call."""
        found: list[RemoteEvent] = []
        now_ns = self._clock.now_ns()
        if self.host is None or now_ns - self._polled_ns < POLL_NS:
            return found
        self._polled_ns = now_ns
        for member, message in self.host.poll():
            if isinstance(message, Hello | FollowBy) and message.follow == "latents":
                self._latents.send_snapshot(member)
            elif isinstance(message, Digest):
                self._latents.compare(member, message)
            elif isinstance(message, Switch | CueCall):
                self._operators.ask(member, message)
            elif isinstance(message, Events):
                found += [_remote(member, asked, self._clock.now_ns()) for asked in message.events]
        self._video.send()
        self.host.flush()
        return found

    def held(self, remote: RemoteEvent) -> None:
        """These words of a guest wait for the beat; they are submitted without the guest being named."""
        self._guest_events.hold(remote)

    def submitted(self, number: int | None, event: Event, remote: RemoteEvent | None) -> None:
        """An event has its number: tell everybody of new words, and remember who is to have the receipts."""
        if self.host is None:
            return
        remote = remote or self._guest_events.held(event)
        if remote:
            self._guest_events.submitted(number, remote)
        text = text_of(event)
        if number is not None and text is not None:
            name = remote.guest.name if remote else self._name
            self._tell_words(self.host, name, event if isinstance(event, Prompt | Scene) else Prompt(text))
            if remote:
                self.newest = f"{name}: {text}", self._clock.now_ns()

    def _tell_words(self, host: Host, name: str, event: Event) -> None:
        try:
            host.broadcast(News(name, to_json(event)))
        except NetError as error:  # the protocol has no room for them
            log.warning("guests cannot be told the new words: %s", error)

    def stamped(self, number: int, stage: str, t_ns: int, why: str) -> None:
        """An event has ended: its sender is told how."""
        if self.host:
            self._guest_events.stamped(number, stage, t_ns, why)

    def note(self, message: Any) -> None:
        """Send what the model has made to those who follow, and receipts for what was taken for it."""
        if self.host and isinstance(message, Taken):
            self._guest_events.taken(message)
        elif self.host and isinstance(message, BlockMade):
            self._latents.made(message)

    def taken_back(self, kept: int) -> None:
        """Those who follow drop the same blocks."""
        if self.host:
            self.host.broadcast(Retract(kept), follows=("latents", "video"))

    def align(self, pacer: Pacer, switches: ShowSwitches, tick_ns: int) -> int:
        """Do what operators have asked for; a host's frames are due by its own clock."""
        if self.host:
            self._operators.obey(switches, self.host, self._clock.now_ns())
            self._guest_events.look_after_held(switches)
            self._lead.follow([member.delay_ns for member in self._followers], self._clock.now_ns())
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
            self._video.close()
            self.host.close("the show has ended")
        else:
            self._listener.close()


def open_line(listener: Listener, address: str) -> str:
    """What a host says of where it listens."""
    where = place_text((address, listener.port))
    if address.startswith("127.") or address == "::1":
        return f"hosting on {where}, for this machine only"
    return f"hosting on {where}, open to every machine that reaches it"


def _remote(member: Member, asked: dict[str, Any], now_ns: int) -> RemoteEvent:
    event = event_from(asked["event"])
    return RemoteEvent(event, f"peer {member.name}", now_ns - asked["age_ns"], member, asked["number"])


def _told(member: Member) -> str:
    delay = f", by {member.follow}, {member.delay_ns / 1e6:.0f} ms behind" if member.follow != "nothing" else ""
    return f"{member.role}{delay}, {member.round_trip_ns / 1e6:.0f} ms away"
