"""A host and its guests: who is let in, what each may ask for, and that nobody is asked for anything twice."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from net.door import COMINGS_BURST, COMINGS_HZ, HELLO_NS, HostFacts
from net.guest import Guest, Introduction
from net.host import POLL_NS, SILENT_NS, Host
from net.message import MAX_GUESTS, ClockReading, CueCall, Events, Hello, Receipt, Roster, Switch
from net.picture import FollowBy, Latents, Retract, Video, WorldDescription
from net.schema import NetError
from net.seats import MAX_VIDEO_WAITING
from net.transport import TcpListener, connect, parse_place, place_text
from net.wire import to_bytes
from tests.peers.network import MemoryNetwork

MS = 1_000_000
PROMPT = {"type": "prompt", "text": "blue rain"}
KEY = b"a long secret"
LATENTS = Latents(1, 0, 1, (1, 1, 1, 2, 2), "float32", "", (), None, None, {}, PROMPT, 1)
ABOUT = WorldDescription("ff", 224, 128, {"zoom": (-0.5, 1.0, 0.0)}, "red ripples", "red blue", "the", 8)


class Stage:
    """A host and guests on a network in memory, and the time that they live in."""

    def __init__(self, key=None, delay_ms=0, jitter_ms=0, piece=1 << 20):
        self.t_ns = 10**12
        self.network = MemoryNetwork(self.now_ns, delay_ms * MS, jitter_ms * MS, piece)
        facts = HostFacts("small", ABOUT, 24.0, 6, "Hilda", key)
        self.host = Host(self.network.listen(7474), facts, self.now_ns)
        self.guests, self.requests, self.heard = [], [], {}

    def now_ns(self):
        return self.t_ns

    def join(self, name="Ada", role="player", **more):
        about = {"follow": "latents", "world": "small", "weights": "ff", **more}
        introduction = Introduction(name.encode().ljust(16, b"."), name, role, **about)
        guest = Guest(self.network.connect, ("host", 7474), introduction, self.now_ns)
        self.guests.append(guest)
        self.heard[guest] = []
        return guest

    def pass_time(self, seconds=0.5, step_ms=5):
        for _ in range(round(seconds * 1000 / step_ms)):
            self.t_ns += step_ms * MS
            self.requests += self.host.poll()
            self.host.flush()
            for guest in self.guests:
                self.heard[guest] += [message for message, _ in guest.poll()]

    def asked(self):
        """The numbers of the events that the host was asked for, in order."""
        events = [message for _, message in self.requests if isinstance(message, Events)]
        return [asked["number"] for message in events for asked in message.events]

    def receipts(self, guest):
        return [(m.number, m.state, m.why) for m in self.heard[guest] if isinstance(m, Receipt)]


def test_a_guest_is_let_in_and_stands_in_the_roster():
    stage = Stage()
    ada = stage.join("Ada")
    stage.pass_time()
    assert ada.welcome.number == 1
    rosters = [message for message in stage.heard[ada] if isinstance(message, Roster)]
    assert [seat["name"] for seat in rosters[-1].seats] == ["Hilda", "Ada"]


def test_what_a_guest_asks_for_arrives_once_and_has_its_receipt():
    stage = Stage()
    ada = stage.join()
    ada.ask(1, PROMPT, stage.t_ns)
    stage.pass_time()
    assert stage.asked() == [1]
    assert stage.receipts(ada) == [(1, "received", "")]


def test_the_age_of_an_event_is_told():
    stage = Stage()
    ada = stage.join()
    stage.pass_time()
    ada.ask(1, PROMPT, stage.t_ns - 30 * MS)
    stage.pass_time()
    events = next(message for _, message in stage.requests if isinstance(message, Events))
    assert events.events[0]["age_ns"] == 30 * MS


def test_a_viewer_only_watches():
    stage = Stage()
    ada = stage.join(role="viewer")
    ada.ask(1, PROMPT, 0)
    stage.pass_time()
    assert stage.asked() == []
    assert stage.receipts(ada) == [(1, "lost", "viewers watch")]


def test_a_flood_of_prompts_is_let_in_by_a_few():
    stage = Stage()
    ada = stage.join()
    for number in range(1, 101):
        ada.ask(number, PROMPT, 0)
    stage.pass_time(1.0)
    assert 5 <= len(stage.asked()) <= 12
    assert len(stage.receipts(ada)) == 100


class SlowStage(Stage):
    """Each look at the clock takes 50 us, as long as reading a message does."""

    def now_ns(self):
        self.t_ns += MS // 20
        return self.t_ns


def test_a_flood_takes_a_millisecond_of_a_tick_and_keeps_the_others_waiting_for_no_more_than_that():
    stage = SlowStage()
    mallory, ada = stage.join("Mallory"), stage.join("Ada")
    stage.pass_time(0.2)
    flood = [
        Events(tuple({"number": number, "event": PROMPT, "age_ns": 0} for number in range(first, first + 16)))
        for first in range(1, 6401, 16)
    ]
    mallory._channel.send_bytes(b"".join(map(to_bytes, flood)))
    mallory._channel.flush(2**20)
    ada.ask(1, PROMPT, stage.t_ns)
    ada.poll()
    received, heard = [0], []
    for _ in range(60):
        heard.append([member.name for member, _ in stage.host.poll()])
        received.append(stage.host.members[0].received)
    most_in_a_millisecond = 16 * POLL_NS // (MS // 20)
    assert max(after - before for before, after in pairwise(received)) <= most_in_a_millisecond
    assert any("Ada" in names for names in heard[:2])
    assert received[-1] == 6400, "what there was no time for is read later"


def test_a_player_turns_no_switches_and_is_sent_away_for_it():
    stage = Stage()
    ada = stage.join()
    stage.pass_time(0.1)
    ada.send(Switch("blackout", True))
    stage.pass_time(0.05)
    assert [message for _, message in stage.requests if isinstance(message, Switch)] == []
    assert stage.host.refusals.count == 1


def test_an_operator_has_to_prove_the_key():
    stage = Stage(KEY)
    eve, ada = stage.join("Eve", "operator", key=b"a guess of it"), stage.join("Ada", "operator", key=KEY)
    stage.pass_time(0.1)
    ada.send(Switch("freeze", True))
    stage.pass_time(0.1)
    assert not eve.is_joined and "key" in eve.refused
    assert [message for _, message in stage.requests if isinstance(message, Switch)] == [Switch("freeze", True)]


def test_without_a_key_nobody_is_an_operator():
    stage = Stage()
    ada = stage.join(role="operator")
    stage.pass_time()
    assert "--key FILE" in ada.refused


def test_who_has_other_weights_is_told_which_world_this_is():
    stage = Stage()
    ada = stage.join(weights="ee")
    stage.pass_time()
    assert ada.refused == "this is the world small ff, not small ee: open the same one, or follow by video"


@pytest.mark.parametrize("role", ["viewer", "player"])
def test_only_operators_fire_cues(role, caplog):
    stage = Stage(KEY)
    ada = stage.join(role=role, key=KEY)
    stage.pass_time(0.1)
    ada.send(CueCall("next"))
    stage.pass_time(0.05)
    assert [message for _, message in stage.requests if isinstance(message, CueCall)] == []
    assert f"{role}s do not fire cues: that is for operators" in caplog.text


def test_who_has_other_weights_follows_by_video_and_not_by_latents(caplog):
    stage = Stage()
    ada = stage.join(follow="video", weights="ee")
    stage.pass_time(0.1)
    assert ada.is_joined and ABOUT in stage.heard[ada]
    ada.send(FollowBy("latents"))
    stage.pass_time(0.05)
    assert not ada.is_joined and "it has other weights than this world small" in caplog.text


def test_who_asks_for_one_beginning_after_another_is_sent_away(caplog):
    stage = Stage()
    ada = stage.join()
    stage.pass_time(0.1)
    for _ in range(30):
        ada.send(FollowBy("video"))
    stage.pass_time(0.05)
    assert "it begins anew too often" in caplog.text
    assert len([message for _, message in stage.requests if isinstance(message, FollowBy)]) < 10


def test_a_video_begins_with_a_key_frame():
    stage = Stage()
    ada = stage.join(follow="video", weights="")
    stage.pass_time(0.1)
    assert stage.host.show(Video(7, 1, False, False, 3), b"abc"), "a key frame is wanted"
    assert not stage.host.show(Video(8, 1, True, False, 3), b"abc")
    stage.host.show(Video(9, 1, False, False, 3), b"abc")
    stage.pass_time(0.1)
    assert [message.frame for message in stage.heard[ada] if isinstance(message, Video)] == [8, 9]


def test_who_reads_a_video_too_slowly_skips_to_a_key_frame_and_keeps_the_others_waiting_for_nothing():
    stage = Stage()
    slow, quick = stage.join("slow", follow="video"), stage.join("quick", follow="video")
    stage.pass_time(0.1)
    stage.guests.remove(slow)
    most, is_wanted = 0, True
    stage.network.piece = 20_000
    member = next(member for member in stage.host.members if member.name == "slow")
    member.channel._stream.write = lambda data: 0  # nothing leaves
    for number in range(600):
        is_wanted = stage.host.show(Video(number, 0, is_wanted, False, 10_000), bytes(10_000))
        stage.pass_time(0.01, 10)
        most = max(most, member.waiting_bytes)
    assert most < MAX_VIDEO_WAITING + 20_000
    del member.channel._stream.write
    stage.guests.append(slow)
    for number in range(600, 800):
        is_wanted = stage.host.show(Video(number, 0, is_wanted, False, 10_000), bytes(10_000))
        stage.pass_time(0.01, 10)
    frames = [message for message in stage.heard[slow] if isinstance(message, Video)]
    gap = next(place for place in range(1, len(frames)) if frames[place].frame != frames[place - 1].frame + 1)
    assert frames[gap].is_key and frames[-1].frame >= 797
    assert [m.frame for m in stage.heard[quick] if isinstance(m, Video)] == list(range(frames[-1].frame + 1))[:800]


def test_a_change_from_latents_to_video_repeats_no_block():
    stage = Stage()
    ada = stage.join()
    stage.pass_time(0.1)
    stage.host.broadcast(replace(LATENTS, index=4), bytes(LATENTS.size_bytes), follows=("latents",))
    ada.send(FollowBy("video"))
    stage.pass_time(0.1)
    for number in (29, 30):
        stage.host.show(Video(number, number // 6, True, False, 1), b"x")
    stage.pass_time(0.1)
    assert [message.frame for message in stage.heard[ada] if isinstance(message, Video)] == [30]


def test_who_follows_nothing_needs_no_weights():
    stage = Stage()
    ada = stage.join(follow="nothing", weights="", world="")
    stage.pass_time()
    stage.host.broadcast(Retract(3), follows=("latents", "video"))
    stage.pass_time()
    assert ada.is_joined and Retract(3) not in stage.heard[ada]


def test_no_more_guests_are_let_in_than_there_are_seats():
    stage = Stage()
    guests = [stage.join(f"guest {number}") for number in range(MAX_GUESTS + 2)]
    stage.pass_time(2)
    assert sum(guest.is_joined for guest in guests) == MAX_GUESTS


def test_after_a_lost_connection_everything_is_asked_for_exactly_once_and_in_order():
    stage = Stage(delay_ms=80, jitter_ms=20)
    ada = stage.join()
    chance = random.Random(3)
    for number in range(1, 41):
        ada.ask(number, {"type": "dial", "name": "zoom", "value": number / 100}, stage.t_ns)
        stage.pass_time(0.1)
        if chance.random() < 0.15:
            stage.network.lose_connections()
    stage.pass_time(4)
    assert stage.asked() == list(range(1, 41))
    assert {n for n, state, _ in stage.receipts(ada) if state == "received"} == set(range(1, 41))


def test_a_receipt_that_a_lost_connection_swallowed_comes_with_the_next_one():
    stage = Stage()
    ada = stage.join()
    ada.ask(1, PROMPT, 0)
    stage.pass_time()
    stage.network.lose_connections()
    member = stage.requests[0][0]
    stage.host.send(member, Receipt(1, "flip", None, 5))
    stage.pass_time(2)
    assert (1, "flip", "") in stage.receipts(ada)


def test_the_same_guest_keeps_its_number():
    stage = Stage()
    ada = stage.join()
    stage.pass_time()
    stage.network.lose_connections()
    stage.join("Bob")
    stage.pass_time(2)
    assert ada.welcome.number == 1


def test_a_host_that_falls_silent_is_noticed():
    stage = Stage()
    ada = stage.join()
    stage.pass_time()
    for _ in range(800):
        stage.t_ns += 5 * MS
        ada.poll()
    assert not ada.is_joined


def test_a_guest_that_falls_silent_is_noticed():
    stage = Stage()
    stage.join()
    stage.pass_time()
    stage.guests.clear()
    stage.pass_time(SILENT_NS / 1e9 + 0.1, step_ms=20)
    assert stage.host.members == []


def test_a_stranger_that_does_not_say_who_it_is_goes_again():
    stage = Stage()
    stream = stage.network.connect(("host", 7474))
    stage.pass_time(1)
    stream.write(b"\x01")  # a slow one: a byte at a time
    stage.pass_time(HELLO_NS / 1e9)
    assert stage.host.refusals.count == 1


def test_two_hundred_connections_at_once_keep_no_guest_out_for_long():
    stage = Stage()
    for _ in range(200):
        stage.network.connect(("host", 7474))
    ada = stage.join()
    stage.pass_time(6)
    assert ada.is_joined
    assert stage.host.refusals.count >= 200


def test_who_comes_and_goes_without_end_is_let_in_a_few_times_only(caplog):
    stage = Stage()
    ada = stage.join()
    stage.pass_time()
    for _ in range(500):
        mallory = stage.join("Mallory")
        stage.pass_time(0.02)
        mallory.close()
        stage.guests.remove(mallory)
    assert sum(isinstance(message, Hello) for _, message in stage.requests) <= COMINGS_BURST + 10 * COMINGS_HZ + 1
    assert ada.is_joined and "too many come at once: try again" in caplog.text


@pytest.mark.parametrize("seed", range(20))
def test_garbage_harms_neither_the_host_nor_those_who_are_there(seed):
    stage, chance = Stage(), random.Random(seed)
    ada = stage.join()
    stage.pass_time(0.1)
    for _ in range(20):
        stream = stage.network.connect(("host", 7474))
        garbage = bytearray(to_bytes(ClockReading(1)) if chance.random() < 0.5 else chance.randbytes(60))
        garbage[chance.randrange(len(garbage))] = chance.randrange(256)
        stream.write(bytes(garbage))
        stage.pass_time(0.05)
    ada.ask(1, PROMPT, 0)
    stage.pass_time(4)
    assert stage.asked() == [1]
    assert stage.host.refusals.count == 20


def test_a_guest_that_reads_nothing_is_given_up():
    stage = Stage()
    stage.join()
    stage.pass_time()
    stage.network.piece = 0
    latents = replace(LATENTS, shape=(1, 1, 1, 512, 512))
    for _ in range(100):
        stage.host.broadcast(latents, bytes(latents.size_bytes))
    assert stage.host.members == []


def test_the_hosts_clock_is_known_within_half_the_jitter():
    stage = Stage(delay_ms=80, jitter_ms=20)
    ada = stage.join()
    stage.pass_time(10)
    assert ada.clock.is_known
    assert abs(ada.clock.to_local(stage.t_ns) - stage.t_ns) < 10 * MS
    assert 160 * MS <= ada.clock.round_trip_ns <= 205 * MS


def test_over_tcp_it_is_the_same():
    stage = Stage()
    listener = TcpListener(("127.0.0.1", 0))
    stage.host = Host(listener, replace(stage.host.facts), stage.now_ns)
    stage.network.connect = lambda place: connect(("127.0.0.1", listener.port))
    ada = stage.join()
    ada.ask(1, PROMPT, 0)
    for _ in range(400):
        stage.pass_time(0.005)
        if stage.receipts(ada):
            break
    stage.host.close("the end")
    ada.close()
    assert stage.asked() == [1]


def test_a_port_that_is_taken_is_told_in_one_line():
    listener = TcpListener(("127.0.0.1", 0))
    with pytest.raises(NetError, match=f"cannot listen on 127.0.0.1:{listener.port}"):
        TcpListener(("127.0.0.1", listener.port))
    listener.close()


@pytest.mark.parametrize("text", ["", "7474x", "host:", "host:99999", ":7474", "1:2:3x"])
def test_a_place_that_is_none_is_refused(text):
    with pytest.raises(NetError, match="expected ADDRESS:PORT"):
        parse_place(text)


def test_a_place_is_read_as_it_is_written():
    assert parse_place("192.168.1.20:7474") == ("192.168.1.20", 7474)
    assert parse_place("[::1]:7474") == ("::1", 7474)
    assert parse_place("7474", "127.0.0.1") == ("127.0.0.1", 7474)
    assert place_text(("::1", 7474)) == "[::1]:7474"
