from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from world.train.tale.draw import draw, sheet
from world.train.tale.scene import Scenes, changed, random_scenes, scenes_of
from world.train.tale.stage import DIALS, RISE, ROUND, SPEED
from world.train.tale.words import ATTRIBUTES, HABITS, START, VALUES

SMALL, LARGE, TINY = (112, 64), (448, 256), (28, 16)
FPS = 24


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def told(seed: int = 0, **attributes: str) -> Scenes:
    """One scene, a clear day at sea but for `attributes`."""
    return scenes_of([START | attributes], chance(seed))


def rest(scenes: Scenes, pictures: int = 1) -> Tensor:
    return torch.zeros(len(scenes), pictures, len(DIALS))


def picture(size: tuple[int, int] = SMALL, seed: int = 0, **attributes: str) -> Tensor:
    """The first picture of a scene, [3, Y, X]."""
    scenes = told(seed, **attributes)
    return draw(scenes, rest(scenes), size)[0, 0]


def turned(pictures: int = 24, seed: int = 0, **dials: float) -> Tensor:
    """Dials [1, pictures, 3], some of which are turned."""
    return torch.tensor([dials.get(name, 0.0) for name in DIALS]).expand(1, pictures, len(DIALS))


def shift(before: Tensor, after: Tensor) -> int:
    """Pixels by which rows [Y, X] have moved to the right, from the peak of their correlation."""
    before, after = (rows - rows.mean(1, keepdim=True) for rows in (before, after))
    scores = []
    for step in range(-20, 21):
        left, right = (before[:, : 112 - step], after[:, step:]) if step >= 0 else (before[:, -step:], after[:, :step])
        scores.append(F.cosine_similarity(left.flatten(), right.flatten(), 0))
    return int(torch.stack(scores).argmax()) - 20


def slopes(frames: Tensor) -> Tensor:
    """Where a picture has edges, whatever their colour."""
    grey = frames.mean(0)
    return grey.diff(dim=0)[:, 1:].abs() + grey.diff(dim=1)[1:].abs()


def alike(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_every_combination_can_be_drawn():
    scenes = scenes_of(
        [
            START | {"place": p, "weather": w, "subject": s, "time": t}
            for p in VALUES["place"]
            for w in VALUES["weather"]
            for s in VALUES["subject"]
            for t in VALUES["time"]
        ],
        chance(),
    )
    frames = draw(scenes, rest(scenes), TINY)
    assert frames.shape == (len(scenes), 1, 3, 16, 28)
    assert frames.isfinite().all() and frames.min() >= -1 and frames.max() <= 1
    assert (frames.flatten(1).std(1) > 0.05).all()


@pytest.mark.parametrize("attribute", ["place", "time", "weather", "subject", "colour", "way"])
def test_each_value_of_an_attribute_looks_unlike_the_others(attribute):
    scene = {"place": "forest", "subject": "balloon"}
    shown = [picture(**(scene | {attribute: value})) for value in VALUES[attribute]]
    pairs = [(a, b) for n, a in enumerate(shown) for b in shown[:n]]
    assert min(float((a - b).abs().mean()) for a, b in pairs) > 0.01


@pytest.mark.parametrize("subject", ["bird", "balloon", "whale", "comet"])
def test_a_subject_in_the_air_leaves_the_rest_of_the_picture_alone(subject):
    without, with_it = picture(place="city"), picture(place="city", subject=subject)
    differs = (with_it - without).abs().amax(0) > 1e-6
    assert differs[:, 28:84].float().mean() > 0.1  # a third of the height, in the middle half
    assert not differs[:, :10].any() and not differs[:, 102:].any() and not differs[54:].any()


@pytest.mark.parametrize("subject", VALUES["subject"][1:])
def test_a_colour_paints_the_subject_alone(subject):
    red, blue = picture(subject=subject, colour="red"), picture(subject=subject, colour="blue")
    differs = (red - blue).abs().amax(0) > 1e-6
    assert differs.float().mean() > 0.015
    assert not differs[:, :10].any() and not differs[:, 102:].any()
    apart = (red - blue)[:, differs]
    assert apart[0].mean() > 0.1 > -0.1 > apart[2].mean()


def test_a_boat_brings_water_and_a_train_its_track_to_any_place():
    desert = picture(place="desert")
    boat, train = picture(place="desert", subject="boat"), picture(place="desert", subject="train")
    sea = picture(place="sea", subject="boat")
    assert (boat - sea)[:, 58:].abs().mean() < 0.01 < (desert - sea)[:, 58:].abs().mean()
    assert (train - desert)[:, 50:54, :8].abs().mean() > 0.05


def test_weather_and_time_change_the_sky_and_keep_the_outlines():
    day = picture(place="mountains")
    for other in ({"time": "sunset"}, {"time": "night"}, {"weather": "fog"}, {"weather": "snow"}):
        now, elsewhere = (picture(place=place, **other) for place in ("mountains", "desert"))
        assert (now - day)[:, :16].abs().mean() > 0.1
        assert alike(slopes(now), slopes(day)) > alike(slopes(elsewhere), slopes(day)) + 0.1


def test_a_change_keeps_seed_and_layout_and_all_that_is_not_named():
    before = random_scenes(200, chance())
    after = changed(before, ["weather", "time"], chance(1))
    assert torch.equal(before.phase, after.phase) and torch.equal(before.beat, after.beat)
    for name in ATTRIBUTES:
        same = getattr(before, name) == getattr(after, name)
        assert not same.any() if name in ("weather", "time") else same.all()


def test_a_new_subject_keeps_the_old_colour_but_has_its_own_after_none():
    before = scenes_of([START | {"subject": "boat", "colour": "pink"}, START], chance())
    for seed in range(20):
        boat, nobody = changed(before, ["subject"], chance(seed)).described()
        assert boat["subject"] == "none" or boat["colour"] == "pink"
        assert nobody["colour"] == HABITS[nobody["subject"]]


def test_an_attribute_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="unknown attributes \\['mood'\\]"):
        changed(told(), ["mood"], chance())


