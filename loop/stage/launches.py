"""Launches: events that wait for their beat, and are sent so early that their first frame lands on it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import ceil
from statistics import median
from typing import Any

from input.beat import BeatClock, bar_text
from world.event import Dial, Event

KEPT = 1000  # errors of launches


@dataclass(frozen=True)
class Launch:
    """An event that is armed for a beat.

    beat: counted from beat 0 of the clock. transition: blocks over which its words come in. cue: the index of the cue
    that it is; None for what was typed. asked_ns: when it was asked for; 0 for what plays by itself.
    target_ns: when the beat is, as it was known when the event was sent; 0 until then.
    """

    event: Event
    name: str
    source: str
    quantise: str
    beat: float
    transition: int | None = None
    cue: int | None = None
    asked_ns: int = 0
    target_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """What the trace says of it."""
        return {"name": self.name, "quantise": self.quantise, "beat": self.beat, "target_ns": self.target_ns}


class Launches:
    """What waits for the beat, and how well what was sent has met it. Owned by the cue desk.

    ahead_ns: the measured time from a prompt to its first pixel. early_ns: launches are sent earlier by so much, since
    they name the block that they are for. at_once: dials that act without the model, sent `at_once_ns` ahead only.
    armed: what waits, the next first.
    errors_ns: of the launches that were seen: when the first frame was shown less when the beat was.
    """

    def __init__(self, clock: BeatClock) -> None:
        self.ahead_ns = self.early_ns = self.at_once_ns = 0
        self.at_once: Collection[str] = ()
        self.armed: list[Launch] = []
        self.errors_ns: deque[int] = deque(maxlen=KEPT)
        self._clock = clock
        self._sent: dict[int, Launch] = {}
        self._dropped: list[tuple[Launch, str]] = []
        self._released: Launch | None = None

    def arm(self, launch: Launch) -> None:
        """Let an event wait; it takes the place of one that waits for the same beat, as only one could be seen."""
        kind = launch.beat, _kind(launch.event)
        self._drop([other for other in self.armed if (other.beat, _kind(other.event)) == kind], "another took its beat")
        self.armed = sorted([*self.armed, launch], key=lambda waiting: waiting.beat)

    def first_beat(self, now_ns: int, quantise: str) -> float:
        """The next beat that an event sent from `now_ns` on can still meet."""
        return self._clock.next_beat(now_ns + self.ahead_ns, quantise)

    def cancel(self) -> bool:
        """Take back all that waits; whether anything did."""
        had = bool(self.armed)
        self._drop(list(self.armed), "taken back before its beat")
        return had

    def take_dropped(self) -> list[tuple[Launch, str]]:
        """What has waited and will not be sent, and why, since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _drop(self, launches: list[Launch], why: str) -> None:
        self._dropped += [(launch, why) for launch in launches]
        self.armed = [launch for launch in self.armed if launch not in launches]

    def due(self, now_ns: int) -> Launch | None:
        """The next launch to be sent now, once; None if it is too early for all."""
        for launch in self.armed if self._clock.is_running else []:
            target_ns = self._clock.time_of(launch.beat)
            if target_ns - self._lead_ns(launch.event) <= now_ns:
                self.armed.remove(launch)
                self._released = replace(launch, target_ns=target_ns)
                return self._released
        return None

    def _lead_ns(self, event: Event) -> int:
        is_at_once = isinstance(event, Dial) and event.name in self.at_once
        return self.at_once_ns if is_at_once else self.ahead_ns + self.early_ns

    @property
    def next_target_ns(self) -> int | None:
        """When the beat is that the next launch waits for, or the one that was sent and is not seen yet."""
        sent = [launch.target_ns for launch in self._sent.values()]
        if sent or not self.armed or not self._clock.is_running:
            return min(sent, default=None)
        return self._clock.time_of(self.armed[0].beat)

    def sent(self, number: int, event: Event) -> Launch | None:
        """Event `number` was submitted: the launch that it is, if it is one."""
        launch, self._released = self._released, None
        if launch is None or launch.event is not event:
            return None
        self._sent[number] = launch
        return launch

    def seen(self, number: int, flip_ns: int) -> int | None:
        """The first frame of event `number` was shown: by how much it missed its beat; None if it was no launch."""
        launch = self._sent.pop(number, None)
        if launch is None:
            return None
        self.errors_ns.append(flip_ns - launch.target_ns)
        return self.errors_ns[-1]

    def forget(self, now_ns: int) -> None:
        """Drop what was sent long ago and will not be seen: it was replaced by a later one, or lost."""
        self._sent = {number: launch for number, launch in self._sent.items() if now_ns - launch.target_ns < 5e9}

    def text(self) -> str:
        """What waits next, and for which beat; empty if nothing does."""
        if not self.armed:
            return ""
        more = f" +{len(self.armed) - 1}" if len(self.armed) > 1 else ""
        return f"{self.armed[0].name} at {bar_text(self.armed[0].beat)}{more}"

    def summary(self) -> str:
        """How well the launches met their beats; empty before the first."""
        if not self.errors_ns:
            return ""
        sizes = sorted(abs(error) for error in self.errors_ns)
        high = sizes[ceil(0.95 * (len(sizes) - 1))]
        return (
            f"{len(sizes)}, off by {median(self.errors_ns) / 1e6:+.0f} ms in the median, "
            f"sizes {median(sizes) / 1e6:.0f} ms and {high / 1e6:.0f} ms (p95)"
        )


def _kind(event: Event) -> Any:
    """What there can be only one of at a beat: words, cuts, each dial."""
    return event.name if isinstance(event, Dial) else type(event)
