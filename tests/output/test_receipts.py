"""Receipts: whoever asked for an event is told what becomes of it, up to its first pixel or any other end."""

from types import SimpleNamespace

import pytest

from input.action import Command, FireCue, SetState
from input.mapper import Mapper
from input.osc_events import MOST_OPEN, SenderEvents
from loop.output.ledger import Stamp
from loop.output.receipts import KEPT, Receipts
from loop.stage.desk import CueDesk
from loop.stage.instruments import Instruments
from loop.stage.stage import OnStage
from tests.simulation.process import Mishap
from tests.simulation.show import Plan, Show, play
from tests.simulation.virtual_time import START_NS
from world.event import Dial, Prompt

SECOND = 10**9


class Sender:
    """An instrument whose sender is told of its events. asks: (seconds after the start, action)."""

    name = "osc"

    def __init__(self, *asks):
        self._asks = [(START_NS + round(at_s * SECOND), action) for at_s, action in asks]
        self.told = []
        self.events = SenderEvents(lambda who, address, *arguments: self.told.append((address, *arguments)))

    def poll(self, now_ns):
        due = [ask for ask in self._asks if ask[0] <= now_ns]
        self._asks = self._asks[len(due) :]
        for t_ns, action in due:
            self.events.asked(t_ns, "desk", f"/{type(action).__name__}")
        return [(action, t_ns) for t_ns, action in due]

    def close(self):
        """Nothing is open."""

    def of(self, number):
        return [(address.removeprefix("/event/"), *rest) for address, n, *rest in self.told if n == number]


def show_with(sender: Sender, plan: Plan) -> Show:
    """The show of this plan, with the sender plugged in."""
    return play(plan, on_stage=lambda model: OnStage(CueDesk(model), Instruments([sender]), Mapper()))


def stages(show, number):
    return {line["stage"]: line for line in show.trace.of("stage") if line["id"] == number}


def test_a_sender_is_told_of_words_up_to_their_first_pixel():
    sender = Sender((3.0, Prompt("red")))
    show = show_with(sender, Plan(seconds=8))
    received, taken, seen = sender.of(1)
    assert received == ("received", "/Prompt")
    blocks = [line["block"] for line in show.trace.of("block") if line["switch"]]
    assert taken == ("taken", blocks[0])
    stamps = stages(show, 1)
    assert seen == ("flip", (stamps["flip"]["t_ns"] - stamps["pump"]["t_ns"]) / 1e6)
    first = next(line for line in show.trace.of("flip") if line["block"] == blocks[0])
    assert first["t_ns"] == stamps["flip"]["t_ns"]


def test_words_that_later_ones_overtake_are_told_by_which():
    sender = Sender((3.0, Prompt("red")), (3.01, Prompt("blue")))
    show_with(sender, Plan(seconds=8))
    assert sender.of(1)[-1] == ("replaced", 2)
    assert [stage for stage, *_ in sender.of(2)] == ["received", "taken", "flip"]


def test_a_display_dial_is_seen_with_the_next_flip_and_one_that_is_not_there_is_lost_at_once():
    sender = Sender((3.0, Dial("brightness", 0.5)), (3.5, Dial("nothing", 0.5)))
    show_with(sender, Plan(seconds=6))
    assert [stage for stage, *_ in sender.of(1)] == ["received", "flip"]
    assert 0 < sender.of(1)[-1][1] < 20
    assert [stage for stage, *_ in sender.of(0)] == ["lost"]


def test_words_that_wait_for_a_beat_have_their_receipts_once_they_are_sent():
    asks = [(2.0, SetState("bpm", 120.0)), (2.1, SetState("quantise", "4bars")), (2.2, Prompt("red"))]
    sender = Sender(*asks)
    show = show_with(sender, Plan(seconds=16))
    assert [stage for stage, *_ in sender.of(1)] == ["received", "taken", "flip"]
    # from the message on, not from the moment at which the words were sent
    assert sender.of(1)[-1][1] == (stages(show, 1)["flip"]["t_ns"] - START_NS - 2.2 * SECOND) / 1e6 > 3_000