def test_random_scenes_repeat_with_their_seed_and_hold_every_value():
    scenes, again = (random_scenes(2000, chance(5)) for _ in range(2))
    assert torch.equal(scenes.numbers(), again.numbers()) and torch.equal(scenes.phase, again.phase)
    for number, name in enumerate(ATTRIBUTES):
        assert scenes.numbers()[:, number].unique().tolist() == list(range(len(VALUES[name])))
    assert scenes_of(scenes.described(), chance()).numbers().equal(scenes.numbers())


def test_a_clip_is_the_same_alone_and_in_company():
    scenes = random_scenes(12, chance(6))
    dials = 0.5 * torch.randn(12, 3, len(DIALS), generator=chance(7)).clamp(-1, 1)
    together = draw(scenes, dials, SMALL)
    alone = torch.cat([draw(scenes.rows(slice(n, n + 1)), dials[n : n + 1], SMALL) for n in range(12)])
    assert (together - alone).abs().max() < 1e-3
    assert torch.equal(together, draw(scenes, dials, SMALL))


def test_the_latents_size_and_the_decoders_size_show_the_same_picture():
    scenes = random_scenes(12, chance(8))
    small, large = (draw(scenes, rest(scenes), size)[:, 0] for size in (SMALL, LARGE))
    shrunk = F.avg_pool2d(large, 4)
    assert (shrunk - small).abs().mean() < 0.02
    assert min(alike(a, b) for a, b in zip(shrunk, small, strict=True)) > 0.98


@pytest.mark.parametrize("way", VALUES["way"])
@pytest.mark.parametrize("speed", VALUES["speed"])
def test_the_near_ground_runs_the_other_way_at_its_speed(way, speed):
    scenes = told(place="space", way=way, speed=speed)
    frames = draw(scenes, rest(scenes, 7), SMALL)[0].mean(1)
    expected = SPEED[VALUES["speed"].index(speed)] / FPS * 6 * 32  # half picture heights of 32 pixels
    measured = shift(frames[0, 56:], frames[6, 56:])
    assert measured == pytest.approx(-expected if way == "right" else expected, abs=1)


