"""What a page may say. One JSON object each, checked here as the messages of peers are."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from net.message import MAX_NAME, SWITCHES
from net.schema import EVENTS_OF_GUESTS, NetError, check_fields, checked, event, flag, one_of, text, whole

MAX_WISH = 12_288  # bytes; a prompt has 2,000 characters of four bytes at most
_count = whole(0, 2**31)


class Wish:
    """Base of all that a page says: a frozen dataclass whose fields are checked when it is made. Raises NetError."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Enter(Wish):
    """The first word of a page. identity: 32 hex digits that the page has drawn, to be known again by."""

    token: str = checked(text(64))
    identity: str = checked(text(32))
    name: str = checked(text(MAX_NAME))


@dataclass(frozen=True)
class Ask(Wish):
    """An event of the world or the display. number: counted by the page from 1 on."""

    number: int = checked(_count)
    event: dict[str, Any] = checked(event(*EVENTS_OF_GUESTS))


@dataclass(frozen=True)
class Seen(Wish):
    """This picture is on the page's screen."""

    picture: int = checked(whole(0, 2**32))


@dataclass(frozen=True)
class Watch(Wish):
    """Whether pictures are wanted; a page that nobody looks at wants none."""

    on: bool = checked(flag)


@dataclass(frozen=True)
class TurnSwitch(Wish):
    """An operator turns the freeze or the blackout of the show on or off."""

    switch: str = checked(one_of(*SWITCHES))
    on: bool = checked(flag)


@dataclass(frozen=True)
class AskCue(Wish):
    """An operator fires cue number `index`, counted from 0."""

    index: int = checked(whole(0, 9_999))


@dataclass(frozen=True)
class Decide(Wish):
    """An operator lets words of the audience in, or refuses them. waiting: their number in the queue."""

    waiting: int = checked(_count)
    let_in: bool = checked(flag)


_KINDS: dict[str, type[Wish]] = {
    "enter": Enter, "ask": Ask, "seen": Seen, "watch": Watch, "switch": TurnSwitch, "cue": AskCue, "decide": Decide,
}  # fmt: skip


def read_wish(said: str | bytes) -> Wish:
    """What a page has said; raises NetError for anything else than a wish."""
    if isinstance(said, bytes):
        raise NetError("expected text, got bytes")
    try:
        value = json.loads(said)
    except (ValueError, RecursionError):
        raise NetError(f"expected a JSON object, got {said[:30]!a}") from None
    kind = value.pop("kind", None) if isinstance(value, dict) else None
    cls = _KINDS.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise NetError(f"expected one of {', '.join(_KINDS)}, got {kind!a:.40}")
    names = {described.name for described in fields(cls)}  # type: ignore[arg-type]
    if set(value) != names:
        raise NetError(f"{kind} has the fields {', '.join(sorted(names))} and no others")
    return cls(**value)
