"""Phones and the show: who comes in by which address, what each may ask for, and what waits for an operator."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import pytest

from net.door import HostFacts
from net.guest import Guest
from net.host import Host
from net.message import Events, Receipt, Switch
from net.picture import WorldDescription
from net.schema import NetError
from net.web.gateway import MOST_PHONES, MOST_SEATS, Gateway, WrongToken
from net.web.hall import MOST_OF_ONE, MOST_WAITING
from net.web.phone import MOST_TOLD, PICTURES_AHEAD, Phone
from net.web.tokens import PAGE_ROLES, Tokens
from net.web.wishes import Ask, AskCue, Decide, Enter, Seen, TurnSwitch, Watch, read_wish
from tests.network import MemoryNetwork
from tests.wrong_words import changed

MS = 1_000_000
KEY = b"what only the phones know"
ABOUT = WorldDescription("ff", 224, 128, {}, "red ripples", "", "", 0)
RAIN = {"type": "prompt", "text": "blue rain"}
TOKENS = Tokens({role: f"token of {role}" for role in PAGE_ROLES})


class Evening:
    """A host, the gateway, and its phones, on a network in memory and on made-up time."""

    def __init__(self, key=None):
        self.t_ns = 10**12
        network = MemoryNetwork(self.now_ns, MS)
        self.host = Host(network.listen(7474), HostFacts("small", ABOUT, 24.0, 6, "Hilda", key, KEY), self.now_ns)
        self.asked, self.switched = [], []

        def new_guest(introduction):
            return Guest(network.connect, ("host", 7474), replace(introduction, key=KEY), self.now_ns)

        self.gateway = Gateway(TOKENS, new_guest, self.now_ns)
        self.pass_time()

    def now_ns(self):
        return self.t_ns

    def enter(self, role="player", name="Ada", identity="aa"):
        return self.gateway.enter(Enter(f"token of {role}", identity * 16, name))

    def pass_time(self, seconds=0.3):
        for _ in range(round(seconds * 200)):
            self.t_ns += 5 * MS
            for member, message in self.host.poll():
                self.asked += [(member.name, e) for e in getattr(message, "events", ())]
                self.switched += [message] if isinstance(message, Switch) else []
            self.host.flush()
            self.gateway.poll()

    def requests(self, key):
        """What the window's process was asked for, of this kind."""
        return [request[key] for request in self.gateway.requests if key in request]


def told(phone, kind):
    """What a phone is told now, of this kind."""
    return [found for found in map(json.loads, phone.take_told()) if found["kind"] == kind]


def states(phone):
    return [(receipt["number"], receipt["state"]) for receipt in told(phone, "receipt")]


def test_each_address_gives_its_role():
    evening = Evening()
    for role in PAGE_ROLES:
        assert told(evening.enter(role, identity=f"{PAGE_ROLES.index(role):02x}"), "welcome")[0]["role"] == role


def test_tokens_are_drawn_anew_for_each_show():
    first, second = Tokens.draw(), Tokens.draw()
    assert set(first.by_role) == set(PAGE_ROLES)
    assert len({*first.by_role.values(), *second.by_role.values()}) == 8
    assert second.role_of(first.by_role["operator"]) is None


def test_a_wrong_token_is_refused():
    with pytest.raises(WrongToken):
        Evening().gateway.enter(Enter("guessed", "aa" * 16, "Eve"))


def test_a_players_words_reach_the_host_under_the_players_name():
    evening = Evening()
    phone = evening.enter("player", "Ada")
    evening.gateway.hear(phone, Ask(1, RAIN))
    evening.pass_time()
    assert [(name, asked["event"]) for name, asked in evening.asked] == [("Ada", RAIN)]
    assert states(phone) == [(1, "received")]


def test_the_end_of_an_event_is_told_to_the_phone_that_asked_for_it():
    evening = Evening()
    ada, bob = evening.enter("player", "Ada"), evening.enter("player", "Bob", "bb")
    evening.gateway.hear(ada, Ask(1, RAIN))
    evening.pass_time()
    states(ada)
    member = next(member for member in evening.host.members if member.name == "Ada")
    evening.host.send(member, Receipt(1, "flip", None, evening.t_ns))
    evening.pass_time()
    assert (states(ada), states(bob)) == ([(1, "flip")], [])


