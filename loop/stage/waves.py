"""Dials that follow the beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from input.beat import BeatClock
from input.mapping import Wave
from world.event import Dial
from world.info import DialRange

DISPLAY_NS = 16_000_000  # between two values of a dial of the display: about a tick
WORLD_NS = 120_000_000  # of a dial of the world, which blocks take
LEAST_STEP = 1 / 256  # of a dial's range: a smaller move is not worth an event


class Waves:
    """Sends each dial of `waves` along its wave. Owned by the show's controls."""

    def __init__(self, waves: Sequence[Wave] = ()) -> None:
        self._waves = waves
        self._sent: dict[str, tuple[float, int]] = {}  # dial -> the value sent last, and when

    def poll(
        self,
        now_ns: int,
        clock: BeatClock,
        world: Mapping[str, DialRange],
        display: Mapping[str, DialRange],
        ahead_ns: int,
    ) -> Iterator[Dial]:
        """The dials that are to be turned now. world, display: the ranges of their dials.

        ahead_ns: how long a dial of the world takes to its first pixel; its wave is sent so much ahead of the beat.
        """
        for wave in self._waves if clock.is_running else ():
            limits = world.get(wave.dial) or display.get(wave.dial)
            is_world = wave.dial in world
            value, at_ns = self._sent.get(wave.dial, (None, 0))
            if limits is None or now_ns - at_ns < (WORLD_NS if is_world else DISPLAY_NS):
                continue
            width = limits.high - limits.low
            centre = limits.rest if wave.centre is None else wave.centre
            beats = clock.position(now_ns + (ahead_ns if is_world else 0))
            wanted = round(limits.clamped(centre + wave.share(beats) * width), 6)
            if value is None or abs(wanted - value) >= LEAST_STEP * width:
                self._sent[wave.dial] = wanted, now_ns
                yield Dial(wave.dial, wanted)
