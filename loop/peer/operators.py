"""What operators on other machines ask of a host: freeze, blackout and cues."""

from __future__ import annotations

from loop.peer.peers import ShowSwitches
from net.host import Host
from net.message import MAX_CUE_NAME, MAX_CUES, CueCall, CueList, Switch
from net.seats import Member


class Operators:
    """Owned by Hosting."""

    def __init__(self) -> None:
        self._asked: list[tuple[Member, Switch | CueCall]] = []
        self._told: dict[int, CueList] = {}  # by the number of the operator

    def ask(self, member: Member, asked: Switch | CueCall) -> None:
        """An operator asks for this; it is done before the next tick."""
        self._asked.append((member, asked))

    def obey(self, switches: ShowSwitches, host: Host, now_ns: int) -> None:
        """Do what was asked for, and tell operators which cues there are when that has changed."""
        for member, asked in self._asked:
            if isinstance(asked, CueCall):
                switches.fire_cue(asked.cue, asked.index, f"peer {member.name}", now_ns)
            elif asked.switch == "freeze":
                switches.frozen = asked.on
            else:
                switches.blackout = asked.on
        self._asked.clear()
        self._tell_cues(switches, host)

    def _tell_cues(self, switches: ShowSwitches, host: Host) -> None:
        operators = {member.number: member for member in host.members if member.role == "operator"}
        self._told = {number: told for number, told in self._told.items() if number in operators}
        if not operators:
            return
        names = tuple(name[:MAX_CUE_NAME] for name in switches.cue_names[:MAX_CUES])
        cues = CueList(names, switches.next_cue)
        for number, member in operators.items():
            if self._told.get(number, CueList((), None)) != cues:
                self._told[number] = cues
                host.send(member, cues)
