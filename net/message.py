"""Everything that peers say to each other. Every field is checked wherever a message is made, here or from the wire.

net/README.md describes the same for other languages. Times are nanoseconds of the host's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from net.schema import (
    EVENTS_OF_GUESTS,
    NetError,
    address,
    check_fields,
    checked,
    event,
    flag,
    listing,
    number,
    numbers_by_name,
    one_of,
    optional,
    raw,
    record,
    text,
    whole,
)

ROLES = ("viewer", "player", "operator")
FOLLOWS = ("latents", "nothing")  # what a guest is sent besides receipts and the roster
STATES = ("received", "taken", "flip", "replaced", "lost")
SWITCHES = ("freeze", "blackout")
DTYPES = {"float16": 2, "float32": 4}
MAX_NAME = 40
MAX_GUESTS = 32
MAX_EVENTS = 16  # in one message
MAX_PAYLOAD = 64 * 2**20

_time = whole(-(2**63), 2**63 - 1)
_count = whole(0, 2**53)
_place = whole(-1, 2**53)
_why = text(300)
_rate = number(0.01, 1000)
_words = event("prompt", "blend")
_any_event = event("prompt", "blend", "dial", "scene", "rebuild", "recall", "rewind")
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


class Message:
    """Base of all messages: a frozen dataclass whose fields are checked when it is made. Raises NetError."""

    def __post_init__(self) -> None:
        check_fields(self)


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
class WorldState(Message):
    """What the world is at now: conditions, and how many Latents follow that a decoder and a recache may need."""

    seed: int = checked(whole(0, 2**64 - 1))
    index: int = checked(_count)
    start: int = checked(_count)
    words: dict[str, Any] = checked(_words)
    dials: dict[str, float] = checked(numbers_by_name)
    blocks: int = checked(whole(0, 4096))


@dataclass(frozen=True)
class Latents(Message):
    """One block; its latents are the payload, C order, little endian. Fields as in world.block.Block.

    words, seed, dials: what it was made under. digest: SHA-256 of the payload, in hex.
    """

    index: int = checked(_count)
    parent: int = checked(_place)
    start: int = checked(_count)
    shape: tuple[int, ...] = checked(listing(whole(1, 65_536), 5))
    dtype: str = checked(one_of(*DTYPES))
    digest: str = checked(text(64))
    events: tuple[dict[str, Any], ...] = checked(listing(_any_event, 256))
    cut: int | None = checked(optional(_count))
    seen: int | None = checked(optional(_count))
    dials: dict[str, float] = checked(numbers_by_name)
    words: dict[str, Any] = checked(_words)
    seed: int = checked(whole(0, 2**64 - 1))

    @property
    def size_bytes(self) -> int:
        """What shape and dtype say of the payload's size."""
        size = DTYPES[self.dtype]
        for side in self.shape:
            size *= side
        return size


@dataclass(frozen=True)
class Retract(Message):
    """The blocks after `kept` were taken back: nobody is to show them."""

    kept: int = checked(_place)


@dataclass(frozen=True)
class Due(Message):
    """Frame `frame` was due on the host's screen at `due_ns`, the following ones `period_ns` apart.

    tick_ns: when a tick of the host was; they are 1/60 s apart, and a frame is shown at the first one after it is due.
    freeze, blackout: the state of the host's show; while frozen, nothing is due.
    """

    frame: int = checked(_count)
    due_ns: int = checked(_time)
    tick_ns: int = checked(_time)
    period_ns: int = checked(whole(1, 10**11))
    freeze: bool = checked(flag)
    blackout: bool = checked(flag)


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
class Digest(Message):
    """The guest's newest block and its digest. An empty digest asks for a snapshot."""

    block: int = checked(_place)
    digest: str = checked(text(64))


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
    "snapshot": WorldState,
    "latents": Latents,
    "retract": Retract,
    "due": Due,
    "events": Events,
    "receipt": Receipt,
    "news": News,
    "digest": Digest,
    "clock": ClockReading,
    "switch": Switch,
    "roster": Roster,
    "bye": Bye,
}
_NAMES = {cls: kind for kind, cls in _KINDS.items()}
OF_GUESTS: tuple[type[Message], ...] = (Events, Digest, ClockReading, Switch, Bye)
OF_HOSTS: tuple[type[Message], ...] = (
    Challenge, Welcome, WorldState, Latents, Retract, Due, Receipt, News, ClockReading, Roster, Bye
)  # fmt: skip


def to_map(message: Message) -> dict[str, Any]:
    """The message as it goes on the wire."""
    named = {described.name: getattr(message, described.name) for described in fields(message)}  # type: ignore[arg-type]
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
