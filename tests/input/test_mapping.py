"""What controls do: the mapping file, pickup, learning, and dials that follow the beat."""

from types import SimpleNamespace

import pytest

from input.action import Command, ControlMoved, FireCue, SetState
from input.beat import BeatClock
from input.gesture import KeyDown, KeyUp
from input.mapper import Mapper
from input.mapping import MappingError, MappingFile, Target, Wave, read_mapping, write_mapping
from loop.controls import ShowControls
from loop.stage.desk import CueDesk
from loop.stage.instruments import Instruments
from loop.stage.stage import OnStage
from loop.stage.waves import Waves
from tests.show.test_controls import NOW, FakeModel, FakeWindow
from world.event import Dial, Prompt
from world.info import DialRange

DIALS = {"zoom": DialRange(-1.0, 1.0, 0.0)}
MAP = '[[map]]\ncontrol = "cc:1:20"\ndial = "zoom"\n\n[[map]]\ncontrol = "note:1:36"\ncue = 2\n'


class Plugged:
    """An instrument that plays what it is given."""

    name = "test"

    def __init__(self, *heard):
        self.heard = list(heard)

    def poll(self, now_ns):
        heard, self.heard = self.heard, []
        return [(one, NOW) for one in heard]

    def close(self):
        """Nothing is open."""


def mapper(tmp_path, text=MAP):
    (tmp_path / "map.toml").write_text(text)
    return Mapper(tmp_path / "map.toml")


def moves(board, control, *values, at=0.0):
    """The actions of a control that goes through these positions, while the dial follows."""
    where, found = {"zoom": at}, []
    for value in values:
        for action in board.moved(ControlMoved(control, value), DIALS, where):
            where |= {action.name: action.value} if isinstance(action, Dial) else {}
            found.append(action)
    return found


def controls_with(mapper, *heard):
    model = FakeModel()
    model.info = SimpleNamespace(vocabulary=(), dials=DIALS)
    controls = ShowControls(
        FakeWindow(), None, model, None, OnStage(CueDesk(model), Instruments([Plugged(*heard)]), mapper)
    )
    controls.keyboard.meet(DIALS)
    return controls


def pressed(controls, *gestures):
    return list(controls.gather([(gesture, NOW) for gesture in gestures], NOW, None))


def test_what_is_written_is_read_back(tmp_path):
    mapping = MappingFile(
        (Target("cc:1:20", dial="zoom", mode="absolute", low=0.25), Target("note:1:36", cue=1)), (Wave("hue", 2.0),)
    )
    write_mapping(tmp_path / "map.toml", mapping)
    assert read_mapping(tmp_path / "map.toml") == mapping


def test_a_mapping_file_that_is_not_there_yet_is_empty(tmp_path):
    assert read_mapping(tmp_path / "none.toml") == MappingFile()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[map]]\ncontrol = 3\ncue = 1\n", "expected a name"),
        ('[[map]]\ncontrol = "a"\n', "expected one of dial, cue, arm and action"),
        ('[[map]]\ncontrol = "a"\narm = 1.5\n', "arm is 1.5: expected a whole number from 1"),
        ('[[map]]\ncontrol = "a"\ncue = -1\n', "a whole number from 1"),
        ('[[map]]\ncontrol = "a"\naction = "dance"\n', "expected one of next"),
        ('[[map]]\ncontrol = "a"\nknob = "zoom"\n', "unknown field 'knob'"),
        ('[[map]]\ncontrol = "a"\ndial = "zoom"\nmode = "wild"\n', "expected one of pickup"),
        ('[[map]]\ncontrol = "a"\ndial = 5\n', "expected the name of a dial"),
        ('[[wave]]\ndial = "hue"\nbars = 99\n', "expected 0.0625 to 8"),
        ('[[wave]]\ndial = "hue"\ncentre = "the middle"\n', "centre is 'the middle': expected a number"),
        ("[[wave]]\ndial = 5\n", "expected the name of a dial"),
        ("[map]\n", r"write \[\[map\]\]"),
        ("[[map]\n", "mapping"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path, text, told):
    with pytest.raises(MappingError, match=told):
        mapper(tmp_path, text)


def test_a_knob_moves_its_dial_only_once_it_has_come_past_the_dials_value(tmp_path):
    assert moves(mapper(tmp_path), "cc:1:20", 0.0, 0.3, 0.45) == []
    assert moves(mapper(tmp_path), "cc:1:20", 0.3, 0.6, 0.9) == [Dial("zoom", 0.2), Dial("zoom", 0.8)]


def test_a_knob_that_was_overtaken_must_pick_its_dial_up_again(tmp_path):
    board = mapper(tmp_path)
    assert moves(board, "cc:1:20", 0.4, 0.6) == [Dial("zoom", 0.2)]
    assert moves(board, "cc:1:20", 0.65, at=-0.9) == []