def test_words_that_a_page_sends_again_after_a_lost_connection_are_asked_for_once():
    evening = Evening()
    phone = evening.enter()
    evening.gateway.hear(phone, Ask(1, RAIN))
    evening.pass_time()
    evening.gateway.leave(phone)
    again = evening.enter()
    evening.gateway.hear(again, Ask(1, RAIN))
    evening.pass_time()
    assert len(evening.asked) == 1
    assert (1, "received") in states(again)


def test_the_same_page_that_comes_again_takes_the_place_of_its_older_connection():
    evening = Evening()
    first, second = evening.enter(), evening.enter()
    assert (first.is_gone, first.is_replaced, second.is_gone) == (True, True, False)
    assert evening.gateway.phones == [second]


def test_an_operator_turns_the_blackout_on_though_the_host_has_no_key_for_others():
    evening = Evening()
    phone = evening.enter("operator")
    evening.pass_time()
    evening.gateway.hear(phone, TurnSwitch("blackout", True))
    evening.pass_time()
    assert evening.switched == [Switch("blackout", True)]


def test_phones_come_in_beside_guests_that_know_another_key():
    evening = Evening(key=b"of the other guests")
    evening.gateway.hear(evening.enter(), Ask(1, RAIN))
    evening.pass_time()
    assert len(evening.asked) == 1


@pytest.mark.parametrize("role", ["player", "audience", "viewer"])
@pytest.mark.parametrize("wish", [TurnSwitch("blackout", True), AskCue(0), Decide(1, True)])
def test_nobody_but_operators_does_what_operators_do(role, wish):
    evening = Evening()
    phone = evening.enter(role)
    with pytest.raises(NetError, match="do not ask for this"):
        evening.gateway.hear(phone, wish)


def test_an_operators_cue_goes_to_the_windows_process():
    evening = Evening()
    evening.gateway.hear(evening.enter("operator"), AskCue(2))
    assert evening.requests("cue") == [2]


def test_viewers_only_watch():
    evening = Evening()
    phone = evening.enter("viewer")
    with pytest.raises(NetError, match="viewers watch"):
        evening.gateway.hear(phone, Ask(1, RAIN))


# -- the audience --


def test_the_audiences_words_wait_until_an_operator_lets_them_in():
    evening = Evening()
    operator, phone = evening.enter("operator", "Olga", "bb"), evening.enter("audience", "Ada")
    evening.gateway.hear(phone, Ask(1, RAIN))
    evening.pass_time()
    assert (evening.asked, states(phone)) == ([], [(1, "waiting")])
    waiting = told(operator, "waiting")[-1]["words"]
    assert [(words["name"], words["text"]) for words in waiting] == [("Ada", "blue rain")]
    evening.gateway.hear(operator, Decide(waiting[0]["number"], True))
    evening.pass_time()
    assert [(name, asked["event"]) for name, asked in evening.asked] == [("audience", RAIN)]
    assert states(phone) == [(1, "received")]
    assert told(operator, "waiting")[-1]["words"] == []


def test_who_is_refused_is_told_so():
    evening = Evening()
    phone = evening.enter("audience")
    evening.gateway.hear(phone, Ask(1, RAIN))
    evening.gateway.decide(None, False)
    assert told(phone, "receipt")[-1]["why"] == "the operator chose others"
    assert evening.requests("waiting") == [[], [["Ada", "blue rain"]], []]


def test_the_window_decides_on_the_oldest():
    evening = Evening()
    phone = evening.enter("audience")
    for number, text in ((1, "red"), (2, "blue")):
        evening.gateway.hear(phone, Ask(number, {"type": "prompt", "text": text}))
    evening.gateway.decide(None, True)
    evening.pass_time()
    assert [asked["event"]["text"] for _, asked in evening.asked] == ["red"]
    assert evening.requests("waiting")[-1] == [["Ada", "blue"]]


def test_a_decision_on_what_is_gone_already_does_nothing():
    evening = Evening()
    evening.gateway.decide(None, True)
    evening.gateway.hear(evening.enter("operator"), Decide(7, True))
    evening.pass_time()
    assert evening.asked == []


