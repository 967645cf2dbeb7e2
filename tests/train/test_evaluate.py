import json
import math
import random
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from world.compact.files import file_of
from world.compact.small import SMALL
from world.compact.world import CompactWorld
from world.train.data.captions import EXAM_TEMPLATES, SCENES, SPEEDS, TEMPLATES, Look, exam_prompts, look_of
from world.train.data.motion import measure_motion, measured_speeds, motion_fields, speed_class, translation_fields
from world.train.data.render import FPS, paint, random_colours, render_maps
from world.train.judge.evaluate import Judge, turned_dial
from world.train.judge.exam import publish
from world.train.judge.recognise import Recogniser
from world.train.judge.report import markdown_table, mean_of_values, share_of_hits
from world.train.judge.scores import Marker, nearest_colours
from world.train.judge.sheet import tile_pictures, write_png
from world.train.learn.played import PlayedRules
from world.train.learn.rollout import SamplingRecipe


def film(look: Look, seed: int = 0, dials: Tensor | None = None) -> Tensor:
    """Two rendered blocks [12, 3, Y, X] in -1 to 1."""
    generator = torch.Generator().manual_seed(seed)
    maps = render_maps(look, torch.zeros(1, 2, 4) if dials is None else dials, generator)
    return paint(maps, random_colours([look], generator))[0].clamp(0, 255) / 127.5 - 1


@pytest.fixture(scope="module")
def world() -> CompactWorld:
    return CompactWorld.load(file_of("small"))


@pytest.fixture(scope="module")
def judge(world: CompactWorld) -> Judge:
    torch.manual_seed(0)
    return Judge(world.model, Marker(world.decoder, Recogniser(32, 8, 14).eval()), SamplingRecipe())


@pytest.mark.parametrize(("scene", "speed"), list(product(SCENES, SPEEDS)))
def test_motion_is_read_off_rendered_clips(scene: str, speed: str):
    for seed, way in enumerate(SCENES[scene]):
        found, pace = measure_motion(film(Look(scene, "white", way, speed), seed), Look(scene, "white", way, speed))
        assert found == way
        assert speed_class(pace) == speed


def test_a_picture_that_rests_has_no_speed():
    frames = film(Look("plasma", "red", "right"))[:1].expand(6, -1, -1, -1)
    assert measured_speeds(frames.unsqueeze(0), translation_fields(128, 224)).abs().max() < 1e-4


