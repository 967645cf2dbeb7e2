"""What peers say to each other, but for the picture (net.picture).

Every field is checked wherever a message is made, here or from the wire. net/README.md describes the same for other
languages. Times are nanoseconds of the host's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from net.picture import Digest, Due, FollowBy, Latents, Retract, Video, WorldDescription, WorldState
from net.schema import (
    EVENTS_OF_GUESTS,
    Message,
    NetError,
    address,
    checked,
    event,
    flag,
    listing,
    number,
    one_of,
    optional,
    raw,
    record,
    text,
    whole,
)

ROLES = ("viewer", "player", "operator")
FOLLOWS = ("latents", "video", "nothing")  # what a guest is sent besides receipts and the roster
WAYS = ("latents", "video", "auto")  # what a guest may ask for; auto: what it can
STATES = ("received", "taken", "flip", "replaced", "lost")
SWITCHES = ("freeze", "blackout")
CUES = ("next", "previous", "number")
MAX_NAME = 40
MAX_GUESTS = 32
MAX_EVENTS = 16  # in one message
MAX_CUES, MAX_CUE_NAME = 256, 80  # what is told of a set list

_time = whole(-(2**63), 2**63 - 1)
_count = whole(0, 2**53)
_why = text(300)
_rate = number(0.01, 1000)
_asked = record(number=_count, event=event(*EVENTS_OF_GUESTS), age_ns=whole(0, 2**53))
_seat = record(
    number=_count,
    name=text(MAX_NAME),
    role=one_of(*ROLES),
    follow=one_of(*FOLLOWS),
    delay_ms=number(0, 1e6),
    address=address,
    successor=whole(0, MAX_GUESTS),
)


@dataclass(frozen=True)
class Challenge(Message):
    """The host's first word. needs_key: whether a guest has to prove that it knows the key of this world."""

    nonce: bytes = checked(raw(16))
    needs_key: bool = checked(flag)


@dataclass(frozen=True)
class Hello(Message):
    """The guest's answer. world, weights: what it has open, empty where it follows nothing.

    identity: drawn once by the guest's process, so that it is known again after a lost connection. proof: the key's
    HMAC (net.key), empty without a key. port: where it would listen if it were to take the host's place, 0 for never.
    """

    world: str = checked(text(200))
    weights: str = checked(text(64))
    identity: bytes = checked(raw(16))
    name: str = checked(text(MAX_NAME))
    role: str = checked(one_of(*ROLES))
    follow: str = checked(one_of(*FOLLOWS))
    proof: bytes = checked(raw(0, 32))
    port: int = checked(whole(0, 65_535), 0)


@dataclass(frozen=True)
class Welcome(Message):
    """The guest is let in as `number`. received: its newest event that the host has seen, 0 for none."""

    number: int = checked(_count)
    role: str = checked(one_of(*ROLES))
    world: str = checked(text(200))
    fps: float = checked(_rate)
    block_frames: int = checked(whole(1, 4096))
    received: int = checked(_count)


@dataclass(frozen=True)
class Events(Message):
    """What a guest asks for: events, numbered by the guest from 1 on, and how long ago each left its source."""

    events: tuple[dict[str, Any], ...] = checked(listing(_asked, MAX_EVENTS))


@dataclass(frozen=True)
class Receipt(Message):
    """What became of a guest's event. block: for which it was taken. t_ns: of the host's clock. why: in words."""

    number: int = checked(_count)
    state: str = checked(one_of(*STATES))
    block: int | None = checked(optional(_count))
    t_ns: int = checked(_time)
    why: str = checked(_why, "")


@dataclass(frozen=True)
class News(Message):
    """New words came in, and who sent them: for the screens of all."""

    name: str = checked(text(MAX_NAME))
    event: dict[str, Any] = checked(event(*EVENTS_OF_GUESTS))