def test_one_phone_fills_only_a_part_of_the_queue():
    evening = Evening()
    phone = evening.enter("audience")
    for number in range(1, 6):
        evening.gateway.hear(phone, Ask(number, RAIN))
    assert [state for _, state in states(phone)].count("waiting") == MOST_OF_ONE


def test_the_queue_is_bounded():
    evening = Evening()
    for number in range(MOST_WAITING + 5):
        phone = evening.enter("audience", identity=f"{number:02x}")
        evening.gateway.hear(phone, Ask(1, RAIN))
    assert len(evening.requests("waiting")[-1]) == MOST_WAITING
    assert told(phone, "receipt")[-1]["why"].startswith(f"{MOST_WAITING} others wait")


def test_words_that_wait_are_not_doubled_by_a_page_that_comes_again():
    evening = Evening()
    evening.gateway.hear(evening.enter("audience"), Ask(1, RAIN))
    phone = evening.enter("audience")
    evening.gateway.hear(phone, Ask(1, RAIN))
    assert states(phone) == [(1, "waiting")]
    assert len(evening.requests("waiting")[-1]) == 1


def test_who_asks_too_often_waits():
    evening = Evening()
    phone = evening.enter("audience")
    for number in range(1, 7):
        evening.gateway.hear(phone, Ask(number, RAIN))
        evening.gateway.decide(None, False)
    assert [r["why"] for r in told(phone, "receipt")].count("too many at once: wait a moment") == 3


@pytest.mark.parametrize("event", [{"type": "dial", "name": "hue", "value": 9.0}, {"type": "scene", "text": "x"}])
def test_the_audience_has_words_only(event):
    evening = Evening()
    phone = evening.enter("audience")
    evening.gateway.hear(phone, Ask(1, read_wish(json.dumps({"kind": "ask", "number": 1, "event": event})).event))
    assert told(phone, "receipt")[-1]["why"] == "the audience has words only"


def test_the_audience_takes_one_seat_of_the_host():
    evening = Evening()
    for number in range(40):
        evening.enter("audience" if number % 2 else "viewer", identity=f"{number:02x}")
    evening.pass_time()
    assert [member.name for member in evening.host.members] == ["audience"]


def test_seats_are_left_for_other_machines():
    evening = Evening()
    for number in range(MOST_SEATS):
        evening.enter("player", identity=f"{number:02x}")
    with pytest.raises(NetError, match="more are not let in"):
        evening.enter("player", identity="ff")
    evening.enter("viewer", identity="fe")


def test_there_are_so_many_phones_and_no_more():
    evening = Evening()
    for number in range(MOST_PHONES):
        evening.enter("viewer", identity=f"{number:02x}")
    with pytest.raises(NetError, match="more are not let in"):
        evening.enter("viewer", identity="ff")


# -- pictures, and what is told --


def new_phone():
    return Phone("viewer", "", "aa" * 16, None, 0)


def test_a_slow_phone_skips_pictures_and_never_queues_them():
    phone = new_phone()
    sent = [number for number in range(1, 20) if phone.take_picture(number, b"jpeg")]
    assert sent == list(range(1, PICTURES_AHEAD + 1))
    phone.confirm(sent[-1])
    assert phone.take_picture(20, b"jpeg") == b"\x00\x00\x00\x14jpeg"


def test_the_same_picture_is_sent_once():
    phone = new_phone()
    assert [bool(phone.take_picture(number, b"")) for number in (1, 1, 2)] == [True, False, True]


def test_a_page_that_nobody_looks_at_gets_no_picture_and_the_newest_when_it_is_looked_at():
    phone = new_phone()
    phone.watch(False)
    assert phone.take_picture(1, b"") is None
    phone.watch(True)
    assert phone.take_picture(1, b"") is not None


def test_pictures_are_asked_for_only_while_somebody_watches():
    evening = Evening()
    phone = evening.enter("viewer")
    evening.gateway.hear(phone, Watch(False))
    evening.gateway.hear(phone, Watch(True))
    evening.gateway.leave(phone)
    assert evening.requests("watched") == [True, False, True, False]


def test_of_a_state_only_the_newest_is_sent_and_none_twice():
    phone = new_phone()
    for value in (1, 2, 2):
        phone.tell_state({"kind": "dials", "value": value})
    assert [found["value"] for found in told(phone, "dials")] == [2]
    phone.tell_state({"kind": "dials", "value": 2})
    assert told(phone, "dials") == []


