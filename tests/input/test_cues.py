"""Cues: the file they come from, what fires them, and what is said when the file is broken."""

import os

import pytest

from input.action import Command, FireCue, StagePrompt
from input.cues import Cue, CueError, parse_cue, read_cues
from input.set_list import LOOK_NS, SetList
from loop.stage.desk import CueDesk
from tests.show.test_controls import FakeModel
from world.event import Dial, Prompt, Scene

LINES = "\n# the opening\none | slow blue plasma\ntwo | red ripples | transition=8\nthree | red tunnel | cut\n"
SECOND = 10**9


def saved(path, text, age_s):
    """The file with this text, changed at a time of its own, as clocks of file systems can be coarse."""
    path.write_text(text)
    os.utime(path, ns=(age_s * SECOND, age_s * SECOND))
    return path


@pytest.fixture
def set_list(tmp_path):
    return SetList(saved(tmp_path / "set.txt", LINES, 1))


def fired(desk, *actions):
    """The events that these commands and cues cause at once."""
    found = [desk.obey(one, 0) if isinstance(one, Command) else desk.fire(one, 0) for one in actions]
    return [event for events in found for event, _, _ in events]


def refreshed(set_list, text, age_s):
    saved(set_list.path, text, age_s)
    return [set_list.refresh(age_s * SECOND + look * LOOK_NS) for look in range(3)]


def test_a_line_is_a_name_a_prompt_and_options():
    assert parse_cue("rain | blue rain | transition=8 quantise=bar cut bar=33") == Cue(
        "rain", "blue rain", 8, "bar", True, 33
    )
    assert parse_cue("rain|blue rain") == Cue("rain", "blue rain")


def test_a_prompt_may_be_a_mix():
    assert parse_cue("both | green grid:0.7 | blue rain:0.3").prompt == "green grid:0.7 | blue rain:0.3"
    assert parse_cue("both | green grid | blue rain | cut") == Cue("both", "green grid | blue rain", is_cut=True)
    assert parse_cue("both | green grid | blue rain |").prompt == "green grid | blue rain"


def test_a_cut_is_a_new_scene_and_any_other_cue_a_prompt():
    assert Cue("a", "red", is_cut=True).event == Scene("red")
    assert Cue("a", "red").event == Prompt("red")


def test_a_cue_may_turn_a_dial_in_place_of_a_prompt():
    assert parse_cue("near | | turn=zoom:0.4 quantise=beat") == Cue("near", "", quantise="beat", turn=("zoom", 0.4))
    assert parse_cue("near | | turn=zoom:-0.5").event == Dial("zoom", -0.5)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("near | | turn=zoom", "a dial and its value"),
        ("near | | turn=zoom:nan", "a dial and its value"),
        ("near | | turn=:1", "a dial and its value"),
        ("near | blue rain | turn=zoom:1", "no prompt, cut or transition"),
        ("near | | cut turn=zoom:1", "no prompt, cut or transition"),
        ("rain", "no name and prompt"),
        ("| blue rain", "no name and prompt"),
        ("rain | ", "the prompt is empty"),
        ("rain | blue | transition=0", "a whole number from 1 to 64"),
        ("rain | blue | bar=x", "a whole number from 1"),
        ("rain | blue | quantise=banana", "expected one of off, beat, bar, 4bars"),
        ("rain | blue | speed=3", "no option of a cue"),
        ("rain | blue | cut now", "no option of a cue"),
        ("rain | blue:nan | red | cut", "weight"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path, line, told):
    with pytest.raises(CueError, match=f"line 2: .*{told}"):
        read_cues(saved(tmp_path / "set.txt", f"one | red\n{line}\n", 1))


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe\x00", b"one | red\n" * 200_000])
def test_a_file_that_is_no_set_list_is_refused(tmp_path, content):
    (tmp_path / "set.txt").write_bytes(content)
    with pytest.raises(CueError, match="set list"):
        read_cues(tmp_path / "set.txt")


