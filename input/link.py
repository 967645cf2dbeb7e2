"""Ableton Link: one tempo and one bar with every other program of the network that has it on."""

from __future__ import annotations

from typing import Any

from input.action import Action, Command
from input.beat import BeatClock
from input.cues import BEATS_PER_BAR

LOOK_NS = 10_000_000  # between two looks at the session, each of which costs 0.04 ms
_HANDS = ("tap", "fixed")  # sources of the beat clock whose tempo a session is told


class LinkError(ValueError):
    """Link cannot be had; the message is one line for the user."""


class LinkSession:
    """A member of the network's Link session. Owned by the instruments.

    With other members, the session's tempo and the phase of its bar are followed. A tempo that is tapped or set here is
    given to the session; its bar can be moved only while there is no other member. A transport that another member
    starts is the first beat of the first bar. session: a `link.Link`, or what behaves like one; None: a new one. Raises
    LinkError if the library is missing.
    """

    name = "link"

    def __init__(self, session: Any = None) -> None:
        self._session = _new_session() if session is None else session
        self._session.startStopSyncEnabled = self._session.enabled = True
        self._told: tuple[float, int] | None = None  # tempo, and time of beat 0, that the session was given last
        self._was_playing = self._has_started = False
        self._looked_ns = -LOOK_NS

    def poll(self, now_ns: int) -> list[tuple[Action, int]]:
        """A new beginning of the count of beats, when another member has started its transport."""
        has_started, self._has_started = self._has_started, False
        return [(Command.RESYNC, now_ns)] if has_started else []

    def keep_time(self, clock: BeatClock, now_ns: int) -> None:
        """Tell the session what a hand has set here, and follow it if there are other members."""
        if now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        now_us, state = self._session.clock().micros(), self._session.captureAppSessionState()
        was_playing, self._was_playing = self._was_playing, state.isPlaying()
        self._has_started |= self._was_playing and not was_playing
        set_here = (clock.bpm, clock.time_of(0)) if clock.source in _HANDS else None
        if set_here and set_here != self._told:
            self._told = set_here
            state.setTempo(clock.bpm, now_us)
            state.requestBeatAtTime(clock.position(now_ns), now_us, BEATS_PER_BAR)
            self._session.commitAppSessionState(state)
        if self._session.numPeers():
            clock.follow("link", state.tempo(), state.phaseAtTime(now_us, BEATS_PER_BAR), now_ns)
        elif clock.source == "link":
            clock.release()

    def close(self) -> None:
        """Leave the session."""
        self._session.enabled = False


def _new_session() -> Any:
    try:
        from link import Link
    except ImportError:
        raise LinkError("Link needs LinkPython-extern: pip install 'neverblink[link]'") from None
    return Link(120.0)