def test_the_speeds_lie_far_apart():
    assert all(faster > 2.5 * slower for slower, faster in pairwise(SPEED))


def test_a_subject_faces_its_way():
    left, right = (picture(subject="train", way=way)[:, 20:45, 20:92] for way in ("left", "right"))
    assert alike(left.flip(2), right) > 0.8 > alike(left, right)


def rows_of_layers(frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a picture of mountains shows of its far, middle and near layer alone, in grey."""
    grey = frame.mean(0)
    return grey[12:26], grey[34:46], grey[56:]


def test_only_the_near_ground_goes_by():
    for place in VALUES["place"]:
        scenes = told(place=place, weather="fog", speed="fast")
        frames = draw(scenes, rest(scenes, 25), SMALL)[0]
        changed_rows = (frames[0] - frames[24]).abs().mean((0, 2))
        assert changed_rows[:26].mean() < 0.01 < 0.04 < changed_rows[26:].mean(), place


def test_what_stands_behind_the_ground_stands_wherever_the_camera_goes():
    scenes = told(place="mountains", speed="slow", subject="balloon")
    still, panned, raised = (
        draw(scenes, turned(12, **dials), SMALL)[0, -1] for dials in ({}, {"pan_x": 1.0}, {"pan_y": -1.0})
    )
    for moved in (panned, raised):
        assert torch.equal(moved[:, :40], still[:, :40]) and (moved - still)[:, 40:].abs().mean() > 0.02


def test_every_place_repeats_after_one_round():
    for place in VALUES["place"]:
        scenes = told(place=place)
        begin, end = (replace(scenes, phase=torch.tensor([phase])) for phase in (0.0, 1.0))
        first, last = (draw(part, rest(part), SMALL)[0, 0, :, 28:] for part in (begin, end))
        assert (first - last).abs().mean() < 0.02, f"{place} differs after {ROUND} half heights"


def test_a_camera_that_pans_lets_the_ground_go_by():
    scenes = told(place="mountains", speed="slow", way="left")
    slow, panned = (draw(scenes, turned(7, pan_x=pan), SMALL)[0, :, :, 56:].mean(1) for pan in (0.0, 1.0))
    assert shift(panned[0], panned[-1]) < 0 < shift(slow[0], slow[-1])  # it outruns who goes slowly to the left


def test_the_ground_sinks_under_a_camera_that_rises():
    scenes, whole = told(place="desert"), 0.125 / RISE  # by which the ground sinks four of a half's 32 rows
    low, high = (draw(scenes, turned(1, pan_y=value), SMALL)[0, 0].mean(0) for value in (-whole, whole))
    assert alike(low[50:56], high[58:]) > 0.95 > alike(low[50:56], high[50:56])


def test_energy_makes_what_moves_move_faster():
    scenes = told(weather="rain", subject="bird")
    calm, lively = (draw(scenes, turned(12, energy=value), SMALL)[0] for value in (-1.0, 1.0))
    assert lively.diff(dim=0).abs().mean() > 1.2 * calm.diff(dim=0).abs().mean()


def test_a_storm_at_night_is_not_black():
    for place in VALUES["place"]:
        frame = picture(place=place, time="night", weather="storm", subject="boat")
        assert frame.std() > 0.25 and frame.quantile(0.95) - frame.quantile(0.05) > 0.6


def test_fog_keeps_layers_apart():
    # strips of light lie on the ground: its darker part is the ground itself
    for time in VALUES["time"]:
        frame = picture(place="forest", weather="fog", time=time).mean(0)
        sky, trees, ground = frame[4:12].mean(), frame[36:46].mean(), frame[58:].quantile(0.3)
        assert abs(sky - ground) > 0.3 and abs(trees - ground) > 0.15


def test_a_contact_sheet_has_one_picture_for_each_scene():
    image = sheet([START, START | {"time": "night"}, START | {"place": "space"}], 2, TINY)
    assert image.shape == (32, 56, 3) and image.dtype == torch.uint8
    assert image[16:, 28:].float().std() == 0 and image[16:, :28].float().std() > 10
