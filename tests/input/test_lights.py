"""What the lamps of controllers show of the show."""

import pytest

from input.action import Command, FireCue
from input.mapping import Light, MappingError, MappingFile, Target, read_mapping, write_mapping
from input.set_list import SetList
from loop.stage.desk import CueDesk
from loop.stage.lights import lamp_values
from tests.show.test_controls import FakeModel
from world.event import Prompt

SECOND = 10**9
BEAT = SECOND // 2
ONE, TWO = Light("note:1:36", cue=1, on=5, armed=9, off=1), Light("note:1:37", cue=2)


@pytest.fixture
def desk(tmp_path):
    """A desk with two cues whose clock has beat 0 at 0, at 120 beats a minute."""
    (tmp_path / "set.txt").write_text("one | red ripples\ntwo | blue rain | quantise=bar\n")
    desk = CueDesk(FakeModel(), SetList(tmp_path / "set.txt"), "off", 120.0)
    list(desk.poll(0, 0))
    return desk


def cues(desk):
    return tuple(lamp_values((ONE, TWO), desk, {}, SECOND).values())


def test_the_lamp_of_a_cue_tells_whether_it_is_the_next_waits_or_plays(desk):
    assert cues(desk) == (1, 0)
    desk.fire(FireCue(0, only_arm=True), SECOND)
    assert cues(desk) == (9, 0)
    desk.obey(Command.NEXT, SECOND)
    assert cues(desk) == (5, 0)
    desk.fire(FireCue(1), SECOND)
    assert cues(desk) == (5, 64)
    assert len(list(desk.poll(2 * SECOND, 0))) == 1
    assert cues(desk) == (1, 127)


def test_no_cue_plays_any_more_once_other_words_were_sent(desk):
    desk.fire(FireCue(0), SECOND)
    desk.words(Prompt("grey"), "keys", SECOND)
    assert cues(desk) == (1, 0)


def test_a_cue_that_was_taken_back_before_its_beat_does_not_play(desk):
    desk.fire(FireCue(1), SECOND)
    desk.obey(Command.CANCEL, SECOND)
    assert cues(desk) == (1, 0)


def test_blackout_freeze_and_the_beat_have_lamps(desk):
    lights = (Light("cc:1:1", shows="blackout"), Light("cc:1:2", shows="freeze"), Light("cc:1:3", shows="beat"))
    states = {"blackout": True, "freeze": False}
    assert list(lamp_values(lights, desk, states, 2 * BEAT + 1000).values()) == [127, 0, 127]
    assert list(lamp_values(lights, desk, states, 2 * BEAT + BEAT // 2).values()) == [127, 0, 0]


def test_the_mapping_file_holds_lights_and_learning_keeps_them(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text('[[light]]\nlamp = "note:1:36"\ncue = 1\narmed = 9\n')
    mapping = read_mapping(path)
    assert mapping.lights == (Light("note:1:36", cue=1, armed=9),)
    write_mapping(path, MappingFile((Target("cc:1:20", dial="hue"),), (), mapping.lights))
    assert read_mapping(path).lights == mapping.lights


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('lamp = "note:1:200"\ncue = 1', "lamp is 'note:1:200'"),
        ('lamp = "note:17:1"\ncue = 1', "lamp is 'note:17:1'"),
        ("lamp = 5\ncue = 1", "lamp is 5"),
        ('lamp = "cc:1:1"', "expected one of cue and shows"),
        ('lamp = "cc:1:1"\ncue = 1\nshows = "beat"', "expected one of cue and shows"),
        ('lamp = "cc:1:1"\nshows = "love"', "expected one of blackout, freeze, beat"),
        ('lamp = "cc:1:1"\ncue = 1.5', "cue is 1.5"),
        ('lamp = "cc:1:1"\ncue = 1\non = 200', "on is 200"),
        ('lamp = "cc:1:1"\ncue = 1\nbright = 2', "unknown field 'bright'"),
        ("cue = 1", "an entry has no lamp"),
    ],
)
def test_a_wrong_light_is_told_in_one_line(tmp_path, entry, told):
    (tmp_path / "map.toml").write_text(f"[[light]]\n{entry}\n")
    with pytest.raises(MappingError, match=told):
        read_mapping(tmp_path / "map.toml")
