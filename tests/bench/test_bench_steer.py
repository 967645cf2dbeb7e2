"""The steer test: switches from a file, three ways from one past, what is named and what stays, and what is written."""

import json

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.cli.usage import UsageError
from loop.measure.steer.command import steer_sheet
from loop.measure.steer.scene_marks import compared, scene_marker
from loop.measure.steer.streams import STEER_MODES, KeptCacheSession, ShownStretch, steer
from loop.measure.steer.switches import PromptSwitch, default_switches, read_switches
from tests.support.tiny import digests, tiny_world
from tests.wan.wan_folder import write_folder
from world.compact.model import shape
from world.compact.small import SMALL
from world.compact.world import CompactWorld
from world.event import Prompt, Scene
from world.train.story.form import TALE
from world.train.story.reader import SceneReader, save_reader
from world.train.tale.words import START, scene_after
from world.zoo import open_world

SWITCH = PromptSwitch("a red boat at sunset", "night falls")


@pytest.fixture(scope="module")
def tale(tmp_path_factory):
    """A file of an untrained storybook, with a reader beside it that has learnt nothing either."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tale") / "tale.safetensors"
    CompactWorld(shape(64, 1, TALE), TALE).save(path)
    save_reader(path.with_name("reader.safetensors"), SceneReader())
    return path


def lines(path, text):
    path.write_text(text)
    return path


def test_a_file_holds_one_switch_a_line(tmp_path):
    path = lines(tmp_path / "p.txt", "a boat | night falls\n\n the sea| it  snows \n")
    assert read_switches(path) == [PromptSwitch("a boat", "night falls"), PromptSwitch("the sea", "it snows")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a | b\na boat\n", "line 2: got 'a boat', expected"),
        ("a | b | c", "line 1: got"),
        ("a | ", "line 1: the prompt is empty"),
        ("\n", "holds no line"),
    ],
)
def test_a_line_that_is_no_switch_is_told_with_its_number(tmp_path, text, told):
    with pytest.raises(UsageError, match=told):
        read_switches(lines(tmp_path / "p.txt", text))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no UTF-8"):
        read_switches(tmp_path / "p.txt")


@pytest.mark.parametrize("form", [SMALL, TALE])
def test_without_a_file_a_world_is_switched_in_words_that_it_knows(form):
    info = form.info("world")
    switches = default_switches(info)
    assert len(switches) >= 3
    assert all(info.known_words(text) for one in switches for text in (one.before, one.after))


def test_a_kept_cache_is_that_of_the_old_words_while_blocks_follow_the_new_ones():
    world = tiny_world()
    kept, recached, unchanged = KeptCacheSession(world, 3, "a"), world.session(3, "a"), world.session(3, "a")
    for session in (kept, recached, unchanged):
        session.step(), session.step(), session.step()
    made = [kept.step([Prompt("b")]), recached.step([Prompt("b")]), unchanged.step()]
    assert len(set(digests(made))) == 3
    fresh = KeptCacheSession(world, 3, "a")
    assert digests([fresh.step() for _ in range(4)])[-1] == made[2].digest  # it is a session like any until words come


def test_all_modes_go_on_from_one_past_and_end_as_plain_sessions_do():
    world = open_world("small", device="cpu")
    switch = PromptSwitch("blue rain", "golden spiral")
    made = steer(world, switch, seed=4, seconds=0.5)
    for mode, event in (("recache", Prompt(switch.after)), ("reset", Scene(switch.after))):
        session, shown = world.session(4, switch.before), ShownStretch(world.decoder.start())
        for block in [session.step(), session.step(), session.step([event]), session.step()]:
            shown.add(world.decoder, block)
        assert np.allclose(shown.last.astype(int), made.after[mode].last, atol=1)
        assert made.jump(mode) == pytest.approx(max(shown.changes[-12:]), abs=0.5)
    assert all(len(made.after[mode].pictures) == 2 for mode in STEER_MODES)
    assert made.jump("reset") > made.jump("recache")
    assert steer_sheet([made], 2).shape == (64, 10 * 112, 3)


def test_what_is_named_counts_as_asked_and_what_is_not_named_as_it_was():
    before = scene_after(SWITCH.before) | {"speed": "fast"}  # not what was asked, but what was seen
    right = compared(SWITCH, before, before | {"time": "night"})
    assert right.named == {"time": True}
    assert set(right.stayed) == {"place", "weather", "subject", "colour", "way", "speed"} and all(right.stayed.values())
    wrong = compared(SWITCH, before, before | {"colour": "blue"})
    assert wrong.named == {"time": False} and [name for name, hit in wrong.stayed.items() if not hit] == ["colour"]


def test_a_colour_counts_only_where_a_subject_is_to_be_seen_before_and_after():
    assert "colour" not in compared(PromptSwitch("the sea", "night falls"), START, START).stayed
    appears = compared(PromptSwitch("the sea", "a whale"), START, START)
    assert appears.named == {"subject": False} and "colour" not in appears.stayed


def test_a_storybook_is_marked_by_the_reader_beside_it_and_all_is_written(tale, tmp_path, capsys):
    prompts = lines(tmp_path / "p.txt", "a red boat | night falls\nthe desert | a green train\n")
    command = ["bench", "steer", "--world", str(tale), "--device", "cpu", "--threads", "1", "--seed", "1"]
    command += ["--seconds", "0.5", "--prompts", str(prompts), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    assert "| recache |" in capsys.readouterr().out
    found = json.loads((tmp_path / "out/steer.json").read_text())
    assert {"named", "stayed", "jump"} == set(found["modes"]["keep"])
    assert [one["after"] for one in found["switches"]] == ["night falls", "a green train"]
    assert set(found["switches"][0]["marks"]["reset"]["named"]) == {"time"}
    page = (tmp_path / "out/steer.html").read_text()
    assert page.count("data:image/png;base64,") == 6 and "a red boat &rarr; night falls" in page
    assert (tmp_path / "out/steer.png").read_bytes().startswith(b"\x89PNG")
    assert main(command) == 2
    assert "has a steer.png: choose another folder" in capsys.readouterr().err


def test_a_folder_of_checkpoints_has_pictures_and_the_jump_only(tmp_path, capsys):
    folder = write_folder(tmp_path / "folder")
    prompts = lines(tmp_path / "p.txt", "a red fox | a red fox in the snow\n")
    command = ["bench", "steer", "--world", str(folder), "--device", "cpu", "--threads", "1", "--picture", "32x16"]
    command += ["--seed", "1", "--seconds", "1", "--prompts", str(prompts), "--json", str(tmp_path / "s.json")]
    assert main(command) == 0
    found = json.loads((tmp_path / "s.json").read_text())
    assert set(found["modes"]["recache"]) == {"jump"} and found["switches"][0]["marks"] == {}
    assert not (tmp_path / "steer.html").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--world", "probe"], "has no model to steer"),
        (["--world", "small", "--prompt", "rain"], "--prompts FILE"),
        (["--world", "small", "--prompts", "gone.txt"], "the name of a file that exists"),
    ],
)
def test_what_cannot_be_steered_is_told_on_one_line(options, told, capsys):
    assert main(["bench", "steer", "--device", "cpu", *options]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1


def test_a_reader_of_scenes_is_refused_for_a_world_without_them(tale):
    with pytest.raises(UsageError, match="storybook"):
        scene_marker(open_world("small", device="cpu"), "small", tale.with_name("reader.safetensors"))