def test_noise_has_no_direction():
    frames = torch.rand(1, 12, 3, 128, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert measured_speeds(frames, motion_fields("spiral", 128, 224)).abs().max() < 0.1


def test_speed_is_in_half_picture_heights_a_second():
    x = torch.arange(224.0)
    moved = torch.stack([torch.sin((x - 2 * t) / 12) for t in range(8)])  # two pixels a picture
    frames = moved.view(1, 8, 1, 1, 224).expand(1, 8, 3, 128, 224)
    found = float(measured_speeds(frames, translation_fields(128, 224))[0, 0])
    assert found == pytest.approx(2 * FPS / 64, rel=0.05)


@pytest.mark.parametrize("dial", SMALL.dials)
def test_a_rendered_dial_is_seen_in_the_motion(dial: str, judge: Judge):
    look, path = Look("plasma", "red", "right"), torch.cat([torch.zeros(1, 8, 4), turned_dial(dial, torch.ones(1))], 1)
    frames = {name: film(look, 3, dials) for name, dials in (("turned", path), ("rest", torch.zeros(1, 10, 4)))}
    latents = torch.cat([judge.marker.decoder.linear.encode(clip.unsqueeze(0)) for clip in frames.values()])
    turned, rest = judge._dial_motion(latents, dial, [look, look])
    assert turned > rest


def test_dials_of_a_trial_move_no_faster_than_in_play():
    path = turned_dial("zoom", torch.tensor([1.0, -1.0]))
    assert path[:, :, 2].tolist() == [[pytest.approx(0.35), pytest.approx(0.7)], [pytest.approx(-0.35), -0.5]]
    assert not path[:, :, [0, 1, 3]].any()


def test_exam_prompts_have_orders_of_words_that_training_lacks():
    def order(form: str) -> list[str]:
        kinds = ("scene", "colour", "direction", "speed")
        return sorted(kinds, key=lambda kind: form.index("{" + kind + "}"))

    assert not [form for form in EXAM_TEMPLATES if order(form) in [order(known) for known in TEMPLATES]]


def test_exam_prompts_say_what_their_looks_are():
    asked = exam_prompts(random.Random(1), 90)
    assert all(look_of(text) == look for text, look in asked)
    assert {look.scene for _, look in asked} == set(SCENES)


def test_marks_of_rendered_clips_are_right(world: CompactWorld, judge: Judge):
    looks = [Look("grid", "green", "up", "fast"), Look("tunnel", "red", "inwards", "slow")]
    latents = world.decoder.linear.encode(torch.stack([film(look, 5) for look in looks]))
    for mark in judge.marker(latents, 0, looks):
        assert mark.colour and mark.direction and mark.speed and mark.exact
    wrong = [Look("grid", "blue", "down", "slow"), Look("tunnel", "pink", "outwards", "fast")]
    for mark in judge.marker(latents, 0, wrong):
        assert not (mark.colour or mark.direction or mark.speed or mark.exact)


def test_the_same_seed_gives_the_same_marks(judge: Judge):
    asked = exam_prompts(random.Random(1), 3)
    once, again = (judge._marks(asked, (1, 3)) for _ in range(2))
    assert once == again and [len(marks) for marks in once] == [3, 3]
    assert once[0] != once[1]


@pytest.mark.slow
def test_each_way_over_a_switch_starts_from_the_same_streams(judge: Judge):
    rows = judge.switches(3)
    assert list(rows) == ["no cache", "keep", "recache"]
    assert rows["recache"]["recache less this"].value == 0
    assert rows["no cache"]["jump"].value > rows["recache"]["jump"].value


def test_a_share_has_wilson_limits():
    figure = share_of_hits([True] * 8 + [False] * 2)
    # worked by hand: (0.8 + 1.92 / 10) / 1.384 and so on
    assert figure.value == 0.8 and figure.low == pytest.approx(0.490, abs=1e-3)
    assert figure.high == pytest.approx(0.943, abs=1e-3)
    assert math.isnan(share_of_hits([]).value)


def test_a_mean_lies_within_its_limits():
    figure = mean_of_values(list(range(100)))
    assert figure.value == 49.5 and figure.low < 49.5 < figure.high
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 28.9 / 10, rel=0.1)


def test_a_table_has_a_cell_for_every_column():
    lines = markdown_table("x", {"a": {"p": 1}, "b": {"q": 2}}).splitlines()
    assert lines[0] == "| x | p | q |" and lines[2:] == ["| a | 1 |  |", "| b |  | 2 |"]


def test_the_recogniser_gives_a_verdict_on_each_look():
    looks = [look_of("red grid"), Look("rain", "blue", "up")]
    hits = Recogniser(32, 8, 14).eval().hits(torch.randn(2, 2, 32, 8, 14), looks)
    assert set(hits) == {"scene", "direction", "speed"} and hits["scene"].shape == (2,)


def test_a_colour_is_named_by_its_bright_pixels():
    frames = -torch.ones(1, 1, 3, 4, 4)
    frames[:, :, 0, :2] = 1
    frames[:, :, 1, :2] = 0
    assert nearest_colours(frames) == ["orange"]


def test_a_png_can_be_read_back(tmp_path: Path):
    from PIL import Image

    picture = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    write_png(tmp_path / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)


def test_a_sheet_has_a_row_for_each_list():
    assert tile_pictures([[torch.zeros(3, 8, 10)] * 3] * 2).shape == (8, 15, 3)


def test_marks_name_the_rules_that_they_were_made_under(tmp_path: Path, capsys: pytest.CaptureFixture):
    rules = PlayedRules(steps="2", carry=3)
    publish({"dials": {"row": {"pan_x": share_of_hits([True, False])}}}, tmp_path, "base", rules)
    saved = json.loads((tmp_path / "scores-base.json").read_text())
    assert "base: dials --steps 2 --carry 3\n" in capsys.readouterr().out
    assert saved["options"] == {"--steps": "2", "--carry": "3"} and list(saved) == ["options", "dials"]
