"""Pace: motion as asked is known from any other, and teaching it leaves the rest alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.train.test_tune import _model, end_after
from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.train.data.captions import SCENES, Look
from world.train.data.latents import fit_latents
from world.train.data.motion import LUMA
from world.train.data.render import paint, random_colours, render_maps
from world.train.learn.device import seeded_generator
from world.train.stages.pace import PaceConfig, PaceTuner
from world.train.stages.pace_error import Brightness, pace_errors
from world.train.stages.stream_runs import RunConfig


@pytest.fixture(scope="module")
def latents() -> LinearLatents:
    return fit_latents(Geometry(), clips=8)


def _grey(look: Look) -> Tensor:
    """A rendered clip of two blocks, [1, 12, 64, 112]."""
    shapes = seeded_generator(3)
    pixels = paint(render_maps(look, torch.zeros(1, 2, 4), shapes), random_colours([look], shapes))
    frames = pixels.clamp(0, 255) / 127.5 - 1
    return torch.nn.functional.avg_pool2d((frames * torch.tensor(LUMA).view(3, 1, 1)).sum(2), 2)


@pytest.mark.parametrize("scene", SCENES)
def test_a_rendered_clip_moves_as_its_look_says_and_no_other_way(scene: str):
    way, other = SCENES[scene][:2]
    grey = _grey(Look(scene, "yellow", way))
    right, rest = pace_errors(grey, [Look(scene, "yellow", way)])
    assert right < 0.03 and rest < 0.3
    for wrong in (Look(scene, "yellow", other), Look(scene, "yellow", way, "slow"), Look(scene, "yellow", way, "fast")):
        assert all(off > 1.5 * least for off, least in zip(pace_errors(grey, [wrong]), (right, rest), strict=True))


def test_what_stands_still_is_off_by_all_of_it():
    still = _grey(Look("plasma", "red", "up"))[:, :1].expand(1, 12, -1, -1)
    assert [off.item() for off in pace_errors(still, [Look("plasma", "red", "up")])] == pytest.approx(
        [2 * (2**0.5 - 1), 1], abs=1e-3
    )


def test_contrast_does_not_matter():
    look = Look("waves", "red", "left")
    plain, faint = _grey(look), 0.3 * _grey(look) + 0.1
    for one, other in zip(pace_errors(plain, [look]), pace_errors(faint, [look]), strict=True):
        assert one.item() == pytest.approx(other.item(), rel=1e-2, abs=1e-4)


def test_brightness_is_that_of_the_decoded_picture(latents: LinearLatents):
    blocks = torch.randn(2, 3, 32, 8, 14)
    frames = (latents.decode(blocks) * torch.tensor(LUMA).view(3, 1, 1)).sum(2)
    torch.testing.assert_close(Brightness(latents)(blocks), torch.nn.functional.avg_pool2d(frames, 2))


def _tuner(latents: LinearLatents, folder: Path, **config: float) -> PaceTuner:
    runs = RunConfig(streams=3, longest=9, switching=config.pop("switching", 0.3))
    return PaceTuner(PaceConfig(workers=1, runs=runs, chunk=2, **config), latents, _model(0), folder / "paced.pt")


def test_the_anchor_holds_mean_pictures_of_free_streams_and_all_of_others(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    g = latents.geometry
    before = torch.randn(1, 2, 32, 8, 14)
    basis = latents.basis.view(g.channels, g.frames, -1)
    pulse = torch.zeros(g.frames, basis.shape[2])
    pulse[0], pulse[1] = 1, -1  # brighter, then darker: as good as nothing to the mean picture
    moved = before + 0.1 * torch.einsum("ktp,tp->k", basis, pulse)[None, None, :, None, None]
    free, held = (tuner._distance(moved, before, torch.tensor([is_free])).item() for is_free in (True, False))
    assert 0 < free < 0.2 * held
    assert tuner._distance(before, before, torch.tensor([False])).item() == 0


def test_right_after_a_switch_everything_is_held(latents: LinearLatents, tmp_path: Path):
    """At a model that did not change, the anchor is at its bottom: nothing moves, though the pace is far off."""
    tuner = _tuner(latents, tmp_path, switching=1.0)
    run = tuner.runs.before_chunk()
    tuner._next_chunk(run)
    run.change_texts(tuner.runs.new_texts())
    weights = [p.clone() for p in tuner.model.parameters()]
    tuner._update(1.0)
    assert run.since_switch == 2
    assert all(torch.equal(a, b) for a, b in zip(weights, tuner.model.parameters(), strict=True))
    tuner._update(1.0)


def test_teaching_brings_the_pace_nearer(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=0.0, rate=1e-3)
    tuner.runs.before_chunk().dials.zero_()
    run, state = tuner.runs.present, tuner.runs.generator.get_state()
    losses = []
    for _ in range(4):
        tuner.runs.generator.set_state(state)
        run.streams.clear_cache()
        run.block_count, run.since_switch, run.last = 0, 0, None
        with torch.no_grad():
            made, *_ = tuner._next_chunk(run)
        losses.append(pace_errors(tuner.brightness(made), run.looks)[0].mean().item())
        run.streams.clear_cache()
        run.block_count, run.since_switch, run.last = 0, 0, None
        tuner.runs.generator.set_state(state)
        tuner._update(1.0)
    assert losses[-1] < losses[0]


def test_the_pace_resumes(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    end_after(tuner.budget)
    tuner.train()
    again = _tuner(latents, tmp_path)
    assert again.turn == tuner.turn > 0 and again.budget.share >= 1
    for one, other in zip(tuner.average.parameters(), again.average.parameters(), strict=True):
        assert torch.equal(one, other)
