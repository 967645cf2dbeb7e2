"""What is let in of the events that come from keys and scripts: dials that exist, within their ranges."""

from __future__ import annotations

import logging
from dataclasses import replace

from loop.screen.display_dials import DISPLAY_DIALS
from world.event import Dial, Event
from world.info import WorldInfo

log = logging.getLogger(__name__)


class Admission:
    """Lets events in for a show or a film. Every source passes here, so nothing behind it meets a value out of range.

    Owned by the engine, or by a film's render.
    """

    def __init__(self) -> None:
        self._unknown: set[str] = set()  # dials that were warned of

    def admit(self, event: Event, info: WorldInfo) -> Event | None:
        """`event` with a dial's value within its range; None for a dial that neither world nor display has.

        An unknown dial is warned of once.
        """
        if not isinstance(event, Dial):
            return event
        dials = {**info.dials, **DISPLAY_DIALS}
        if event.name in dials:
            return replace(event, value=dials[event.name].clamped(event.value))
        if event.name not in self._unknown:
            self._unknown.add(event.name)
            log.warning("there is no dial %r here: expected one of %s", event.name, ", ".join(dials))
        return None
