"""The lamps of a controller: what its output port is told, and what it was told before."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)
_STATUS = {"note": 0x90, "cc": 0xB0}


class Lamps:
    """The lamps behind one output port, each sent to on change only. Owned by the ports.

    port: has `send_message(bytes)`, `close_port` and `delete`, as those of rtmidi. One that fails is left alone until
    it is opened again.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._lit: dict[str, int] = {}
        self._has_failed = False

    def light(self, values: Mapping[str, int]) -> None:
        """Give lamps these values, 0 to 127, by their names: "note:CHANNEL:NUMBER" or "cc:CHANNEL:NUMBER"."""
        for lamp, value in values.items():
            if self._lit.get(lamp) != value and not self._has_failed:
                self._lit[lamp] = value
                self._send(lamp, value)

    def close(self) -> None:
        """Put all lamps out, and close the port."""
        self.light(dict.fromkeys(self._lit, 0))
        self._port.close_port()
        self._port.delete()

    def _send(self, lamp: str, value: int) -> None:
        kind, channel, number = lamp.split(":")
        try:
            self._port.send_message([_STATUS[kind] + int(channel) - 1, int(number), value])
        except Exception as error:  # rtmidi has errors of its own for a port that has gone; the show must not notice
            self._has_failed = True
            log.debug("midi: %s", error)
