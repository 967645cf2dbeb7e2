"""How fast the world's dials move: at most one step a block. Those that the model does not read jump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loop.worker.sequencer import Numbered, slewed
from world.event import Dial, Event
from world.info import SESSION_DIALS, DialRange

DIAL_STEP = 0.175  # of a dial's range, the most that it moves in one block


class DialSteps:
    """Where the world's dials are, and for which block each was moved last. Owned by the inbox.

    values: where dials are that are not at rest.
    """

    def __init__(self, ranges: Mapping[str, DialRange], values: Mapping[str, float]) -> None:
        self._values = {name: values.get(name, limits.rest) for name, limits in ranges.items()}
        slow = {name: limits for name, limits in ranges.items() if name not in SESSION_DIALS}
        self._steps = {name: DIAL_STEP * (limits.high - limits.low) for name, limits in slow.items()}
        self._moved_for: dict[str, int] = {}

    def begin_at(self, event: Event) -> None:
        """Where a dial is from the first block on: there is no picture yet that a jump could break."""
        if isinstance(event, Dial) and event.name in self._values:
            self._values[event.name] = event.value

    def has(self, name: str) -> bool:
        """Whether the world has this dial."""
        return name in self._values

    def has_moved(self, event: Event, block: int) -> bool:
        """Whether `event` sets a dial that was already moved for this block."""
        return isinstance(event, Dial) and self._moved_for.get(event.name) == block

    def move(self, events: Sequence[Numbered], block: int) -> tuple[list[Numbered], list[Event]]:
        """`events` with each dial moved by one step at most, and what remains to be done for later blocks."""
        moved, remaining = slewed(events, self._values, self._steps)
        for _, event in moved:
            if isinstance(event, Dial):
                self._values[event.name], self._moved_for[event.name] = event.value, block
        return moved, remaining