def test_words_that_wait_for_a_beat_and_are_taken_back_are_told_why():
    waits = [(2.0, SetState("bpm", 120.0)), (2.1, SetState("quantise", "4bars"))]
    sender = Sender(*waits, (2.2, Prompt("red")), (2.3, Prompt("blue")), (2.4, Command.CANCEL))
    show_with(sender, Plan(seconds=14))
    assert sender.of(0) == [("lost", "another took its beat"), ("lost", "taken back before its beat")]
    assert sender.of(1) == []


@pytest.mark.parametrize("kind", ["death", "hang"])
@pytest.mark.parametrize("seed", range(4))
def test_each_event_of_a_sender_ends_once_whatever_happens_to_the_model(kind, seed):
    asks = [(2.5 + 0.37 * number, Prompt(f"words {number}")) for number in range(12)]
    sender = Sender(*asks)
    show = show_with(sender, Plan(seed=seed, seconds=22, mishaps=(Mishap(0, kind, 60 + 9 * seed),)))
    assert show.lives[0].mishap_ns is not None
    for number in range(1, 13):
        told = [stage for stage, *_ in sender.of(number)]
        assert told[0] == "received" and told.count("received") == 1
        assert [stage for stage in told if stage in ("flip", "replaced", "lost")] == [told[-1]]


def test_events_of_others_are_not_told():
    sender = Sender((3.0, FireCue(7)))
    show_with(sender, Plan(seconds=6, typed=((3.2, "red"),)))
    assert sender.told == []


def test_what_never_ends_is_forgotten_at_last():
    sender = Sender()
    for number in range(3 * MOST_OPEN):
        sender.events.asked(number, "desk", "/prompt")
        sender.events.submitted(number, number)
    assert len(sender.events._asked) == len(sender.events._open) == MOST_OPEN


def followed(*stamps, event=None):
    receipts = Receipts()
    receipts.submitted(1, event or Prompt("red ripples"), 2 * SECOND)
    for stamp in stamps:
        receipts.stamped(stamp)
    return receipts.rows()


def test_the_operator_reads_how_far_an_event_has_come():
    taken = Stamp(1, "take", 3 * SECOND, 12)
    assert followed() == [("received", "red ripples")]
    assert followed(taken, Stamp(1, "denoised", 3 * SECOND)) == [("taken for block 12", "red ripples")]
    assert followed(taken, Stamp(1, "flip", 2 * SECOND + 312_000_000)) == [("seen after 312 ms", "red ripples")]
    assert followed(Stamp(1, "replaced", 3 * SECOND, 2)) == [("replaced", "red ripples")]
    assert followed(Stamp(1, "lost", 3 * SECOND, "the model died")) == [("lost: the model died", "red ripples")]


def test_of_a_dial_only_the_newest_value_is_listed_and_of_all_events_the_newest():
    receipts = Receipts()
    for number in range(1, 60):
        receipts.submitted(number, Dial("zoom", number / 60), 0)
    assert len(receipts.rows()) == 1
    for number in range(60, 80):
        receipts.submitted(number, Prompt(f"words {number}"), 0)
        receipts.stamped(Stamp(1, "flip", 0))
    assert [name for _, name in receipts.rows()] == [f"words {number}" for number in range(80 - KEPT, 80)]


def test_the_operator_is_shown_receipts_in_a_window_of_their_own_only():
    from tests.show.test_panels import Desk

    desk = Desk()
    desk.engine.out.receipts = SimpleNamespace(rows=lambda: [("taken for block 12", "red ripples")])
    assert not any("taken for" in text for text in desk.texts())
    desk.panels._window = SimpleNamespace(**{**vars(desk.panels._window), "has_programme": True})
    assert "taken for block 12 · red ripples" in desk.texts()