def test_a_saved_file_is_in_force_once_it_is_the_same_at_two_looks(set_list):
    assert refreshed(set_list, LINES + "four | green grid\n", 5) == [False, True, False]
    assert [cue.name for cue in set_list.cues] == ["one", "two", "three", "four"]


def test_a_broken_file_leaves_the_old_cues_and_tells_the_line_until_it_is_mended(set_list):
    refreshed(set_list, LINES + "four\n", 5)
    assert len(set_list.cues) == 3 and "line 6" in set_list.trouble
    refreshed(set_list, LINES, 9)
    assert set_list.trouble == ""


def test_a_file_that_is_gone_leaves_the_old_cues(set_list):
    set_list.path.unlink()
    assert [set_list.refresh(look * LOOK_NS) for look in range(3)] == [False, True, False]
    assert len(set_list.cues) == 3 and "cannot be read" in set_list.trouble


def test_the_place_in_the_set_is_kept_by_the_name_of_the_newest_cue(set_list):
    set_list.fired(1)
    refreshed(set_list, "zero | grey\n" + LINES, 5)
    assert set_list.cues[set_list.following].name == "three"


def test_next_goes_through_the_set_and_previous_goes_back(set_list):
    desk = CueDesk(FakeModel(), set_list)
    assert fired(desk, *[Command.NEXT] * 2) == [Prompt("slow blue plasma"), Prompt("red ripples")]
    assert fired(desk, Command.PREVIOUS) == [Prompt("slow blue plasma")]
    assert fired(desk, Command.PREVIOUS) == []
    assert fired(desk, *[Command.NEXT] * 3) == [Prompt("red ripples"), Scene("red tunnel")]
    assert desk.trouble == "the set list is at its end"


def test_a_number_fires_its_cue_and_one_that_is_not_there_is_told(set_list):
    desk = CueDesk(FakeModel(), set_list)
    assert fired(desk, FireCue(2)) == [Scene("red tunnel")]
    assert fired(desk, FireCue(7)) == [] and "no cue 8" in desk.trouble


def test_an_armed_cue_is_the_next(set_list):
    desk = CueDesk(FakeModel(), set_list)
    assert fired(desk, FireCue(2, only_arm=True)) == []
    assert fired(desk, Command.NEXT) == [Scene("red tunnel")]


def test_a_staged_prompt_is_fired_by_next_and_taken_back_by_cancel(set_list):
    desk = CueDesk(FakeModel(), None)
    assert not desk.has_next and fired(desk, StagePrompt("blue rain")) == [] and desk.has_next
    assert fired(desk, Command.NEXT) == [Prompt("blue rain")] and not desk.has_next
    fired(desk, StagePrompt("blue rain"), Command.CANCEL)
    assert fired(desk, Command.NEXT) == []


def test_a_cue_comes_in_over_its_own_blocks_and_the_next_words_over_those_of_the_show(set_list):
    model = FakeModel()
    desk = CueDesk(model, set_list)
    fired(desk, Command.TRANSITION, FireCue(1))
    assert model.transition == 8
    desk.words(Prompt("grey"), "keys", 0)
    assert model.transition == 2


@pytest.fixture
def far_desk():
    """The desk of a guest that fires the cues of its host."""
    desk = CueDesk(FakeModel())
    desk.far.names, desk.far.following = ("dawn", "noon"), 0
    return desk


@pytest.mark.parametrize("index", [-1, 2])
def test_a_cue_that_the_host_does_not_have_is_told_and_not_sent(far_desk, index):
    assert fired(far_desk, FireCue(index)) == []
    assert far_desk.far.fired == []
    assert far_desk.trouble == f"there is no cue {index + 1}: the set list has 2"


def test_a_cue_of_the_host_that_is_to_be_the_next_is_not_fired(far_desk):
    assert fired(far_desk, FireCue(1, only_arm=True)) == []
    assert far_desk.far.fired == []
    assert "can only be fired" in far_desk.trouble


def test_a_cue_of_the_host_is_sent_there(far_desk):
    fired(far_desk, FireCue(1), Command.NEXT)
    assert far_desk.far.fired == [("number", 1), ("next", 0)]
