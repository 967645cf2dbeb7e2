"""The comparison of rules for steps and memory: settings, what is tried with each, the table, and what it may say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.cli.usage import UsageError
from loop.measure.methods.readers import NEWEST, PatternReader, StoryReader, word_reader
from loop.measure.methods.settings import AS_SHIPPED, BUILT_IN, MethodSetting, read_settings, setting_of
from loop.measure.methods.table import LEAST, apart, conclusion, figures_of
from loop.measure.methods.trials import BlockTimer, Seconds, Trials, newest
from loop.measure.steer.remembered import Remembered
from loop.measure.steer.scene_marks import scene_marker
from loop.measure.steer.streams import ShownStretch, steer
from loop.measure.steer.switches import PromptSwitch
from tests.support.tiny import tiny_world
from world.compact.model import shape
from world.compact.small import SMALL
from world.compact.world import CompactWorld
from world.event import Prompt, Recall, Scene
from world.options import WorldOptions
from world.train.judge.report import Figure
from world.train.story.form import TALE
from world.train.story.reader import SceneReader, save_reader
from world.zoo import check_options, open_world

SWITCH = PromptSwitch("red stripes moving left", "blue")
BRIEF = Seconds(0.75, 1.0, 0.75)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A file of an untrained world of the size of a test, whose decoder draws something."""
    torch.manual_seed(0)
    path, world = tmp_path_factory.mktemp("world") / "small.safetensors", CompactWorld(shape(64, 1, SMALL), SMALL)
    for weights in world.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    world.save(path)
    return path


# settings


def test_a_setting_is_a_line_of_options_as_they_are_typed():
    assert setting_of("  ") == MethodSetting(AS_SHIPPED)
    line = "--steps first:4,then:2 --sink-ema 0.99,0.9 --memory like"
    assert setting_of(line) == MethodSetting(line, {"steps": "first:4,then:2", "sink_ema": (0.99, 0.9)}, "like")
    assert setting_of("--carry 3").of(WorldOptions("tale", steps="2")) == WorldOptions("tale", steps="2", carry=3)


@pytest.mark.parametrize("name", ["small", "tale"])
def test_the_bundled_worlds_can_have_every_setting_that_is_built_in(name):
    settings = read_settings(None)
    assert [one.name for one in settings] == [AS_SHIPPED, *BUILT_IN[1:]]
    for setting in settings:
        check_options(setting.of(WorldOptions(name)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n--world tale\n", "unrecognized arguments: --world"),
        ("\n--steps 99\n", "argument --steps"),
        ("\n--memory always\n", "argument --memory"),
        ("--sink 'a\n\n", "No closing quotation"),
        ("--steps 2\n", "holds 1 settings: expected two"),
    ],
)
def test_a_file_that_holds_no_settings_is_told_in_one_line(tmp_path, text, told):
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(UsageError, match=told):
        read_settings(tmp_path / "s.txt")


# what new words bring back


def streamed(world, memory: str, blocks: int = 8):
    session, past = world.session(7, "a"), Remembered(world.info, memory)
    for _ in range(blocks):
        past.note(session.step(), session.conditions)
    return session, past


def test_new_words_bring_back_what_a_show_would():
    event = streamed(tiny_world(), "switch")[1].event("b")
    assert isinstance(event, Recall) and [block.index for block in event.blocks] == [0] and event.text == "b"
    assert streamed(tiny_world(), "named")[1].event("b") == Prompt("b")
    assert Remembered(tiny_world().info, "switch").event("b") == Prompt("b")  # before the first block


def test_words_after_which_nothing_is_carried_are_a_hard_cut_in_the_comparison_too():
    world = open_world("small", device="cpu", carry=0)
    assert streamed(world, "like", 2)[1].event("green rain") == Scene("green rain")


def test_the_steer_test_takes_the_memory_of_a_show(untrained):
    world = open_world(str(untrained), device="cpu", sink=3)
    made = steer(world, SWITCH, 4, 3.0, "switch").after["recache"].latents
    session = world.session(4, SWITCH.before)
    past = [session.step() for _ in range(12)]
    again = [session.step([Recall((past[0].past,), SWITCH.after)]), *(session.step() for _ in range(11))]
    assert all(np.array_equal(one, block.latents) for one, block in zip(made, again, strict=True))


# trials


def test_a_setting_that_changes_nothing_makes_the_same_marks(untrained):
    world = open_world(str(untrained), device="cpu")
    other = open_world(str(untrained), device="cpu", steps="4", carry=8, sink=1)
    reader = word_reader(world, str(untrained), None)
    one, same = (Trials(w, reader=reader, seconds=BRIEF) for w in (world, other))
    assert one.switch(SWITCH, 3) == same.switch(SWITCH, 3) and one.long("red", 3, 0) == same.long("red", 3, 0)
    fewer = Trials(open_world(str(untrained), device="cpu", steps="1"), reader=reader, seconds=BRIEF)
    assert one.switch(SWITCH, 3) != fewer.switch(SWITCH, 3)


def test_a_trial_says_what_is_followed_what_stays_what_comes_back_and_what_moves(untrained):
    world = open_world(str(untrained), device="cpu")
    marks = Trials(world, reader=PatternReader(world.decoder), seconds=BRIEF).switch(SWITCH, 3)
    assert list(marks) == ["jump", "motion", "back: colour", "back: layout", "named", "stayed", "back: as it was"]
    assert [len(marks[name]) for name in ("named", "stayed", "back: as it was")] == [1, 1, 2]
    assert list(Trials(world, seconds=BRIEF).switch(SWITCH, 3)) == list(marks)[:4]  # nothing reads its pictures


