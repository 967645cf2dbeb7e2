"""The protocol of peers: what goes over the wire comes back, and no bytes do harm."""

from __future__ import annotations

import copy
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import msgpack
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loop.peer.blocks import from_latents, to_latents
from net.discovery import FoundHost, _Listener
from net.key import is_proven, proof
from net.message import (
    OF_GUESTS,
    OF_HOSTS,
    Bye,
    Challenge,
    ClockReading,
    CueCall,
    CueList,
    Events,
    Hello,
    News,
    Receipt,
    Roster,
    Switch,
    Welcome,
    to_map,
)
from net.picture import Digest, Due, FollowBy, Latents, Retract, Video, WorldDescription, WorldState
from net.refusals import Refusals
from net.schema import NetError
from net.wire import MAX_FIRST_HEAD, VERSION, Limits, Reader, to_bytes
from tests.support.tiny import tiny_world
from world.block import Block, Conditions, Snapshot
from world.dit.config import CacheConfig
from world.event import Rebuild

PROMPT = {"type": "prompt", "text": "blue rain"}
SEAT = {
    "number": 1,
    "name": "Ada",
    "role": "player",
    "follow": "latents",
    "delay_ms": 12.0,
    "address": "",
    "successor": 1,
}
LATENTS = Latents(
    7, 6, 7, (1, 1, 2, 1, 1), "float32", "ab" * 32, (PROMPT,), 5, 7, {"zoom": 0.5}, {"type": "prompt", "text": "x"}, 3
)
MESSAGES = [
    Challenge(b"n" * 16, True),
    Hello("small", "ff", b"i" * 16, "Ada", "player", "latents", b"", 4000),
    Welcome(3, "player", "small", 24.0, 6, 9),
    WorldDescription("ff", 224, 128, {"zoom": (-0.5, 1.0, 0.0)}, "red ripples", "red blue", "the", 8),
    WorldState(7, 12, 11, {"type": "blend", "parts": [["a", 0.25], ["b", 0.75]]}, {"zoom": -1.0}, 4),
    LATENTS,
    replace(LATENTS, averages=(2, 1, 1, 2, 1, 2), events=({"type": "rebuild", "keeps_averages": True},)),
    Video(96, 4, True, False, 17),
    FollowBy("video"),
    Retract(-1),
    Due(96, -5, 7, 41_666_666, False, True),
    Events(({"number": 1, "event": PROMPT, "age_ns": 5},)),
    Receipt(1, "taken", 8, 123, ""),
    News("Ada", {"type": "scene", "text": "night", "seed": None}),
    Digest(7, "ab" * 32),
    ClockReading(1, 2, 3, 4),
    Switch("blackout", True),
    CueCall("number", 3),
    CueList(("dawn", "noon"), None),
    Roster((SEAT,)),
    Bye("the show ended", True),
]
EVERYTHING = Limits((Hello, *OF_GUESTS, *OF_HOSTS), payload=2**20)
OF_A_GUEST = Limits(OF_GUESTS)
names = st.sampled_from(
    [
        "kind",
        "number",
        "event",
        "events",
        "type",
        "text",
        "name",
        "value",
        "age_ns",
        "why",
        "hello",
        "\x1b[2J",
        "k" * 99,
    ]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=12
)


def texts_in(value, path=()):
    """The path to each text in a message, and the text; keys that are no names of fields are texts too."""
    if isinstance(value, str):
        yield path, value
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from texts_in(inner, (*path, key))
    for place, inner in enumerate(value) if isinstance(value, list | tuple) else ():
        yield from texts_in(inner, (*path, place))


def changed_at(value, path, text):
    """The same with another text in that place."""
    value = copy.deepcopy(list(value) if isinstance(value, tuple) else value)
    value[path[0]] = changed_at(value[path[0]], path[1:], text) if len(path) > 1 else text
    return value


def payload_of(message):
    return bytes(range(message.size_bytes)) if isinstance(message, Latents | Video) else b""


def framed(head: bytes, payload: bytes = b"", version: int = VERSION) -> bytes:
    return bytes([version]) + len(head).to_bytes(2, "big") + len(payload).to_bytes(4, "big") + head + payload


def read_all(data: bytes, limits: Limits = OF_A_GUEST) -> int:
    """How many messages a reader finds before it has had enough, or refuses the rest in words fit for a log."""
    reader, found = Reader(limits), 0
    reader.feed(data)
    try:
        while reader.next() is not None:
            found += 1
    except NetError as error:
        assert str(error).isprintable() and len(str(error)) < 500
    return found


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was_sent(message):
    reader = Reader(EVERYTHING)
    reader.feed(to_bytes(message, payload_of(message)))
    assert reader.next() == (message, payload_of(message))
    assert not reader.is_inside


