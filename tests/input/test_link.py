"""Ableton Link: who follows whom. The session is a made-up one on made-up time."""

import builtins

import pytest

from input.action import Command
from input.beat import BeatClock, bar_text
from input.link import LinkError, LinkSession

SECOND = 10**9
BEAT = SECOND // 2  # 120 a minute


class FakeState:
    def __init__(self, session):
        self.session, self.bpm, self.asked = session, session.bpm, None

    def tempo(self):
        return self.bpm

    def phaseAtTime(self, now_us, quantum):
        return (now_us * self.session.bpm / 60e6 + self.session.shift) % quantum

    def isPlaying(self):
        return self.session.is_playing

    def setTempo(self, bpm, now_us):
        self.bpm = bpm

    def requestBeatAtTime(self, beat, now_us, quantum):
        self.asked = beat, now_us


class FakeSession:
    """A `link.Link` whose clock counts microseconds from another zero than ours."""

    AHEAD_US = 7_000_000_000

    def __init__(self, peers=0, bpm=126.0, shift=0.0):
        self.peers, self.bpm, self.shift, self.is_playing, self.now_ns = peers, bpm, shift, False, 0
        self.asked = []

    def numPeers(self):
        return self.peers

    def clock(self):
        return self

    def micros(self):
        return self.now_ns // 1000 + self.AHEAD_US

    def captureAppSessionState(self):
        return FakeState(self)

    def commitAppSessionState(self, state):
        self.bpm = state.bpm
        self.asked.append(state.asked)


def at(now_ns, link, session, clock):
    """Let the show look at the session at this time, until what it has found there is done."""
    session.now_ns = now_ns
    link.keep_time(clock, now_ns)
    for command, t_ns in link.poll(now_ns):
        assert command is Command.RESYNC
        clock.resync(t_ns)


@pytest.fixture
def clock():
    return BeatClock()


def test_tempo_and_bar_of_a_session_with_others_are_followed(clock):
    session = FakeSession(peers=1, bpm=126.0, shift=1.5)
    link = LinkSession(session)
    at(3 * SECOND, link, session, clock)
    assert (clock.source, clock.bpm) == ("link", 126.0)
    assert clock.position(3 * SECOND) % 4 == pytest.approx(FakeState(session).phaseAtTime(session.micros(), 4))


def test_alone_the_network_gives_no_beat(clock):
    session = FakeSession(peers=0)
    at(SECOND, LinkSession(session), session, clock)
    assert not clock.is_running


def test_a_tempo_that_is_tapped_is_given_to_the_session_once(clock):
    session = FakeSession(peers=1)
    link = LinkSession(session)
    at(0, link, session, clock)
    for beat in range(4):
        clock.tap(beat * BEAT)
    at(2 * SECOND, link, session, clock)
    at(3 * SECOND, link, session, clock)
    assert session.bpm == pytest.approx(120) and len(session.asked) == 1
    assert clock.source == "link"


def test_alone_the_session_is_told_where_the_bar_is(clock):
    session = FakeSession(peers=0)
    link = LinkSession(session)
    clock.fix(120, 0)
    at(5 * BEAT, link, session, clock)
    assert session.asked == [(pytest.approx(5), session.micros())]
    assert clock.source == "fixed"


def test_who_joins_a_session_does_not_bring_a_tempo_that_was_set_before(clock):
    session = FakeSession(peers=0)
    link = LinkSession(session)
    clock.fix(120, 0)
    at(SECOND, link, session, clock)
    session.peers, session.bpm = 1, 90.0
    at(2 * SECOND, link, session, clock)
    assert (clock.bpm, session.bpm) == (90.0, 90.0)


def test_the_count_of_bars_goes_on_while_the_session_is_followed(clock):
    session = FakeSession(peers=1, bpm=120.0)
    link = LinkSession(session)
    clock.fix(120, -39 * 4 * BEAT)
    at(0, link, session, clock)
    at(8 * BEAT, link, session, clock)
    assert bar_text(clock.position(8 * BEAT)) == "42.1"


def test_a_transport_that_another_starts_is_the_first_of_the_first_bar(clock):
    session = FakeSession(peers=1, bpm=120.0)
    link = LinkSession(session)
    at(37 * BEAT, link, session, clock)
    session.is_playing = True
    at(40 * BEAT, link, session, clock)
    assert clock.position(40 * BEAT) == pytest.approx(0, abs=1e-6)
    at(44 * BEAT, link, session, clock)
    assert bar_text(clock.position(44 * BEAT + 1000)) == "2.1"


def test_a_nudge_stays_while_the_session_is_followed(clock):
    session = FakeSession(peers=1, bpm=120.0)
    link = LinkSession(session)
    at(0, link, session, clock)
    before_ns = clock.time_of(8)
    clock.nudge(10_000_000)
    at(SECOND, link, session, clock)
    assert clock.time_of(8) - before_ns == pytest.approx(10_000_000, abs=10_000)


def test_the_tempo_stays_when_all_others_leave_and_music_may_be_followed(clock):
    session = FakeSession(peers=1)
    link = LinkSession(session)
    at(0, link, session, clock)
    session.peers = 0
    at(SECOND, link, session, clock)
    assert (clock.source, clock.bpm) == ("", 126.0)
    clock.hear(120, SECOND, 0.9)
    assert clock.source == "audio"


def test_a_midi_clock_is_in_command_over_the_session(clock):
    session = FakeSession(peers=1, bpm=90.0)
    link = LinkSession(session)
    for pulse in range(48):
        clock.pulse(pulse * BEAT // 24)
    at(2 * BEAT, link, session, clock)
    assert clock.source == "midi" and clock.bpm == pytest.approx(120)


def test_a_tempo_out_of_reach_is_not_followed(clock):
    session = FakeSession(peers=1, bpm=600.0)
    at(0, LinkSession(session), session, clock)
    assert not clock.is_running


def test_without_the_library_the_command_that_installs_it_is_told(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest, **more):
        if name == "link":
            raise ImportError
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(LinkError, match=r"pip install 'neverblink\[link\]'"):
        LinkSession()
