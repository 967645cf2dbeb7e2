"""What the lamps of controllers show of the show."""

from __future__ import annotations

from collections.abc import Sequence

from input.mapping import Light
from loop.stage.desk import CueDesk

BEAT_SHARE = 0.25  # of a beat, for which its lamp is lit


def lamp_values(lights: Sequence[Light], desk: CueDesk, states: dict[str, bool], now_ns: int) -> dict[str, int]:
    """The value of each lamp, by its name. states: whether the show is in "blackout", and in "freeze"."""
    lit = states | {"beat": desk.clock.is_running and desk.clock.position(now_ns) % 1.0 < BEAT_SHARE}
    armed = {launch.cue for launch in desk.launches.armed} | {desk.next_by_hand}

    def value(light: Light) -> int:
        if light.shows:
            return light.on if lit[light.shows] else light.off
        return light.armed if light.cue - 1 in armed else light.on if light.cue - 1 == desk.playing else light.off

    return {light.lamp: value(light) for light in lights}
