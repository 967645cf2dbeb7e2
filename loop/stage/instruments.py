"""The instruments of a show: OSC, MIDI and whatever else is plugged in, polled once a tick."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from input.action import Action
from input.beat import BeatClock
from input.sound.hearing import Tempo
from input.sound.tap import SampleTap

log = logging.getLogger(__name__)


class Instruments:
    """Polls every instrument, and gives what it knows of the beat to the beat clock. Owned by the show's controls.

    sources: each with a `name`, `poll(now_ns)` and `close()`. Those with `tell_beat` are told the beat, those with
    `keep_time` share a beat with the clock, those with `light` have lamps, those with `events` are told what becomes of
    what they asked for.
    """

    def __init__(self, sources: list[Any] | None = None) -> None:
        self.sources = sources or []
        self._followers = [source for source in self.sources if hasattr(source, "events")]

    def poll(self, now_ns: int, clock: BeatClock) -> Iterator[tuple[Action | Any, str, int]]:
        """What the instruments ask for: an action or a move of a control, its source, and when it came."""
        for source in self.sources:
            for heard, t_ns in source.poll(now_ns):
                if not self._is_clock(heard, t_ns, clock):
                    yield heard, source.name, t_ns
            if hasattr(source, "keep_time"):
                source.keep_time(clock, now_ns)
            if clock.is_running and hasattr(source, "tell_beat"):
                source.tell_beat(clock.position(now_ns), clock.bpm)

    def submitted(self, number: int, asked_ns: int) -> None:
        """What was asked for at `asked_ns` has this number in the ledger."""
        for source in self._followers:
            source.events.submitted(number, asked_ns)

    def refused(self, asked_ns: int, why: str) -> None:
        """What was asked for at `asked_ns` never gets into the ledger."""
        for source in self._followers:
            source.events.refused(asked_ns, why)

    def stamped(self, number: int, stage: str, t_ns: int, detail: int | str | None) -> None:
        """Event `number` reached a stage of the ledger: its block, the event that replaced it, or why it was lost."""
        for source in self._followers:
            source.events.stamped(number, stage, t_ns, detail)

    @property
    def tap(self) -> Callable[[], SampleTap] | None:
        """Gives the samples of the instrument that listens; None if there is none."""
        return next((source.tap for source in self.sources if hasattr(source, "tap")), None)

    def light(self, values: Mapping[str, int]) -> None:
        """Let the lamps of all controllers show these values."""
        for source in self.sources if values else ():
            if hasattr(source, "light"):
                source.light(values)

    def close(self) -> None:
        for source in self.sources:
            source.close()

    def _is_clock(self, heard: Any, t_ns: int, clock: BeatClock) -> bool:
        """Whether this was about the beat (a MIDI clock, the tempo of music), which the beat clock was given."""
        if heard == "clock":
            clock.pulse(t_ns)
        elif heard == "start":
            clock.start()
        elif isinstance(heard, Tempo):
            clock.hear(heard.bpm, heard.beat_ns, heard.confidence)
        elif isinstance(heard, tuple):
            clock.start(heard[1])
        return isinstance(heard, str | tuple | Tempo)
