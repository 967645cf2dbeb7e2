"""What guests have asked for and has not ended yet: each is told what becomes of it."""

from __future__ import annotations

from loop.link.message import Taken
from loop.peer.peers import RemoteEvent, ShowSwitches
from loop.timing.clock import Clock
from net.host import Host
from net.message import Receipt
from world.event import Event

ENDS = ("flip", "replaced", "lost")


class GuestEvents:
    """Owned by Hosting."""

    def __init__(self, host: Host, clock: Clock) -> None:
        self._host, self._clock = host, clock
        self._events: dict[int, RemoteEvent] = {}  # by their numbers in the ledger
        self._held: list[RemoteEvent] = []  # words that wait for the beat

    def hold(self, remote: RemoteEvent) -> None:
        """These words wait for the beat."""
        self._held.append(remote)

    def held(self, event: Event) -> RemoteEvent | None:
        """What a guest asked for, if this event is words that have waited; they wait no more."""
        remote = next((remote for remote in self._held if remote.event is event), None)
        if remote:
            self._held.remove(remote)
        return remote

    def submitted(self, number: int | None, remote: RemoteEvent) -> None:
        """An event has its number in the ledger, or was not let in."""
        if number is None:
            self._tell(remote, "lost", None, "this world and its display have no such dial")
        else:
            self._events[number] = remote

    def taken(self, taken: Taken) -> None:
        """A block has taken these events."""
        for number in taken.applied:
            if number in self._events:
                self._tell(self._events[number], "taken", taken.block, "", taken.t_ns)

    def stamped(self, number: int, stage: str, t_ns: int, why: str) -> None:
        """An event has reached a stage; most guests wait for its end."""
        if number in self._events and stage in ENDS:
            self._tell(self._events.pop(number), stage, None, why, t_ns)

    def look_after_held(self, switches: ShowSwitches) -> None:
        """Tell of words that wait no more, and were not sent either."""
        for remote in [remote for remote in self._held if not switches.waits(remote.event)]:
            self._held.remove(remote)
            self._tell(remote, "lost", None, "it waited for its beat, and was taken back or replaced")

    def _tell(self, remote: RemoteEvent, state: str, block: int | None, why: str, t_ns: int | None = None) -> None:
        t_ns = self._clock.now_ns() if t_ns is None else t_ns
        self._host.send(remote.guest, Receipt(remote.number, state, block, t_ns, why[:300]))
