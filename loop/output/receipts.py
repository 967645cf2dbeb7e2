"""Receipts: what became of the newest events, for who asked for them."""

from __future__ import annotations

from loop.output.ledger import Stamp, event_name
from world.event import Dial, Event

KEPT = 5


class Receipts:
    """Follows the newest events through the ledger; of each dial the newest value only. Owned by the outputs."""

    def __init__(self) -> None:
        self._events: dict[int, tuple[Event, int]] = {}  # number -> the event, and when it left its source
        self._states: dict[int, str] = {}

    def submitted(self, number: int, event: Event, pump_ns: int) -> None:
        """A new event was received."""
        if isinstance(event, Dial):
            older = [
                n for n, (other, _) in self._events.items() if isinstance(other, Dial) and other.name == event.name
            ]
            self._forget(older)
        self._events[number], self._states[number] = (event, pump_ns), "received"
        self._forget(list(self._events)[:-KEPT])

    def stamped(self, stamp: Stamp) -> None:
        """An event has come further, or to its end."""
        if stamp.number not in self._events:
            return
        if stamp.stage == "take":
            self._states[stamp.number] = f"taken for block {stamp.detail}"
        elif stamp.stage == "flip":
            self._states[stamp.number] = f"seen after {(stamp.t_ns - self._events[stamp.number][1]) / 1e6:.0f} ms"
        elif stamp.stage == "replaced":
            self._states[stamp.number] = "replaced"
        elif stamp.stage == "lost":
            self._states[stamp.number] = f"lost: {stamp.detail}"

    def rows(self) -> list[tuple[str, str]]:
        """(what became of it, its name) of each, the oldest first."""
        return [(self._states[number], event_name(event)) for number, (event, _) in self._events.items()]

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._events[number], self._states[number]
