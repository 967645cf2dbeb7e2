"""OSC over real UDP on this machine."""

import random
import socket
import time

import pytest

pytest.importorskip("pythonosc", reason="needs python-osc: pip install 'neverblink[osc]'")

from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from input.action import Command, FireCue, SetState, StagePrompt
from input.osc import ADDRESSES, MOST_WAITING, OscError, OscServer
from tests.support.shows import wait_until
from world.event import Dial, Prompt, Scene


@pytest.fixture
def server():
    made = OscServer("127.0.0.1", 0)
    yield made
    made.close()


@pytest.fixture
def sender(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.settimeout(5)
        made.connect(("127.0.0.1", server.port))
        yield made


def message(address, *arguments):
    builder = OscMessageBuilder(address="/neverblink" + address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


def received(server, count):
    """The next `count` actions."""
    found = []
    wait_until(lambda: found.extend(action for action, _ in server.poll(0)) or len(found) >= count, "messages", 10)
    return found


def told(sender):
    """The next message that was sent back: its address and its arguments."""
    (timed,) = OscPacket(sender.recv(2000)).messages
    return timed.message.address.removeprefix("/neverblink"), *timed.message.params


@pytest.mark.parametrize(
    ("sent", "action"),
    [
        (("/prompt", "red ripples"), Prompt("red ripples")),
        (("/scene", "red"), Scene("red")),
        (("/stage", "red"), StagePrompt("red")),
        (("/dial/zoom", 0.5), Dial("zoom", 0.5)),
        (("/dial/zoom", 1), Dial("zoom", 1.0)),
        (("/cue", 2), FireCue(1)),
        (("/cue", 2.0), FireCue(1)),
        (("/arm", 2), FireCue(1, only_arm=True)),
        (("/next",), Command.NEXT),
        (("/tap", 1.0), Command.TAP),
        (("/blackout", True), SetState("blackout", 1)),
        (("/bpm", 126.0), SetState("bpm", 126.0)),
        (("/quantise", "bar"), SetState("quantise", "bar")),
    ],
)
def test_a_message_is_what_it_asks_for(server, sender, sent, action):
    sender.send(message(*sent))
    assert received(server, 1) == [action]


@pytest.mark.parametrize(
    "sent",
    [("/prompt", 3), ("/prompt",), ("/prompt", ""), ("/dial/zoom", "x"), ("/dial/zoom", float("nan")), ("/cue", 1.5),
     ("/cue", 1, 2), ("/nowhere", 1), ("/subscribe", 99999)],
)  # fmt: skip
def test_a_wrong_message_is_refused_and_told_and_the_next_one_counts(server, sender, sent):
    sender.send(message("/subscribe"))
    wait_until(lambda: server.poll(0) or server._subscribers, "the subscription", 10)
    assert told(sender) == ("/receipt", "/neverblink/subscribe")
    sender.send(message(*sent))
    sender.send(message("/prompt", "red"))
    assert received(server, 1) == [Prompt("red")]
    assert told(sender)[:2] == ("/refused", "/neverblink" + sent[0])


def test_a_released_button_is_no_second_press(server, sender):
    sender.send(message("/next", 1.0))
    sender.send(message("/next", 0.0))
    sender.send(message("/prompt", "end"))
    assert received(server, 2) == [Command.NEXT, Prompt("end")]


def test_garbage_harms_nothing(server, sender):
    chance = random.Random(1)
    good = message("/dial/zoom", 0.5)
    for _ in range(300):
        sender.send(chance.randbytes(chance.randint(0, 200)))
        broken = bytearray(good)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        sender.send(bytes(broken))
    found = []

    def is_heard():
        sender.send(message("/prompt", "still here"))  # again and again: the system drops datagrams of such a burst
        found.extend(action for action, _ in server.poll(0))
        return Prompt("still here") in found

    wait_until(is_heard, "a message after the garbage", 10)
    assert Prompt("still here") in found


def test_a_bundle_for_a_far_future_does_not_hold_up_what_follows(server, sender):
    sender.send(b"#bundle\0" + b"\xff" * 8 + len(message("/next")).to_bytes(4, "big") + message("/next"))
    sender.send(message("/prompt", "red"))
    assert received(server, 2) == [Command.NEXT, Prompt("red")]


def test_a_flood_is_cut_off_and_counted(server):
    for _ in range(MOST_WAITING + 5):
        server._take(message("/next"), ("127.0.0.1", 1))
    assert server.dropped == 5 and len(server.poll(0)) == MOST_WAITING


def test_the_beat_is_told_to_those_who_subscribe_once_a_beat(server, sender):
    sender.send(message("/subscribe"))
    wait_until(lambda: server.poll(0) or server._subscribers, "the subscription", 10)
    for position in (3.9, 4.0, 4.5, 5.1):
        server.tell_beat(position, 120)
    assert [told(sender) for _ in range(4)][1:] == [("/beat", 3, 120.0), ("/beat", 4, 120.0), ("/beat", 5, 120.0)]


def test_messages_carry_the_time_at_which_they_came(server, sender):
    before = time.perf_counter_ns()
    sender.send(message("/next"))
    found = []
    wait_until(lambda: found.extend(server.poll(0)) or found, "the message", 10)
    assert before < found[0][1] <= time.perf_counter_ns()


def test_a_port_that_is_taken_is_told(server):
    with pytest.raises(OscError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        OscServer("127.0.0.1", server.port)


def test_every_address_of_the_list_is_answered(server):
    samples = {"s": "bar", "i": 1, "f": 120.0}
    for address, kind, _ in ADDRESSES:
        arguments = [samples[kind]] if kind else []
        server._action("/neverblink" + address.replace("NAME", "zoom"), arguments, ("127.0.0.1", 5))
    with pytest.raises(ValueError):  # what is not in the list is refused
        server._action("/neverblink/nothing", [], ("127.0.0.1", 5))


def test_a_subscriber_is_told_what_becomes_of_its_own_events(server, sender):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.connect(("127.0.0.1", server.port))
        other.settimeout(5)
        other.send(message("/subscribe"))
        wait_until(lambda: server.poll(0) or server._subscribers, "the other's subscription", 10)
        sender.send(message("/subscribe"))
        wait_until(lambda: server.poll(0) or len(server._subscribers) == 2, "the subscription", 10)
        sender.send(message("/prompt", "red"))
        found = []
        wait_until(lambda: found.extend(server.poll(0)) or found, "the message", 10)
        asked_ns = found[0][1]
        server.events.submitted(7, asked_ns)
        server.events.stamped(7, "take", asked_ns + 1, 12)
        server.events.stamped(7, "flip", asked_ns + 250_000_000, None)
        assert [told(sender) for _ in range(5)][2:] == [
            ("/event/received", 7, "/neverblink/prompt"),
            ("/event/taken", 7, 12),
            ("/event/flip", 7, 250.0),
        ]
        other.setblocking(False)
        heard = [told(other)[0] for _ in range(3)]
        assert heard == ["/receipt"] * 3, "what others ask for is told by no more than that it came"


def test_what_another_port_of_the_same_host_asked_for_is_told_too(server, sender):
    sender.send(message("/subscribe"))
    wait_until(lambda: server.poll(0) or server._subscribers, "the subscription", 10)
    told(sender)
    server._take(message("/prompt", "red"), ("127.0.0.1", 9))
    ((_, asked_ns),) = server.poll(0)
    server.events.submitted(1, asked_ns)
    assert [told(sender)[0] for _ in range(2)] == ["/receipt", "/event/received"]


def test_messages_of_one_bundle_have_times_of_their_own(server):
    one = message("/next")
    size = len(one).to_bytes(4, "big")
    server._take(b"#bundle\0" + bytes(7) + b"\1" + size + one + size + one, ("127.0.0.1", 9))
    times = [t_ns for _, t_ns in server.poll(0)]
    assert len(set(times)) == 2