def test_the_jump_is_the_largest_change_from_the_last_picture_before_the_words_on():
    world = open_world("small", device="cpu")
    trials, session = Trials(world, seconds=BRIEF), world.session(3, SWITCH.before)
    shown = ShownStretch(world.decoder.start())
    for number in range(3 + 4):
        shown.add(world.decoder, session.step([Prompt(SWITCH.after)] if number == 3 else []))
    assert trials.switch(SWITCH, 3)["jump"][0] == pytest.approx(max(shown.changes[17:]), rel=0.02)


def test_colours_and_directions_of_patterns_are_read_in_their_pixels():
    world = open_world("small", device="cpu")
    reader = word_reader(world, "small", None)
    assert isinstance(reader, PatternReader)
    session = world.session(5, "red stripes moving left")
    line = [session.step() for _ in range(8)]
    seen = reader.read(newest(line), ["red stripes moving left"])
    assert seen == {"colour": "red", "direction": "left"} and newest(line).shape[1] == NEWEST
    assert reader.named(["red stripes moving left", "blue"], seen) == [False]
    assert reader.stayed(["red stripes moving left", "blue"], seen, seen) == [True]
    assert reader.named(["red stripes moving left", "moving up"], seen) == [False]


def test_scenes_of_a_storybook_are_read_by_its_reader_and_not_without_one(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "tale.safetensors"
    CompactWorld(shape(64, 1, TALE), TALE).save(path)
    world = open_world(str(path), device="cpu")
    assert word_reader(world, str(path), None) is None
    save_reader(tmp_path / "reader.safetensors", SceneReader())
    reader = word_reader(world, str(path), None)
    assert isinstance(reader, StoryReader)
    session = world.session(1, "a red boat at night")
    line, marker = [session.step() for _ in range(3)], scene_marker(world, str(path), None)
    seen = reader.read(newest(line), ["a red boat at night"])
    assert seen == marker.read(np.concatenate([block.latents for block in line[-2:]], 1))
    night = seen | {"time": "night"}
    assert reader.named(["a red boat", "night falls"], night) == [True]
    assert all(reader.stayed(["a red boat", "night falls"], night, night))


def test_costs_are_those_of_the_same_blocks_in_turn(untrained):
    world = open_world(str(untrained), device="cpu")
    costs = BlockTimer(Trials(world), SWITCH, 1, warm_s=0.5)
    costs.turn(3)
    costs.turn(3)
    assert len(costs.block_ms) == 6 and len(costs.switch_ms) == 2 and min(costs.block_ms) > 0


# the table


def figures(value: float, reach: float, count: int = 20) -> dict[str, Figure]:
    return {"jump": Figure(value, value - reach, value + reach, count)}


def test_a_setting_lies_apart_only_where_no_part_of_the_intervals_is_common():
    table = {"a": figures(1.0, 0.2), "b": figures(1.3, 0.2), "c": figures(1.5, 0.2), "d": figures(0.5, 0.2)}
    assert [line.split(":")[0] for line in apart(table)] == ["c", "d"]
    above, below = apart(table)
    assert "lies above a" in above and "lies below a" in below
    assert "no winner" in conclusion(table)[-1]


def test_nothing_is_said_of_few_trials_or_where_all_intervals_overlap():
    few = {"a": figures(1.0, 0.0, LEAST - 1), "b": figures(2.0, 0.0, LEAST - 1)}
    assert list(apart(few)) == [] and len(conclusion(few)) == 1
    assert conclusion({"a": figures(1.0, 0.2), "b": figures(1.1, 0.2)})[0].startswith("everywhere")


def test_hits_become_shares_and_values_means():
    found = figures_of([{"named": [True, False], "jump": [2.0]}, {"named": [True], "jump": [4.0]}, {"more": []}])
    assert (found["named"].value, found["named"].count, found["jump"].value) == (pytest.approx(2 / 3), 3, 3.0)
    assert "more" not in found


def test_the_whole_command_compares_settings_and_writes_its_numbers(untrained, tmp_path, capsys):
    (tmp_path / "s.txt").write_text("\n--steps 1 --sink 2 --memory switch --memory-slots 1\n--carry 3\n")
    command = ["bench", "methods", "--world", str(untrained), "--device", "cpu", "--threads", "1", "--seed", "1"]
    command += ["--switches", "1", "--streams", "1", "--minutes", "0.2", "--blocks", "1"]
    assert main([*command, "--settings", str(tmp_path / "s.txt"), "--json", str(tmp_path / "m.json")]) == 0
    out = capsys.readouterr().out
    assert "| --carry 3 |" in out and "no winner" in out and "with new words" in out
    found = json.loads((tmp_path / "m.json").read_text())["settings"]
    assert [one["setting"] for one in found] == [AS_SHIPPED, *(tmp_path / "s.txt").read_text().splitlines()[1:]]
    # where no words change, a carry is the world as it is
    long = [{name: mark for name, mark in one["marks"][1].items()} for one in found]
    assert long[2] == long[0] != long[1] and "later: contrast" in long[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--world", "probe"], "'probe' has no model"),
        (["--prompt", "words"], "--prompts FILE"),
        (["--settings", "nowhere.txt"], "nowhere.txt"),
        (["--switches", "-1"], "--switches"),
        (["--world", "tale", "--sink", "7"], "7"),
    ],
)
def test_a_mistake_is_told_in_one_line(capsys, arguments, told):
    assert main(["bench", "methods", "--seed", "1", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error and len(error.splitlines()) == 1