HOSTILE = "A\x1b]0;you\x07\r\n  neverblink: \u202eda\x00"  # a terminal's title, a line of its own, backwards


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_no_text_of_a_peer_holds_anything_that_a_terminal_would_obey(message):
    for path, _ in texts_in(to_map(message)):
        reader = Reader(EVERYTHING)
        reader.feed(framed(msgpack.packb(changed_at(to_map(message), path, HOSTILE)), payload_of(message)))
        try:
            read, _ = reader.next()
        except NetError as error:  # one of a few choices, say
            assert str(error).isprintable()
        else:
            assert dict(texts_in(to_map(read)))[path] == "A]0;you neverblink: da"


def test_an_event_with_a_field_that_a_terminal_would_obey_is_refused_in_one_short_line():
    with pytest.raises(NetError, match="unknown field") as refused:
        Events(({"number": 1, "event": {**PROMPT, HOSTILE * 1000: 1}, "age_ns": 0},))
    assert str(refused.value).isprintable() and len(str(refused.value)) < 200


def test_a_refusal_is_one_short_line_of_the_log(caplog):
    Refusals().note("1.2.3.4:5", f"it calls itself {HOSTILE}" + "!" * 5_000, 0)
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith("refused 1.2.3.4:5: it calls itself A]0;you neverblink: da!!") and len(told) < 400


def test_a_host_that_announces_itself_by_an_unreadable_name_is_found_by_a_readable_one():
    found = _Listener()
    told = {"name": HOSTILE, "world": "small"}
    described = SimpleNamespace(
        properties={key.encode(): value.encode() for key, value in told.items()},
        port=7474,
        parsed_addresses=lambda: ["10.0.0.7"],
    )
    found.add_service(SimpleNamespace(get_service_info=lambda kind, name: described), "", "")
    assert found.found == [FoundHost("A]0;you neverblink: da", "small", ("10.0.0.7", 7474))]


def test_messages_may_come_in_any_pieces():
    data, reader, found = b"".join(to_bytes(m, payload_of(m)) for m in MESSAGES), Reader(EVERYTHING), []
    for place in range(0, len(data), 3):
        reader.feed(data[place : place + 3])
        while (message := reader.next()) is not None:
            found.append(message[0])
    assert found == MESSAGES


def test_another_version_is_refused_with_both_numbers():
    reader = Reader(EVERYTHING)
    reader.feed(framed(b"\x80", version=9))
    with pytest.raises(NetError, match="version 9: this is version 1"):
        reader.next()


def test_a_length_of_four_gigabytes_is_refused_before_its_bytes_come():
    reader = Reader(OF_A_GUEST)
    reader.feed(bytes([VERSION, 0, 10]) + b"\xff\xff\xff\xff")
    with pytest.raises(NetError, match="4,294,967,295 bytes"):
        reader.next()


def test_a_stranger_may_send_little():
    with pytest.raises(NetError, match="the most here"):
        reader = Reader(Limits((Hello,), head=MAX_FIRST_HEAD))
        reader.feed(framed(b"\x80" * (MAX_FIRST_HEAD + 1)))
        reader.next()


def test_an_unknown_field_is_refused_with_its_name():
    reader = Reader(OF_A_GUEST)
    reader.feed(framed(msgpack.packb({**to_map(Bye("x")), "colour": 1})))
    with pytest.raises(NetError, match="unknown field 'colour'"):
        reader.next()


def test_a_message_of_the_other_side_is_refused():
    reader = Reader(OF_A_GUEST)
    reader.feed(to_bytes(Retract(3)))
    with pytest.raises(NetError, match="message 'retract'"):
        reader.next()


def test_latents_whose_payload_is_of_another_size_are_refused():
    reader = Reader(EVERYTHING)
    reader.feed(framed(msgpack.packb(to_map(LATENTS)), b"1234567"))
    with pytest.raises(NetError, match="7 bytes of payload: expected 8"):
        reader.next()


def averaged_block() -> Block:
    averages = np.arange(16, dtype=np.float32).reshape(2, 1, 1, 2, 2, 2)
    return Block(7, 6, 14, np.ones((1, 1, 2, 1, 1), np.float16), (Rebuild(keeps_averages=True),), 7, 7, {}, averages)


def test_averages_travel_behind_the_latents_of_their_block():
    message, payload = to_latents(averaged_block(), Conditions("x", 3))
    reader = Reader(EVERYTHING)
    reader.feed(to_bytes(message, payload))
    block = from_latents(*reader.next(), 0).block
    assert np.array_equal(block.averages, averaged_block().averages) and block.digest == averaged_block().digest
    assert block.events == (Rebuild(keeps_averages=True),)


