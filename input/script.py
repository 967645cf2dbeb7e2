"""Sources of events other than the keys: what each must offer, and the script, whose events come from a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeGuard

from world.event import Dial, Event, Prompt, Scene

_NS = 1_000_000_000
_NUMBER_LIMIT = 1e12  # smaller numbers stay finite as nanoseconds; NaN fails the comparison
_FORMS = '{"at_s": 3.0, "prompt": "..."}, {"at_s": 4.0, "dial": "zoom", "value": 0.5} or {"at_s": 5.0, "scene": "..."}'
_FIELDS = {"prompt": {"prompt"}, "dial": {"dial", "value"}, "scene": {"scene", "seed"}}


class Source(Protocol):
    """Something other than the keys that produces events, such as a script or an instrument.

    The main thread owns it, and polls it at least once a tick, so `poll` must not wait. A source that listens on a
    thread of its own collects events there and hands them over in `poll`.
    """

    def poll(self, now_ns: int) -> list[tuple[Event, int]]:
        """The events since the last call, the oldest first, each with the time at which the source received it.

        now_ns: the present. All times are nanoseconds of the monotonic clock (perf_counter_ns).
        """

    def close(self) -> None:
        """Release devices and end threads; no `poll` follows."""


class ScriptError(ValueError):
    """A script cannot be read. The message is one line for the user and names the file and the line."""


class Script:
    """A source whose events and their times are known beforehand.

    entries: (seconds after `start`, event), in any order.
    """

    def __init__(self, entries: Sequence[tuple[float, Event]]) -> None:
        self._entries = sorted(entries, key=lambda entry: entry[0])
        self._start_ns: int | None = None
        self._sent = 0

    def start(self, t_ns: int) -> None:
        """Make `t_ns` the time 0 of the script; until this is called, no event is due."""
        self._start_ns = t_ns

    def take_opening(self) -> list[Event]:
        """The events at time 0, once: they are to be in force from the first frame, so they are due before it."""
        count = sum(at_s <= 0 for at_s, _ in self._entries[self._sent :])
        opening = [event for _, event in self._entries[self._sent : self._sent + count]]
        self._sent += count
        return opening

    def poll(self, now_ns: int) -> list[tuple[Event, int]]:
        """The events that have become due by `now_ns`, each with the time at which it was due."""
        if self._start_ns is None:
            return []
        due = []
        while self._sent < len(self._entries) and self._due_ns(self._sent) <= now_ns:
            due.append((self._entries[self._sent][1], self._due_ns(self._sent)))
            self._sent += 1
        return due

    def close(self) -> None:
        """A script has nothing to release: its file was read at once."""

    def _due_ns(self, index: int) -> int:
        assert self._start_ns is not None
        return self._start_ns + round(self._entries[index][0] * _NS)


def read_script(path: str | Path) -> tuple[tuple[float, Event], ...]:
    """The events of the JSON Lines file `path` as (seconds, event), sorted by time; raises ScriptError."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScriptError(f"script {path} cannot be read: {reason}; expected JSON Lines such as {_FORMS}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(_entry(line))
            except ValueError as error:
                raise ScriptError(f"{path}, line {number}: {error}") from None
    return tuple(sorted(entries, key=lambda entry: entry[0]))


def _entry(line: str) -> tuple[float, Event]:
    """(seconds, event) of one line of a script; raises ValueError with what was given and what was expected."""
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno}): expected {_FORMS}") from None
    except RecursionError:
        raise ValueError(f"not a flat JSON object: expected {_FORMS}") from None
    kinds = [kind for kind in _FIELDS if isinstance(fields, dict) and kind in fields]
    if len(kinds) != 1:
        raise ValueError(f"got {_short(fields)}: expected {_FORMS}")
    unknown = sorted(set(fields) - _FIELDS[kinds[0]] - {"at_s"})
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}: expected {_FORMS}")
    return _time_s(fields.get("at_s")), _event(kinds[0], fields)


def _event(kind: str, fields: dict[str, object]) -> Event:
    text = fields[kind]
    if not isinstance(text, str):
        raise ValueError(f"{kind} is {_short(text)}: expected text in quotes")
    if kind == "prompt":
        return Prompt(text)
    if kind == "scene":
        return Scene(text, _seed(fields.get("seed")))
    value = fields.get("value")
    if not _is_number(value):
        raise ValueError(f"value is {_short(value)}: expected a finite number for dial {text!r}")
    return Dial(text, float(value))


def _time_s(value: object) -> float:
    if not _is_number(value) or value < 0:
        raise ValueError(f"at_s is {_short(value)}: expected seconds from the first shown frame, 0 or more")
    return float(value)


def _seed(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError(f"seed is {_short(value)}: expected a whole number, 0 or more, or none")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _NUMBER_LIMIT


def _short(value: object) -> str:
    """`value` as JSON, cut to 60 characters; "missing" for None."""
    text = "missing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