def test_who_comes_later_is_told_what_the_others_know():
    evening = Evening()
    evening.gateway.tell_all({"kind": "words", "text": "blue rain"})
    assert told(evening.enter("viewer"), "words") == [{"kind": "words", "text": "blue rain"}]


def test_a_phone_that_reads_too_slowly_goes():
    evening = Evening()
    phone = evening.enter("viewer")
    for _ in range(MOST_TOLD + 1):
        phone.tell({"kind": "news"})
    evening.gateway.poll()
    assert evening.gateway.phones == []


def test_a_name_is_one_line_that_can_be_read():
    assert Evening().enter("viewer", "A\x1b[31mda\n  \u202eX").name == "A[31mda X"


def test_who_says_more_than_any_page_does_is_noticed():
    phone = new_phone()
    with pytest.raises(NetError):
        for _ in range(1_000):
            phone.check_rate(0)


# -- what a page says --


@pytest.mark.parametrize(
    ("wish", "read"),
    [
        ({"kind": "seen", "picture": 3}, Seen(3)),
        ({"kind": "cue", "index": 0}, AskCue(0)),
        ({"kind": "ask", "number": 1, "event": RAIN}, Ask(1, RAIN)),
        ({"kind": "switch", "switch": "freeze", "on": True}, TurnSwitch("freeze", True)),
    ],
)
def test_what_a_page_says_is_read(wish, read):
    assert read_wish(json.dumps(wish)) == read


@pytest.mark.parametrize(
    "said",
    [
        "", "{", "[]", "3", "null", b"{}", "[" * 100_000, '{"kind": "quit"}', '{"kind": ["seen"], "picture": 1}',
        '{"kind": "seen"}', '{"kind": "seen", "picture": 1, "more": 2}', '{"kind": "seen", "picture": NaN}',
        '{"kind": "seen", "picture": -1}', '{"kind": "seen", "picture": true}', '{"kind": "watch", "on": 1}',
        '{"kind": "ask", "number": 1, "event": {"type": "rewind", "block": 1}}',
        '{"kind": "ask", "number": 1, "event": {"type": "prompt", "text": "\\ud800"}}',
        '{"kind": "ask", "number": 1, "event": {"type": "dial", "name": "hue", "value": 1e999}}',
        '{"kind": "switch", "switch": "power", "on": true}', '{"kind": "enter", "token": "é\\udfff"}',
        '{"kind": "seen", "picture": ' + "9" * 5_000 + "}",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_a_sentence(said):
    with pytest.raises(NetError) as error:
        read_wish(said)
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


@pytest.mark.parametrize("role", PAGE_ROLES)
def test_whatever_a_phone_says_is_done_or_refused(role):
    """Of 2,000 changed messages; the same is done 10,000 times to a real page by tests.hostile_page."""
    evening, chance = Evening(), random.Random(PAGE_ROLES.index(role))
    wishes = [Ask(1, RAIN), Seen(7), Watch(True), TurnSwitch("blackout", True), Decide(1, True), AskCue(0)]
    names = {Ask: "ask", Seen: "seen", Watch: "watch", TurnSwitch: "switch", Decide: "decide", AskCue: "cue"}
    samples = [json.dumps({"kind": names[type(wish)], **asdict(wish)}) for wish in wishes]
    phone = evening.enter(role)
    done = 0
    for _ in range(2_000):
        try:
            evening.gateway.hear(phone, read_wish(changed(chance, chance.choice(samples))))
            done += 1
        except NetError:
            pass
        phone.take_told()
    evening.pass_time()
    assert 0 < done < 1_900
    assert len(evening.requests("waiting")[-1]) <= MOST_OF_ONE


def test_not_too_many_come_at_once():
    evening = Evening()
    with pytest.raises(NetError, match="too many come at once"):
        for _ in range(1_000):
            evening.enter("viewer")
    evening.t_ns += 10**9
    evening.enter("viewer")


def test_an_event_of_a_phone_is_one_of_a_guest():
    evening = Evening()
    evening.gateway.hear(evening.enter(), Ask(1, {"type": "dial", "name": "hue", "value": 30.0}))
    evening.pass_time()
    assert [Events((asked,)).events[0]["event"]["name"] for _, asked in evening.asked] == ["hue"]