def test_an_absolute_knob_moves_its_dial_at_once_and_within_its_own_limits(tmp_path):
    text = '[[map]]\ncontrol = "a"\ndial = "zoom"\nmode = "absolute"\nlow = 0.5\nhigh = -0.5\n'
    assert moves(mapper(tmp_path, text), "a", 0.0, 1.0) == [Dial("zoom", 0.5), Dial("zoom", -0.5)]


def test_an_endless_knob_adds_its_steps(tmp_path):
    board = mapper(tmp_path, '[[map]]\ncontrol = "a"\ndial = "zoom"\nmode = "relative"\n')
    assert board.moved(ControlMoved("a", 0.0, 0.1), DIALS, {"zoom": 0.0}) == [Dial("zoom", 0.2)]
    assert board.moved(ControlMoved("a", 0.0, -0.9), DIALS, {"zoom": 0.0}) == [Dial("zoom", -1.0)]


def test_a_note_fires_its_cue_once_for_each_press(tmp_path):
    assert moves(mapper(tmp_path), "note:1:36", 1.0, 0.0, 1.0) == [FireCue(1), FireCue(1)]


def test_a_control_learns_the_work_of_a_key_and_the_file_keeps_it(tmp_path):
    controls = controls_with(Mapper(tmp_path / "map.toml"))
    assert pressed(controls, KeyDown("f12"), KeyDown("b")) == [] and not controls.blackout
    controls.instruments.sources[0].heard = [ControlMoved("note:10:40", 1.0), ControlMoved("note:10:40", 0.0)]
    pressed(controls)
    assert controls.blackout and "learnt: note:10:40 is blackout" in controls.mapper.message
    assert read_mapping(tmp_path / "map.toml").targets == (Target("note:10:40", action="blackout"),)


def test_a_pad_can_make_a_cue_the_next_without_firing_it(tmp_path):
    board = mapper(tmp_path, '[[map]]\ncontrol = "note:1:36"\narm = 2\n')
    assert moves(board, "note:1:36", 1.0, 0.0) == [FireCue(1, only_arm=True)]


def test_a_pad_that_learns_from_a_key_that_arms_does_not_fire(tmp_path):
    board = Mapper(tmp_path / "map.toml")
    board.learn()
    assert board.ask([FireCue(2, only_arm=True)])
    assert moves(board, "note:10:38", 1.0, 0.0) == [FireCue(2, only_arm=True)]
    assert board.message == "learnt: note:10:38 is making cue 3 the next"
    assert read_mapping(tmp_path / "map.toml").targets == (Target("note:10:38", arm=3),)


def test_a_key_that_teaches_does_not_move_its_dial(tmp_path):
    controls = controls_with(Mapper(None))
    assert pressed(controls, KeyDown("f12"), KeyDown("]")) == []
    assert controls.keyboard.values["zoom"] == 0.0


def test_a_key_can_be_mapped_too(tmp_path):
    board = mapper(tmp_path, '[[map]]\ncontrol = "key:f10"\naction = "blackout"\n')
    controls = controls_with(board)
    pressed(controls, KeyDown("f10"), KeyUp("f10"))
    assert controls.blackout


def test_what_an_instrument_asks_for_is_done_and_names_it_as_its_source():
    controls = controls_with(
        Mapper(None), Prompt("red"), SetState("blackout", 1), SetState("bpm", 126.0), Command.QUANTISE
    )
    assert pressed(controls) == [(Prompt("red"), "test", NOW)]
    assert controls.blackout and controls.desk.clock.bpm == 126 and controls.desk.quantise == "beat"


def test_a_value_that_cannot_be_set_is_told_and_changes_nothing():
    controls = controls_with(Mapper(None), SetState("bpm", 9000.0))
    pressed(controls)
    assert not controls.desk.clock.is_running and "expected 30 to 300" in controls.desk.trouble


def test_the_clock_of_an_instrument_moves_the_beat():
    controls = controls_with(Mapper(None))
    clock = controls.desk.clock
    for pulse in range(30):
        source = SimpleNamespace(name="m", poll=lambda now, t_ns=pulse * 20_000_000: [("clock", t_ns)])
        controls.instruments.sources = [source]
        pressed(controls)
    assert clock.source == "midi" and clock.bpm == pytest.approx(125)


def test_a_wave_goes_through_its_depth_with_the_beat_and_ahead_for_a_dial_of_the_world():
    clock = BeatClock()
    clock.fix(120, 0)
    waves = Waves([Wave("zoom", 1.0, 0.5)])
    assert next(waves.poll(500_000_000, clock, DIALS, {}, 0)) == Dial("zoom", 0.5)
    assert list(waves.poll(510_000_000, clock, DIALS, {}, 0)) == []
    assert next(waves.poll(1_000_000_000, clock, DIALS, {}, 500_000_000)) == Dial("zoom", -0.5)
