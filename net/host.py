"""The host's side: lets guests in, reads what they ask for, sends them what they follow. Never waits for anybody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

from net.channel import PIECE, Channel
from net.door import Door, HostFacts
from net.message import (
    FOLLOWS,
    MAX_GUESTS,
    OF_GUESTS,
    Bye,
    ClockReading,
    CueCall,
    Events,
    Hello,
    Receipt,
    Switch,
    Welcome,
)
from net.picture import Digest, FollowBy, Latents, Video
from net.refusals import Refusals
from net.schema import Message, NetError
from net.seats import Member, new_member, roster_of
from net.transport import Listener
from net.wire import Limits, to_bytes

log = logging.getLogger(__name__)
NS = 1_000_000_000
POLL_NS = 1_000_000  # of a tick, for reading
SILENT_NS = 10 * NS  # a guest asks for the time every second
ROSTER_NS = 2 * NS
MAX_WAITING = 96 * 2**20  # bytes for a guest that reads too slowly
KNOWN = 256  # guests that are known again when they come back
_LATER = Limits(OF_GUESTS)


Request = tuple[Member, Message]  # Hello: it has come; Events, Switch, CueCall, FollowBy, Digest: what it asks for


class Host:
    """Owned by the show's peers, which poll it at every tick. refusals: of those who were not let in or sent away."""

    def __init__(self, listener: Listener, facts: HostFacts, now_ns: Callable[[], int]) -> None:
        self.facts = facts
        self.refusals = Refusals()
        self._now_ns = now_ns
        self._door = Door(listener, facts, self.refusals, now_ns, self._is_full)
        self._known: dict[bytes, Member] = {}  # by identity, in the order of their last coming
        self._next_number = 1
        self._roster_ns = 0
        self._first = 0  # whose turn it is to be read first

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._door.port

    @property
    def members(self) -> list[Member]:
        """The guests that are connected now, in the order of their numbers."""
        return sorted((member for member in self._known.values() if member.is_here), key=lambda member: member.number)

    def close_door(self, why: str) -> None:
        """Let nobody in for now, and say why; empty: let guests in from now on."""
        self._door.closed_because = why

    def poll(self) -> list[Request]:
        """Read what guests have sent, for a millisecond and 64 KB at most; returns what they ask for."""
        deadline_ns, bytes_left = self._now_ns() + POLL_NS, PIECE
        found: list[Request] = [(self._let_in(hello, channel), hello) for hello, channel in self._door.poll()]
        members = self.members
        self._first += 1
        for place in range(len(members)):
            member = members[(self._first + place) % len(members)]
            left_ns, others = deadline_ns - self._now_ns(), len(members) - place
            if left_ns > 0 and bytes_left > 0:
                share = max(4_096, bytes_left // others)
                found += self._hear_member(member, share, left_ns // others)
                bytes_left -= share
        self._tell_roster()
        self.refusals.tell(self._now_ns())
        return found

    def send(self, member: Member, message: Message, payload: bytes = b"") -> None:
        """Send a guest a message, if it is connected; receipts are kept until it comes back."""
        if isinstance(message, Receipt):
            member.receipts.append(message)
        if member.channel:
            self._queue(member, message, to_bytes(message, payload))

    def broadcast(self, message: Message, payload: bytes = b"", follows: Collection[str] = FOLLOWS) -> None:
        """Send the same to every guest, or to those that follow in one of these ways."""
        data = to_bytes(message, payload)
        for member in self.members:
            if member.follow in follows:
                self._queue(member, message, data)

    def show(self, video: Video, payload: bytes) -> bool:
        """Send a frame to those who follow by video; whether somebody waits for a key frame.

        A guest that reads too slowly gets no frame before the next key frame, once what waits for it has left.
        """
        data = to_bytes(video, payload)
        is_key_wanted = False
        for member in self.members:
            if member.follow == "video" and video.block > member.video_after:
                if member.can_go_on(video.is_key):
                    self._queue(member, video, data)
                is_key_wanted |= member.needs_key and not member.waiting_bytes
        return is_key_wanted

    def dismiss(self, member: Member, why: str) -> None:
        """Send a guest away, and say why."""
        if member.channel:
            self._refuse(member, member.channel, why)

    def flush(self) -> None:
        """Let leave what there is room for."""
        for member in self.members:
            try:
                if member.channel:
                    member.channel.flush()
            except ConnectionError as error:
                self._lose(member, str(error))

    def close(self, why: str) -> None:
        """Take leave of everybody."""
        for member in self.members:
            if member.channel:
                member.channel.close(Bye(why, is_final=True))
        self._door.close()

    # -- who comes, who goes --

    def _let_in(self, hello: Hello, channel: Channel) -> Member:
        """Make the stranger a member, or the member that it was before."""
        now_ns = self._now_ns()
        member = self._known.pop(hello.identity, None)
        if member is None:
            member, self._next_number = new_member(self._next_number, now_ns), self._next_number + 1
        elif member.channel:
            member.channel.close(Bye("it has come again by another connection"))
        host = channel.address.rpartition(":")[0]
        member.name, member.role, member.follow = hello.name or f"guest {member.number}", hello.role, hello.follow
        member.place = f"{host}:{hello.port}" if hello.port else ""
        member.weights, member.needs_key, member.video_after = hello.weights, True, -1
        member.channel = channel
        self._known[hello.identity] = member
        self._forget_oldest()
        channel.set_limits(_LATER)
        channel.heard_ns = now_ns
        facts = self.facts
        channel.send(Welcome(member.number, member.role, facts.world, facts.fps, facts.block_frames, member.received))
        channel.send(facts.about)
        for receipt in member.receipts:
            channel.send(receipt)
        self._roster_ns = 0
        log.info("%s has come from %s (%s, follows %s)", member.name, channel.address, member.role, member.follow)
        return member

    def _forget_oldest(self) -> None:
        away = [identity for identity, member in self._known.items() if not member.is_here]
        for identity in away[: max(0, len(self._known) - KNOWN)]:
            del self._known[identity]

    def _hear_member(self, member: Member, most_bytes: int, most_ns: int) -> list[Request]:
        """What a member asks for; one message at least, if it has sent any, and no other once the time is over."""
        channel, now_ns = member.channel, self._now_ns()
        assert channel is not None, "members who are here have a channel"
        found: list[Request] = []
        try:
            for message, _ in channel.receive(now_ns, most_bytes):
                if not member.messages.take(now_ns):
                    raise NetError("it sends more messages than anybody needs")
                found += self._act(member, message, now_ns)
                if self._now_ns() - now_ns >= most_ns:
                    break
            if now_ns - channel.heard_ns > SILENT_NS:
                raise ConnectionError(f"nothing was heard of it for {SILENT_NS // NS} s")
        except ConnectionError as error:
            self._lose(member, str(error))
        except NetError as error:
            self._refuse(member, channel, str(error))
        return found

    def _refuse(self, member: Member, channel: Channel, why: str) -> None:
        member.channel = None
        self._roster_ns = 0
        self.refusals.note(f"{member.name} at {channel.address}", why, self._now_ns())
        channel.close(Bye(why[:300]))

    def _act(self, member: Member, message: Message, now_ns: int) -> list[Request]:
        """Answer what the host can answer itself; everything else is handed on."""
        if isinstance(message, ClockReading):
            member.delay_ns, member.round_trip_ns = message.delay_ns, message.round_trip_ns
            self.send(member, ClockReading(message.asked_ns, now_ns))
        elif isinstance(message, Bye):
            raise ConnectionError(f"it took leave: {message.why!a}")
        elif isinstance(message, Events):
            return self._allowed_events(member, message, now_ns)
        elif isinstance(message, Switch | CueCall) and member.role != "operator":
            what = f"turn the {message.switch} on and off" if isinstance(message, Switch) else "fire cues"
            raise NetError(f"{member.role}s do not {what}: that is for operators")
        elif isinstance(message, Digest | FollowBy) and not member.beginnings.take(now_ns):
            raise NetError("it begins anew too often")
        elif isinstance(message, FollowBy):
            self._change(member, message.follow)
            return [(member, message)]
        elif isinstance(message, Digest | Switch | CueCall):
            return [(member, message)]
        return []

    def _change(self, member: Member, follow: str) -> None:
        """Let a member follow in another way, or in the same from a new beginning."""
        if follow == "latents" and member.weights != self.facts.about.weights:
            raise NetError(f"it has other weights than this world {self.facts.world}: it can follow by video only")
        member.follow, member.needs_key = follow, True
        self._roster_ns = 0

    def _allowed_events(self, member: Member, message: Events, now_ns: int) -> list[Request]:
        """The events that are new and that its role allows; each has its receipt at once."""
        allowed: list[dict[str, Any]] = []
        for asked in message.events:
            if asked["number"] <= member.received:  # it was sent again after a lost connection
                continue
            member.received = asked["number"]
            why = member.objection(asked["event"]["type"] == "dial", now_ns)
            self.send(member, Receipt(asked["number"], "lost" if why else "received", None, now_ns, why))
            allowed += [] if why else [asked]
        return [(member, Events(tuple(allowed)))] if allowed else []

    def _queue(self, member: Member, message: Message, data: bytes) -> None:
        if member.channel is None:
            return
        if isinstance(message, Latents):
            member.video_after = message.index
        member.channel.send_bytes(data)
        if member.channel.waiting_bytes > MAX_WAITING:
            self._lose(member, "it reads too slowly")

    def _lose(self, member: Member, why: str) -> None:
        if member.channel:
            member.channel.close()
            member.channel = None
            self._roster_ns = 0
            log.info("%s is gone: %s", member.name, why)

    def _is_full(self, identity: bytes) -> bool:
        """Whether there is no seat for a guest of this identity."""
        known = self._known.get(identity)
        return len(self.members) >= MAX_GUESTS and not (known and known.is_here)

    def _tell_roster(self) -> None:
        """Tell everybody who is there, when that has changed and every two seconds."""
        now_ns = self._now_ns()
        if now_ns < self._roster_ns:
            return
        self._roster_ns = now_ns + ROSTER_NS
        self.broadcast(roster_of(self.members, self.facts.name))