@dataclass(frozen=True)
class ClockReading(Message):
    """A guest asks for the time with `asked_ns` of its own clock; the host gives it back with `host_ns` of its own.

    delay_ns, round_trip_ns: what the guest measured so far.
    """

    asked_ns: int = checked(_time)
    host_ns: int = checked(_time, 0)
    delay_ns: int = checked(whole(0, 10**11), 0)
    round_trip_ns: int = checked(whole(0, 10**11), 0)


@dataclass(frozen=True)
class Switch(Message):
    """An operator turns the freeze or the blackout of the show on or off."""

    switch: str = checked(one_of(*SWITCHES))
    on: bool = checked(flag)


@dataclass(frozen=True)
class CueCall(Message):
    """An operator fires a cue of the host's set list: the next, the previous, or number `index`, from 0 on."""

    cue: str = checked(one_of(*CUES))
    index: int = checked(whole(0, 9_999), 0)


@dataclass(frozen=True)
class CueList(Message):
    """The host's set list, for operators: names, and the index of the cue that is next; none at the end."""

    names: tuple[str, ...] = checked(listing(text(MAX_CUE_NAME), MAX_CUES))
    following: int | None = checked(optional(_count))


@dataclass(frozen=True)
class Roster(Message):
    """Who is there; the host is number 0. successor: the place in the line of those who may go on, from 1, or 0."""

    seats: tuple[dict[str, Any], ...] = checked(listing(_seat, MAX_GUESTS + 1))


@dataclass(frozen=True)
class Bye(Message):
    """The connection ends, and why. is_final: a stranger need not try again; to a guest, the show has ended."""

    why: str = checked(_why)
    is_final: bool = checked(flag, False)


_KINDS: dict[str, type[Message]] = {
    "challenge": Challenge,
    "hello": Hello,
    "welcome": Welcome,
    "world": WorldDescription,
    "snapshot": WorldState,
    "latents": Latents,
    "video": Video,
    "follow": FollowBy,
    "retract": Retract,
    "due": Due,
    "events": Events,
    "receipt": Receipt,
    "news": News,
    "digest": Digest,
    "clock": ClockReading,
    "switch": Switch,
    "cue": CueCall,
    "cues": CueList,
    "roster": Roster,
    "bye": Bye,
}
_NAMES = {cls: kind for kind, cls in _KINDS.items()}
OF_GUESTS: tuple[type[Message], ...] = (Events, Digest, ClockReading, Switch, CueCall, FollowBy, Bye)
OF_HOSTS: tuple[type[Message], ...] = (
    Challenge, Welcome, WorldDescription, WorldState, Latents, Video, Retract, Due, Receipt, News, ClockReading,
    CueList, Roster, Bye,
)  # fmt: skip


def to_map(message: Message) -> dict[str, Any]:
    """The message as it goes on the wire, without fields that have their default: older peers may not know them."""
    named = {
        described.name: value
        for described in fields(message)  # type: ignore[arg-type]
        if (value := getattr(message, described.name)) != described.default
    }
    return {"kind": _NAMES[type(message)], **named}


def from_map(value: Any, accepted: tuple[type[Message], ...]) -> Message:
    """The inverse of `to_map` for what a peer has sent; raises NetError unless it is one of the accepted messages."""
    if not isinstance(value, dict):
        raise NetError("expected a map")
    rest = dict(value)
    kind = rest.pop("kind", None)
    cls = _KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None or cls not in accepted:
        expected = ", ".join(_NAMES[found] for found in accepted)
        raise NetError(f"message {kind!a:.40}: expected one of {expected}")
    known = {described.name for described in fields(cls)}  # type: ignore[arg-type]
    if unknown := [name for name in rest if name not in known]:
        raise NetError(f"{kind} has an unknown field {unknown[0]!a:.40}: expected {', '.join(sorted(known))}")
    try:
        return cls(**rest)
    except TypeError:
        raise NetError(f"{kind} lacks a field: expected {', '.join(sorted(known))}") from None
