"""What the engine needs of the peers of a show, whether it is their host or follows one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from loop.link.ring import FrameMark
from loop.timing.pacer import Pacer
from net.seats import Member
from world.event import Event
from world.info import WorldInfo


@dataclass(frozen=True)
class RemoteEvent:
    """What a guest asks for. guest, number: who asked, and as which of its events. pump_ns: when it left its source."""

    event: Event
    source: str
    pump_ns: int
    guest: Member
    number: int


class ShowSwitches(Protocol):
    """The state of a show that its host decides on for all.

    ways_asked: how often the next way to follow the host was asked for. cue_names, next_cue: of this machine's own set
    list; next_cue is an index, None at the end.
    """

    frozen: bool
    blackout: bool
    ways_asked: int

    @property
    def cue_names(self) -> tuple[str, ...]: ...

    @property
    def next_cue(self) -> int | None: ...

    def fire_cue(self, cue: str, index: int, source: str, t_ns: int) -> None:
        """Fire a cue (net.message.CueCall) that somebody on another machine has asked for."""

    def waits(self, event: Event) -> bool:
        """Whether this event waits for its beat."""

    def show_far_cues(self, names: tuple[str, ...], following: int | None) -> None:
        """These are the host's cues, which this machine may fire."""

    def take_far_cues(self) -> list[tuple[str, int]]:
        """The host's cues that were fired here since the last call, as in net.message.CueCall."""


class Peers(Protocol):
    """Owned by the engine. It never makes the engine wait.

    newest: the newest words of another machine's, with the name of who sent them, and when they came (ns).
    horizon_ns: how much sooner than here a guest may have shown a frame by the time it hears of something. lead_ns: how
    much sooner than for this screen alone blocks are to be made. can_go_back: whether this machine makes the blocks, so
    that it can go back to older ones.
    """

    @property
    def newest(self) -> tuple[str, int]: ...

    @property
    def horizon_ns(self) -> int: ...

    @property
    def can_go_back(self) -> bool: ...

    @property
    def lead_ns(self) -> int: ...

    def meet(self, info: WorldInfo) -> None:
        """The world is open."""

    def gather(self) -> list[RemoteEvent]:
        """What guests have asked for since the last call."""

    def held(self, remote: RemoteEvent) -> None:
        """These words of a guest wait for the beat here; they will be submitted like words of this machine."""

    def submitted(self, number: int | None, event: Event, remote: RemoteEvent | None) -> None:
        """An event of this machine, or of a guest, has this number in the ledger; None: it was not let in."""

    def stamped(self, number: int, stage: str, t_ns: int, why: str) -> None:
        """Event `number` reached a stage of the ledger."""

    def note(self, message: Any) -> None:
        """The model has said this (loop.link.message)."""

    def taken_back(self, kept: int) -> None:
        """The blocks after `kept` were dropped here, unseen, or the world goes on from `kept`."""

    def came(self, marks: Sequence[FrameMark]) -> None:
        """These frames can be shown from now on."""

    def align(self, pacer: Pacer, switches: ShowSwitches, tick_ns: int) -> int:
        """Before a tick: let frames be due when they are on the host's screen, and switch what was switched there.

        Returns by how many nanoseconds later this and all further ticks are to be.
        """

    def shown(self, frame: FrameMark, times_ns: tuple[int, int], pacer: Pacer, switches: ShowSwitches) -> None:
        """After a tick: this frame was the last to be shown; when it was due, and when the tick was."""

    def rows(self) -> Sequence[tuple[str, str]]:
        """Lines for the statistics panel."""

    def close(self) -> None:
        """Take leave."""
