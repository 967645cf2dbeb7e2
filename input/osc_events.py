"""What subscribers are told of their own events: received, taken, seen, or how they ended otherwise. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

MOST_OPEN = 2000  # messages that may still become events, and events that have not ended

_NAMES = {"take": "/event/taken", "replaced": "/event/replaced", "lost": "/event/lost"}
_ENDS = ("flip", "replaced", "lost")

EVENTS_TOLD = (  # address below ROOT, its arguments, when it is sent
    ("/event/received", "is", "your message to this address is event i"),
    ("/event/taken", "ii", "your event was taken for block i"),
    ("/event/flip", "if", "its first pixel was shown, f milliseconds after the message came"),
    ("/event/replaced", "ii", "a later event, the second number, took its place"),
    ("/event/lost", "is", "it will never be seen, and why; event 0 never got a number"),
)


class SenderEvents:
    """Follows events from the message that asked for them to their end. Owned by the OSC server.

    tell: called with who asked, an address below ROOT and its arguments.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._asked: dict[int, tuple[Hashable, str]] = {}  # when a message came (ns) -> who sent it, and its address
        self._open: dict[int, tuple[Hashable, int]] = {}  # event -> who asked for it, and when

    def asked(self, t_ns: int, who: Hashable, address: str) -> None:
        """A message came at `t_ns` that may become events, perhaps later, with its beat."""
        self._asked[t_ns] = who, address
        _shorten(self._asked)

    def submitted(self, number: int, asked_ns: int) -> None:
        """What was asked for at `asked_ns` has this number in the ledger."""
        if asked_ns in self._asked:
            who, address = self._asked[asked_ns]
            self._open[number] = who, asked_ns
            _shorten(self._open)
            self._tell(who, "/event/received", number, address)

    def refused(self, asked_ns: int, why: str) -> None:
        """What was asked for at `asked_ns` never gets into the ledger."""
        if asked_ns in self._asked:
            self._tell(self._asked[asked_ns][0], "/event/lost", 0, why)

    def stamped(self, number: int, stage: str, t_ns: int, detail: int | str | None) -> None:
        """Event `number` reached a stage of the ledger. detail: the block, the event that replaced it, or why."""
        if number not in self._open:
            return
        who, asked_ns = self._open[number]
        if stage == "flip":
            self._tell(who, "/event/flip", number, (t_ns - asked_ns) / 1e6)
        elif stage in _NAMES:
            self._tell(who, _NAMES[stage], number, detail)
        if stage in _ENDS:
            del self._open[number]


def _shorten(kept: dict[int, Any]) -> None:
    """Forget the oldest where there are too many: what asks for no event is never asked about again."""
    while len(kept) > MOST_OPEN:
        del kept[next(iter(kept))]
