"""The guest's side of a show: its frames are due when the host's are, and when the host dies it may take its place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loop.link.ring import FrameMark
from loop.peer.alignment import TIE_NS, Alignment, phase_step
from loop.peer.guest_model import GuestModel
from loop.peer.hosting import Hosting
from loop.peer.peers import RemoteEvent, ShowSwitches
from loop.timing.clock import Clock
from loop.timing.pacer import Pacer
from net.message import CueCall, Switch
from net.picture import Due
from net.schema import event_from
from net.transport import Place, parse_place, place_text
from world.event import Event, Prompt, Scene
from world.info import WorldInfo

log = logging.getLogger(__name__)
NS = 1_000_000_000
TAKE_OVER_NS = NS  # without the host, before the first successor goes on; each later one waits twice that longer
LOOK_NS = NS * 3 // 4  # at one place for a host before the next is tried


class Following:
    """Implements Peers. hosting: this machine as a host, which lets nobody in yet.

    hosting is None for a guest that never takes the host's place.
    """

    def __init__(self, model: GuestModel, clock: Clock, hosting: Hosting | None) -> None:
        self.newest = ("", 0)
        self.can_go_back = False
        self.alignment = Alignment()
        self._model, self._clock, self._hosting = model, clock, hosting
        self._home = model.guest.place
        self._turned = 0  # how often another way to follow was asked for
        self._state = (False, False)  # freeze and blackout as the host has them
        self._looked_ns = 0
        self._has_met = False
        self._place = 0

    @property
    def horizon_ns(self) -> int:
        """Only a host takes anything back."""
        return self._hosting.horizon_ns if self._leads and self._hosting else 0

    @property
    def lead_ns(self) -> int:
        """Only a host makes blocks."""
        return self._hosting.lead_ns if self._leads and self._hosting else 0

    @property
    def _leads(self) -> bool:
        return not self._model.follows

    def meet(self, info: WorldInfo) -> None:
        """The world is open: say so to the host, and listen, to be found if the host dies."""
        guest, weights = self._model.guest, self._model.guest.introduction.weights
        self._has_met, port = True, 0
        if self._hosting:
            self._hosting.meet(info)
            self._hosting.close_door(f"this is a guest of {place_text(self._home)}, not a host")
            port = self._hosting.port
        guest.introduce(replace(guest.introduction, world=info.name, weights=weights, port=port))

    def gather(self) -> list[RemoteEvent]:
        """What guests have asked for, if this is the host by now."""
        if self._has_met:
            self._model.listen()
        found = self._hosting.gather() if self._hosting else []
        return found if self._leads else []

    def held(self, remote: RemoteEvent) -> None:
        """These words wait for the beat here; only a host is asked for any."""
        if self._hosting:
            self._hosting.held(remote)

    def submitted(self, number: int | None, event: Event, remote: RemoteEvent | None) -> None:
        """Tell those who follow, if this is the host by now."""
        if self._leads and self._hosting:
            self._hosting.submitted(number, event, remote)

    def stamped(self, number: int, stage: str, t_ns: int, why: str) -> None:
        """An event has ended."""
        if self._leads and self._hosting:
            self._hosting.stamped(number, stage, t_ns, why)

    def note(self, message: Any) -> None:
        """The model has said this."""
        if self._leads and self._hosting:
            self._hosting.note(message)

    def taken_back(self, kept: int) -> None:
        """The blocks after `kept` were dropped here."""
        if self._leads and self._hosting:
            self._hosting.taken_back(kept)

    def align(self, pacer: Pacer, switches: ShowSwitches, tick_ns: int) -> int:
        """Let frames be due as on the host's screen, and later by the delay of this one; by how much to move ticks."""
        turned, self._turned = switches.ways_asked - self._turned, switches.ways_asked
        if self._leads:
            return self._hosting.align(pacer, switches, tick_ns) if self._hosting else 0
        if turned:
            self._model.turn_way()
            self.newest = f"following by {self._model.way.text()}", self._clock.now_ns()
        guest, step_ns = self._model.guest, 0
        dues, self._model.dues = self._model.dues, []
        for due in dues:
            local_ns = guest.clock.to_local(due.due_ns)
            self.alignment.note_due(due.frame, local_ns)
            if guest.clock.is_known and not due.freeze:
                due_ns = local_ns + self.alignment.delay_ns - TIE_NS
                pacer.follow(due.frame, due_ns, due.period_ns, at_once=self.alignment.is_new)
                step_ns = phase_step(tick_ns, guest.clock.to_local(due.tick_ns) + self.alignment.delay_ns)
            self._follow_switches(due, switches)
        guest.delay_ns = self.alignment.delay_ns
        self._ask_to_switch(switches)
        self._read_news()
        self._look_for_host(switches, self._clock.now_ns())
        return step_ns

    def came(self, marks: Sequence[FrameMark]) -> None:
        """These frames can be shown from now on."""
        if self._leads and self._hosting:
            self._hosting.came(marks)
        for mark in marks:
            self.alignment.came(mark.number, mark.written_ns)

    def shown(self, frame: FrameMark, times_ns: tuple[int, int], pacer: Pacer, switches: ShowSwitches) -> None:
        """This frame was the last to be shown."""
        if self._leads and self._hosting:
            self._hosting.shown(frame, times_ns, pacer, switches)

    def rows(self) -> Sequence[tuple[str, str]]:
        """The host and how far it is; who else is there."""
        if self._leads and self._hosting:
            return self._hosting.rows()
        guest = self._model.guest
        state = f"{guest.clock.round_trip_ns / 1e6:.1f} ms away" if guest.is_joined else "lost"
        names = ", ".join(seat["name"] for seat in self._model.roster.seats)
        delay = f"{self.alignment.delay_ns / 1e6:.0f} ms"
        return [("host", state), ("follows by", self._model.way.text()), ("delay to the host", delay), ("peers", names)]

    def close(self) -> None:
        """Take leave."""
        if self._hosting:
            self._hosting.close()

    def _follow_switches(self, due: Due, switches: ShowSwitches) -> None:
        """Freeze and black out where the host has just done so."""
        state = due.freeze, due.blackout
        if state != self._state:
            self._state = state
            switches.frozen, switches.blackout = state

    def _ask_to_switch(self, switches: ShowSwitches) -> None:
        """What an operator has switched here is asked of the host, for all."""
        guest = self._model.guest
        if self._model.cues is not None:
            switches.show_far_cues(self._model.cues.names, self._model.cues.following)
            self._model.cues = None
        for cue, index in switches.take_far_cues():
            guest.send(CueCall(cue, index))
        wanted = switches.frozen, switches.blackout
        if wanted == self._state or not guest.welcome or guest.welcome.role != "operator":
            return
        for name, old, new in zip(("freeze", "blackout"), self._state, wanted, strict=True):
            if old != new:
                guest.send(Switch(name, new))
        self._state = wanted

    def _read_news(self) -> None:
        news, self._model.news = self._model.news, []
        for message in news:
            event = event_from(message.event)
            if isinstance(event, Prompt | Scene):
                self.newest = f"{message.name}: {event.text}", self._clock.now_ns()

    # -- without a host --

    def _look_for_host(self, switches: ShowSwitches, now_ns: int) -> None:
        """Without a host: look for it, and for those who may have taken its place, or take it."""
        guest = self._model.guest
        if guest.lost_ns is None or not self._model.life:
            self._looked_ns, self._place = now_ns, 0
            return
        rank = self._rank()
        is_time = now_ns - guest.lost_ns > (2 * rank - 1) * TAKE_OVER_NS and not guest.has_ended
        if self._hosting and rank and is_time and self._model.can_lead:
            self._take_over(self._hosting)
            switches.show_far_cues((), None)  # they were the old host's
            return
        if now_ns - self._looked_ns > LOOK_NS:
            places = self._places()
            self._looked_ns, self._place = now_ns, self._place + 1
            guest.move(places[self._place % len(places)])
            self.alignment.restart()

    def _rank(self) -> int:
        """This guest's place in the line of those who may take over, from 1; 0 for none."""
        own = self._model.own_number
        return next((seat["successor"] for seat in self._model.roster.seats if seat["number"] == own and own), 0)

    def _places(self) -> list[Place]:
        """Where a host may be: where it was, and where its successors listen."""
        line = sorted((seat for seat in self._model.roster.seats if seat["successor"]), key=lambda s: s["successor"])
        return [self._home, *(parse_place(s["address"]) for s in line if s["number"] != self._model.own_number)]

    def _take_over(self, hosting: Hosting) -> None:
        log.warning("the host at %s does not come back: this machine goes on as the host", place_text(self._home))
        self._model.guest.close()
        self._model.lead()
        hosting.close_door("")
