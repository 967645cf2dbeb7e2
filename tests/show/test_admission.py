"""Which events are let in, and with which values."""

import json

import numpy as np
import pytest

from loop.__main__ import main
from loop.admission import Admission
from tests.simulation.invariants import complaints
from tests.simulation.show import Plan, play
from world.event import Dial, Prompt
from world.info import DialRange, WorldInfo

INFO = WorldInfo("w", 24.0, 6, (8, 8), "red", 1, dials={"zoom": DialRange(low=-0.5)})


@pytest.mark.parametrize(("given", "held"), [(100, 1.0), (-100, -0.5), (0.3, 0.3), (1e300, 1.0)])
def test_a_dial_is_held_within_its_range(given, held):
    assert Admission().admit(Dial("zoom", given), INFO) == Dial("zoom", held)


def test_a_dial_of_the_display_is_held_within_its_range_too():
    assert Admission().admit(Dial("magnify", 99), INFO) == Dial("magnify", 4.0)


def test_an_unknown_dial_is_left_out_and_named_once(caplog):
    admission = Admission()
    assert [admission.admit(Dial("zom", value), INFO) for value in (1, 2)] == [None, None]
    assert [record.getMessage() for record in caplog.records] == [
        "there is no dial 'zom' here: expected one of zoom, brightness, hue, magnify, mirror, poster, guard"
    ]
    assert admission.admit(Prompt("zom"), INFO) == Prompt("zom")


def test_a_dial_far_over_its_range_comes_down_at_once():
    show = play(Plan(seconds=9.0, script=((1.0, Dial("zoom", 100.0)), (5.0, Dial("zoom", 0.0)))))
    asked = [line["event"]["value"] for line in show.trace.of("event")]
    assert asked == [1.0, 0.0]


def written(path, *events):
    path.write_text("\n".join(map(json.dumps, events)))
    return str(path)


def test_render_names_an_unknown_dial_as_play_does(tmp_path, caplog):
    script = written(tmp_path / "a.jsonl", {"at_s": 0, "dial": "zom", "value": 1})
    out = str(tmp_path / "a.npy")
    assert (
        main(["render", "--world", "probe", "--seconds", "0.5", "--seed", "1", "--script", script, "--out", out]) == 0
    )
    assert "there is no dial 'zom' here" in caplog.text
    assert np.load(out).shape[0] == 8


@pytest.mark.slow
def test_render_names_the_words_that_do_not_count(tmp_path, caplog):
    out = str(tmp_path / "a.npy")
    assert main(["render", "--seconds", "0.1", "--seed", "1", "--prompt", "red zebra", "--out", out]) == 0
    assert [record.getMessage() for record in caplog.records] == ["'red zebra': unknown here: zebra"]


@pytest.mark.parametrize("mode", ["inline", "overlap", "snap", "auto"])
def test_the_events_of_a_script_at_0_are_in_force_from_the_first_frame(mode):
    at_0 = ((0.0, Prompt("red")), (0.0, Dial("zoom", 0.9)), (0.0, Dial("brightness", 0.5)))
    show = play(Plan(seconds=2.0, quiet_s=0.0, mode=mode, transition=4, script=at_0))
    first, *_ = show.trace.of("flip")
    flips = [line["t_ns"] for line in show.trace.of("stage") if line["stage"] == "flip"]
    assert flips == [first["t_ns"]] * 3
    assert show.trace.lines[0]["kind"] == "header"
    block = show.trace.of("block")[0]
    assert (block["block"], block["dials"]["zoom"]) == (0, 0.9)


def test_words_typed_before_the_first_picture_are_seen_in_the_first_frame():
    assert complaints(play(Plan(typed=((0.05, "red"),)))) == []


@pytest.mark.slow
def test_of_several_words_at_0_the_last_are_shown_with_the_first_frame(tmp_path):
    script = written(tmp_path / "a.jsonl", {"at_s": 0, "prompt": "red"}, {"at_s": 0, "scene": "blue"})
    trace = tmp_path / "t.jsonl"
    assert main(["--world", "probe", "--headless", "--seconds", "1", "--script", script, "--trace", str(trace)]) == 0
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    ended = {line["id"]: (line["stage"], line["t_ns"]) for line in lines if line["kind"] == "stage"}
    first = next(line for line in lines if line["kind"] == "flip")
    assert ended[1][0] == "replaced" and ended[2] == ("flip", first["t_ns"])