def test_a_guest_that_takes_the_hosts_place_goes_on_from_the_hosts_averages():
    world = tiny_world(CacheConfig(6, 2, 2, averages=(0.9, 0.5)))
    session = world.session(7, "first words")
    made = [session.step() for _ in range(6)]
    came = [from_latents(*to_latents(block, Conditions("first words", 7)), 0).block for block in made[-3:]]
    guest = world.session(7, "first words")
    guest.resume(Snapshot(7, 6, 12, "first words", {}, tuple(came)))
    next(guest.begin())
    assert np.array_equal(guest.banks.front.averages(12).array(), made[-1].averages)
    assert guest.step().digest == session.step([Rebuild(keeps_averages=True)]).digest


def test_a_block_without_averages_is_told_as_peers_that_know_none_tell_it():
    message, _ = to_latents(replace(averaged_block(), averages=None), Conditions("x", 3))
    assert "averages" not in to_map(message)


def test_averages_that_are_not_numbers_are_refused_in_one_line():
    block = averaged_block()
    block.averages[0, 0] = np.inf
    with pytest.raises(NetError, match="block 7 came with averages that are not finite"):
        from_latents(*to_latents(block, Conditions("x", 3)), 0)


def test_averages_above_their_size_are_refused_in_one_line():
    with pytest.raises(NetError, match=r"Latents.averages: averages of 65,544 bytes: 65,536 are the most"):
        replace(LATENTS, averages=(16386,))


@pytest.mark.parametrize(
    "event",
    [
        {"type": "rewind", "block": 1},
        {"type": "dial", "name": "zoom", "value": float("nan")},
        {"type": "dial", "name": "zoom", "value": "1"},
        {"type": "dial", "name": ["zoom"], "value": 1.0},
        {"type": "prompt", "text": 5},
        {"type": "prompt", "text": ""},
        {"type": "prompt", "text": "a" * 2001},
        {"type": "prompt"},
        {"type": "scene", "text": "a", "seed": -1},
        {"type": "prompt", "text": "a", "more": 1},
        {"type": "prompt", "text": "\ud800"},
        "prompt",
    ],
)
def test_an_event_that_no_guest_may_send_is_refused(event):
    with pytest.raises(NetError):
        Events(({"number": 1, "event": event, "age_ns": 0},))


@pytest.mark.parametrize("place", ["example.org:80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "[::1]:x", ":1"])
def test_an_address_that_would_have_to_be_looked_up_is_refused(place):
    with pytest.raises(NetError, match="ADDRESS:PORT"):
        Roster(({**SEAT, "address": place},))


@pytest.mark.parametrize("place", ["", "127.0.0.1:80", "[::1]:80"])
def test_a_numeric_address_is_let_through(place):
    assert Roster(({**SEAT, "address": place},)).seats[0]["address"] == place


def test_more_events_than_a_message_may_hold_are_refused():
    with pytest.raises(NetError, match="at most 16"):
        Events(tuple({"number": n, "event": PROMPT, "age_ns": 0} for n in range(17)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
@example(b"\x01\x00\x00\x00\x00\x00\x00")
def test_no_bytes_do_harm(data):
    assert read_all(data) <= len(data) // len(framed(b""))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_head_does_harm(head):
    assert read_all(framed(head)) in (0, 1)


@settings(max_examples=300, deadline=None)
@given(values)
def test_nothing_that_msgpack_can_hold_does_harm(value):
    assert read_all(framed(msgpack.packb(value))) in (0, 1)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MESSAGES), st.dictionaries(st.integers(0, 12), values, max_size=2))
def test_a_message_with_other_values_in_its_fields_does_no_harm(message, changes):
    fields = to_map(message)
    keys = list(fields)
    for place, value in changes.items():
        fields[keys[place % len(keys)]] = value
    assert read_all(framed(msgpack.packb(fields), payload_of(message)), EVERYTHING) in (0, 1)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(MESSAGES), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4))
def test_a_message_with_changed_bytes_does_no_harm(message, changes):
    data = bytearray(to_bytes(message, payload_of(message)))
    for place, value in changes:
        data[place % len(data)] = value
    assert read_all(bytes(data), EVERYTHING) <= len(data) // len(framed(b""))


@pytest.mark.parametrize("byte", [b"\x90", b"\x91", b"\x80", b"\xc0", b"\xdd", b"\xdf", b"\xc7"])
def test_the_largest_head_of_one_byte_repeated_takes_little_memory(byte):
    head = b"\xdc\xff\xff" + byte * 65_000
    tracemalloc.start()
    read_all(framed(head))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * 2**20


def test_the_key_is_proven_only_by_who_has_it():
    given = proof(b"secret", b"n" * 16, b"i" * 16, "operator")
    assert is_proven(b"secret", b"n" * 16, b"i" * 16, "operator", given)
    assert not is_proven(b"other", b"n" * 16, b"i" * 16, "operator", given)
    assert not is_proven(b"secret", b"m" * 16, b"i" * 16, "operator", given)
    assert not is_proven(b"secret", b"n" * 16, b"i" * 16, "player", given)
    assert not is_proven(b"secret", b"n" * 16, b"i" * 16, "operator", b"")
