"""Peers that were refused: a line in the log for each, but not a log that floods."""

from __future__ import annotations

import logging

from world.event import one_line

log = logging.getLogger(__name__)
NS = 1_000_000_000
LINES = 10  # a second; the rest of that second is counted in one line
MOST = 300  # characters of a reason, which may name what somebody has sent


class Refusals:
    """Owned by the host. count: of all so far."""

    def __init__(self) -> None:
        self.count = 0
        self._second, self._lines, self._unsaid = 0, 0, 0

    def note(self, address: str, why: str, now_ns: int) -> None:
        """Somebody at `address` was refused."""
        self.count += 1
        self.tell(now_ns)
        self._lines += 1
        if self._lines <= LINES:
            log.warning("refused %s: %s", address, one_line(why)[:MOST])
        else:
            self._unsaid += 1

    def tell(self, now_ns: int) -> None:
        """Say how many lines were left out, once their second is over."""
        if now_ns // NS == self._second:
            return
        if self._unsaid:
            log.warning("refused %d more in the same second", self._unsaid)
        self._second, self._lines, self._unsaid = now_ns // NS, 0, 0
