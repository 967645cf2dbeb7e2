"""What the fields of a message may hold: checks that give the value back, or raise NetError with what was wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, field, fields
from ipaddress import ip_address
from typing import Any

from world.event import Event, from_json, one_line, to_json

Check = Callable[[Any], Any]  # returns the value as it is kept; raises NetError
EVENTS_OF_GUESTS = ("prompt", "scene", "dial")
MAX_PARTS = 64


class NetError(ValueError):
    """What a peer sent, or what the user asked of the network, cannot be used; the message is one line."""


class Message:
    """Base of all messages: a frozen dataclass whose fields are checked when it is made. Raises NetError."""

    def __post_init__(self) -> None:
        check_fields(self)


def checked(check: Check, default: Any = MISSING) -> Any:
    """A dataclass field that holds only what `check` lets through."""
    return field(default=default, metadata={"check": check})


def text(most: int) -> Check:
    """A string of at most `most` characters that can be written as UTF-8; kept on one line, without what nobody sees.

    Names and reasons reach logs and terminals, where a control character of a peer's would act.
    """

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise NetError(f"expected a text of at most {most} characters, got {_told(value)}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NetError("expected a text without halves of characters") from None
        return one_line(value)

    return check


def whole(low: int, high: int) -> Check:
    """An integer from `low` to `high`."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise NetError(f"expected a whole number from {low} to {high}, got {_told(value)}")
        return value

    return check


def number(low: float, high: float) -> Check:
    """A finite number from `low` to `high`."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise NetError(f"expected a number from {low:g} to {high:g}, got {_told(value)}")
        return float(value)

    return check


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise NetError(f"expected true or false, got {_told(value)}")
    return value


def raw(*sizes: int) -> Check:
    """Bytes, of one of these lengths."""

    def check(value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) not in sizes:
            raise NetError(f"expected {' or '.join(map(str, sizes))} bytes, got {_told(value)}")
        return value

    return check


def one_of(*choices: str) -> Check:
    """One of these strings."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise NetError(f"expected one of {', '.join(choices)}, got {_told(value)}")
        return value

    return check


def optional(inner: Check) -> Check:
    """None, or what `inner` lets through."""
    return lambda value: None if value is None else inner(value)


def listing(inner: Check, most: int) -> Check:
    """A list of at most `most` values, each of which `inner` lets through; kept as a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise NetError(f"expected a list of at most {most}, got {_told(value)}")
        return tuple(inner(entry) for entry in value)

    return check


def address(value: Any) -> str:
    """ADDRESS:PORT with a numeric address, or nothing."""
    place = text(80)(value)
    host, _, port = place.rpartition(":")
    try:
        ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
        is_place = port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65_535
    except ValueError:
        is_place = False
    if place and not is_place:
        raise NetError(f"expected ADDRESS:PORT, got {_told(place)}")
    return place


def record(**inner: Check) -> Check:
    """A map with exactly these keys."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) != set(inner):
            raise NetError(f"expected a map of {', '.join(inner)}, got {_told(value)}")
        return {name: inner[name](entry) for name, entry in value.items()}

    return check


def numbers_by_name(value: Any) -> dict[str, float]:
    """The values of dials: a map of at most 64 names to finite numbers."""
    if not isinstance(value, dict) or len(value) > MAX_PARTS:
        raise NetError(f"expected a map of at most {MAX_PARTS} dials, got {_told(value)}")
    name, amount = text(64), number(-1e9, 1e9)
    return {name(dial): amount(setting) for dial, setting in value.items()}


def ranges_by_name(value: Any) -> dict[str, tuple[float, ...]]:
    """The ranges of dials: a map of at most 64 names to low, high and rest, which lies between them."""
    if not isinstance(value, dict) or len(value) > MAX_PARTS:
        raise NetError(f"expected a map of at most {MAX_PARTS} dials, got {_told(value)}")
    name, three = text(64), listing(number(-1e9, 1e9), 3)
    ranges = {name(dial): three(limits) for dial, limits in value.items()}
    for dial, limits in ranges.items():
        if len(limits) != 3 or not limits[0] <= limits[2] <= limits[1] or limits[0] == limits[1]:
            raise NetError(f"expected low, high and a rest between them for {dial!a}")
    return ranges


def event(*kinds: str) -> Check:
    """A map that world.event.from_json reads as an event, of one of these kinds; kept as a map, in its clean form."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or value.get("type") not in kinds:
            told = value.get("type") if isinstance(value, dict) else value
            raise NetError(f"expected an event of type {', '.join(kinds)}, got {_told(told)}")
        return to_json(event_from(value))

    return check


def event_from(value: dict[str, Any]) -> Event:
    """The event that a peer has described; raises NetError."""
    if unknown := [name for name in value if name not in _EVENT_FIELDS]:
        raise NetError(f"an event has an unknown field {unknown[0]!a:.40}")
    try:
        return from_json({name: _EVENT_FIELDS[name](entry) for name, entry in value.items()})
    except (ValueError, TypeError, OverflowError) as error:
        raise NetError(str(error)) from None


def check_fields(message: Any) -> None:
    """Run the check of every field of a dataclass and keep what it gives; raises NetError that names the field."""
    for described in fields(message):
        try:
            kept = described.metadata["check"](getattr(message, described.name))
        except NetError as error:
            raise NetError(f"{type(message).__name__}.{described.name}: {error}") from None
        object.__setattr__(message, described.name, kept)


def _part(value: Any) -> tuple[str, float]:
    """A part of a mix: words and their weight."""
    part = listing(lambda entry: entry, 2)(value)
    if len(part) != 2:
        raise NetError("expected pairs of words and weight")
    return text(2_000)(part[0]), number(0, 1)(part[1])


def _told(value: Any) -> str:
    """A value as an error shows it: short, and printable whatever it holds."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    shown = ascii(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return shown if len(shown) <= 40 else shown[:37] + "..."


_EVENT_FIELDS: dict[str, Check] = {
    "type": text(64),
    "text": text(8_000),  # world.event has a limit of its own, for which it has a better message
    "said": text(8_000),
    "name": text(64),
    "value": number(-1e9, 1e9),
    "seed": optional(whole(0, 2**63 - 1)),
    "block": whole(0, 2**53),
    "blocks": listing(whole(0, 2**53), 256),
    "keeps_averages": flag,
    "parts": listing(_part, MAX_PARTS),
}
