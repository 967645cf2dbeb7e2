"""The dials of the storybook: how they are turned in its clips, and the marks of what they do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from world.compact.form import WorldForm
from world.compact.model import shape
from world.compact.world import CompactWorld
from world.info import DialRange
from world.train.marks.dials import RENDERED, REST, TOGETHER, WHEN, dial_ends, dial_table, seen_rise, turned_streams
from world.train.marks.exam import examine_tale
from world.train.marks.judge import SECOND, StoryJudge
from world.train.marks.pixels import scene_likeness
from world.train.story.clips import render_scenes
from world.train.story.form import TALE
from world.train.story.principal import fit_principal
from world.train.story.reader import SceneReader, save_reader
from world.train.story.turns import LONGEST, turned_dials
from world.train.tale.scene import Scenes, random_scenes

CPU = torch.device("cpu")


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_dials_stay_where_they_are_turned_to():
    dials = turned_dials(400, 14, chance(), moved=1.0)
    is_off, stands = dials != 0, torch.cat([dials[:, :1], dials], 1).diff(dim=1) == 0
    assert dials.abs().max() <= 1 and dials.min() < -0.9 and dials.max() > 0.9
    assert 0.2 < is_off.float().mean() < 0.5
    assert stands[is_off].float().mean() > 0.6  # under a value that is not rest too


def test_a_turn_glides_straight_to_its_end():
    dials = turned_dials(400, 14, chance(2), moved=1.0)
    bend = dials.diff(n=2, dim=1).abs() > 1e-5  # where a glide begins, ends, or goes elsewhere
    steps = dials.diff(dim=1)
    assert bend.float().mean() < 0.2
    assert steps.abs().max() > 1  # a hand may be quick
    assert ((steps != 0).float().unfold(1, LONGEST, 1).mean(-1) == 1).any()  # or take its time


def test_a_share_of_the_clips_is_turned_and_the_others_rest():
    dials = turned_dials(1000, 14, chance(3), moved=0.4)
    assert 0.25 < (dials != 0).flatten(1).any(1).float().mean() < 0.42
    assert not turned_dials(50, 14, chance(3), moved=0.0).any()


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return random_scenes(12, chance(5))


@pytest.mark.parametrize("name", ["pan_y", TOGETHER])
def test_a_camera_is_seen_as_high_as_it_rose(scenes: Scenes, name: str):
    asked = dial_ends(TALE, name, len(scenes))
    elsewhere = replace(scenes, phase=scenes.phase.roll(1), beat=scenes.beat.roll(1))

    def share_seen(taken: float) -> float:
        frames = render_scenes(elsewhere, (taken * asked)[:, None].repeat(1, 2, 1), CPU)
        return seen_rise(frames, scenes, asked).mean().item()

    assert [share_seen(taken) for taken in (0.0, 0.5, 1.0)] == pytest.approx([0, 0.5, 1], abs=0.2)


def test_a_picture_that_dissolves_is_unlike_its_scene(scenes: Scenes):
    frames = render_scenes(scenes, torch.zeros(len(scenes), 1, 3), CPU).mean(1)
    risen = render_scenes(scenes, dial_ends(TALE, "pan_y", len(scenes))[:, None], CPU).mean(1)
    mist = torch.nn.functional.avg_pool2d(frames, 17, 1, 8, count_include_pad=False)
    mist += 0.1 * torch.randn(mist.shape, generator=chance())
    assert scene_likeness(frames, risen).mean() > 0.95  # wherever the camera is: what stands, stands
    assert scene_likeness(frames, mist).mean() < 0.6


def test_half_of_the_streams_go_to_each_end_of_a_dial():
    form = replace(TALE, dials={**TALE.dials, "pan_y": DialRange(-0.25, 0.5)})
    assert dial_ends(form, "pan_y", 3).tolist() == [[0, 0.5, 0], [0, -0.25, 0], [0, 0.5, 0]]
    assert dial_ends(form, REST, 2).eq(0).all() and (dial_ends(form, TOGETHER, 4) != 0).sum() == 8


def tiny_world(form: WorldForm = TALE) -> CompactWorld:
    torch.manual_seed(0)
    world = CompactWorld(shape(64, 1, form), form)
    world.decoder.linear.load_state_dict(fit_principal(CPU, clips=24).state_dict())
    return world


def tiny_judge() -> StoryJudge:
    return StoryJudge(tiny_world(), SceneReader().eval(), CPU)


def test_a_dial_takes_a_second_to_its_end_and_is_read_two_and_ten_later(monkeypatch: pytest.MonkeyPatch):
    streams, played = tiny_judge().streams(["a boat", "a bird"], 1), list[Tensor | None]()
    next_block = streams.next_block

    def remember(dials: Tensor | None = None) -> Tensor:
        played.append(dials)
        return next_block(dials)

    monkeypatch.setattr(streams, "next_block", remember)
    asked = torch.tensor([[1.0, 0, 0], [0, -0.5, 0]])
    read = dict(turned_streams(streams, asked))
    assert list(read) == list(WHEN) and all(pair.shape[:2] == (2, 2) for pair in read.values())
    turned = [dials for dials in played if dials is not None]
    assert len(played) - len(turned) == 3 * SECOND and len(turned) == SECOND + max(WHEN.values())
    assert [dials[0, 0, 0].item() for dials in turned[:6]] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert torch.equal(turned[-1][:, 0], asked)


def test_the_table_has_every_dial_rest_and_the_truth():
    table = dial_table(tiny_judge(), 4)
    assert list(table) == [REST, *TALE.dials, TOGETHER, RENDERED]
    assert "rise after 2 s" not in table["pan_x"] and "rise after 10 s" in table["pan_y"]
    truth = table[RENDERED]
    assert truth["ground after 2 s"].value == 1 and truth["rise after 2 s"].value == pytest.approx(1, abs=0.2)
    assert table["pan_x"]["likeness after 10 s"].count == 4


def test_a_ground_that_hardly_goes_has_no_way_to_be_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("world.train.marks.dials.travelled", lambda *_: torch.full((4, 2), 0.01))
    table = dial_table(tiny_judge(), 4)
    assert "ground after 2 s" not in table[REST]


@pytest.mark.slow
@pytest.mark.parametrize("dials", [[*TALE.dials], ["pan_x", "pan_y", "zoom", "energy"]])
def test_an_evaluation_marks_the_dials_of_a_storybook_that_has_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, dials: list[str]
):
    tiny_world(replace(TALE, dials=dict.fromkeys(dials, DialRange()))).save(tmp_path / "tale.safetensors")
    save_reader(tmp_path / "reader.safetensors", SceneReader())
    examine_tale(tmp_path, CPU, trials=2)
    tables = json.loads((tmp_path / "marks.json").read_text())
    are_marked = dials == [*TALE.dials]
    assert ("dials turned to their ends" in tables) is are_marked is ("not marked" not in caplog.text)
    assert {"sentences", "two minutes", "pictures"} < set(tables) and "two minutes" in capsys.readouterr().out
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("sentences.png", "switches.png"))
