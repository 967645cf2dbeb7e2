"""What the operator's own window lists: cues that can be clicked, and receipts."""

import pytest

from input.action import FireCue
from input.gesture import Clicked, KeyDown
from loop.screen.marks import AMBER, Label, Panel, Spot
from loop.screen.operator.lists import OperatorLists, operator_lists
from tests.input.test_cues import set_list  # noqa: F401
from tests.show.test_controls import FakeModel, FakeWindow, ShowControls

SIZE = (1280, 720)
CUES = [f"cue {number}" for number in range(1, 31)]


def measure(text, size):
    return len(text) * size // 2


def spots(lists, size=SIZE):
    return [mark for mark in operator_lists(lists, size, measure) if isinstance(mark, Spot)]


def texts(lists, size=SIZE):
    return [mark.text for mark in operator_lists(lists, size, measure) if isinstance(mark, Label)]


def test_without_cues_and_receipts_nothing_is_drawn():
    assert operator_lists(OperatorLists(), SIZE, measure) == ()


@pytest.mark.parametrize("next_cue", [None, 0, 7, 15, 28, 29])
def test_the_next_cue_is_always_among_those_that_are_shown(next_cue):
    shown = [spot.action.index for spot in spots(OperatorLists(CUES, next_cue=next_cue))]
    assert shown == list(range(shown[0], shown[0] + len(shown))) and len(shown) >= 8
    assert (next_cue or 0) in shown


def test_each_line_is_clicked_where_it_is_read():
    lists = OperatorLists(CUES[:5], next_cue=2)
    labels = [mark for mark in operator_lists(lists, SIZE, measure) if isinstance(mark, Label)]
    for label, spot in zip(labels, spots(lists), strict=True):
        assert label.text.startswith(f"{spot.action.index + 1} cue")
        assert spot.x <= label.x and spot.y <= label.y and label.y + label.size <= spot.y + spot.h


def test_a_click_arms_a_cue_and_a_second_one_fires_it():
    assert [spot.action for spot in spots(OperatorLists(CUES[:2], next_cue=0))] == [FireCue(0, True), FireCue(1, True)]
    armed = OperatorLists(CUES[:2], next_cue=1, armed=1)
    assert [spot.action for spot in spots(armed)] == [FireCue(0, True), FireCue(1)]
    label = operator_lists(armed, SIZE, measure)[2]
    assert (label.text, label.color) == ("2 cue 2 · armed", AMBER)


@pytest.mark.parametrize("size", [(160, 90), (640, 360), (1920, 1080), (3840, 2160), (400, 1200)])
def test_everything_lies_within_the_window_and_no_text_leaves_its_panel(size):
    lists = OperatorLists([name * 20 for name in CUES], 3, 4, None, [("taken for block 12", "words " * 30)] * 5)
    for mark in operator_lists(lists, size, measure):
        width = measure(mark.text, mark.size) if isinstance(mark, Label) else mark.w
        assert mark.x >= 0 and mark.x + width <= size[0]
        if isinstance(mark, Panel) and size[1] >= 360:
            assert mark.y + mark.h <= size[1]


def test_receipts_are_listed_below_the_cues():
    assert texts(OperatorLists(CUES[:1], receipts=[("seen after 312 ms", "red")]))[-1] == "seen after 312 ms · red"


def test_at_the_desk_a_click_elsewhere_disarms_and_leaves_alone_what_waits(set_list):  # noqa: F811
    controls = ShowControls(FakeWindow(), None, FakeModel())
    desk = controls.desk
    desk.set_list = set_list
    click(controls, FireCue(2, only_arm=True))
    assert desk.next_by_hand == 2
    click(controls, None)
    assert desk.next_by_hand is None and desk.next_cue == 0
    click(controls, FireCue(2, only_arm=True))
    (event, source, _), *rest = click(controls, FireCue(2))
    assert (event, source, rest) == (desk.cues[2].event, "cue", [])
    assert (desk.playing, desk.next_by_hand) == (2, None)


def test_page_down_fires_the_cue_that_was_clicked(set_list):  # noqa: F811
    controls = ShowControls(FakeWindow(), None, FakeModel())
    controls.desk.set_list = set_list
    click(controls, FireCue(2, only_arm=True))
    fired = list(controls.gather([(KeyDown("pagedown"), 0)], 0, 0))
    assert [event for event, _, _ in fired] == [controls.desk.cues[2].event]


def click(controls, action):
    return list(controls.gather([(Clicked(action), 0)], 0, 0))
