import random
from pathlib import Path

import pytest
import torch

from tests.train.test_tune import end_after
from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.compact.model import CompactModel, forced, shape, single
from world.compact.small import SMALL
from world.compact.text import tokenize
from world.compact.world import CompactWorld
from world.dit.denoise import pressed_on
from world.train.data.batches import Batch, BatchSource
from world.train.data.captions import look_of
from world.train.data.cross_fade import CrossFade
from world.train.data.latents import fit_latents, psnr, random_looks, render_clips
from world.train.data.library import Library, build_library, motion_kinds
from world.train.job import parse_job
from world.train.judge.exam import assemble_world
from world.train.learn.budget import Budget, learning_rate_factor
from world.train.learn.checkpoint import load_checkpoint, save_checkpoint
from world.train.learn.optim import Muon, orthogonalise
from world.train.learn.played import PlayedRules
from world.train.learn.rollout import PLAYED_SIGMAS, SamplingRecipe, Streams
from world.train.learn.x0 import X0Loss, shift_noise_levels
from world.train.run import main
from world.train.stages.base import BaseConfig, BaseTrainer


@pytest.fixture(scope="module")
def latents() -> LinearLatents:
    return fit_latents(Geometry(), clips=8)


@pytest.fixture(scope="module")
def library(latents: LinearLatents, tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    build_library(folder, latents, per_kind=1, blocks=6, kinds=motion_kinds()[::3])
    whole = Library(folder)
    # every look must find a clip: a kind that was not rendered gets the clip of another
    for number, kind in enumerate(motion_kinds()):
        whole.clips_by_kind.setdefault(kind, [number // 3])
    return whole


@pytest.fixture
def source(library: Library, latents: LinearLatents) -> BatchSource:
    return BatchSource(library, latents, seed=3)


@pytest.fixture(scope="module")
def model() -> CompactModel:
    torch.manual_seed(0)
    model = CompactModel().eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def test_components_hold_a_new_clip(latents: LinearLatents):
    frames = render_clips(random_looks(4, random.Random(99)), torch.Generator().manual_seed(99))
    assert psnr(latents, frames) > 22
    assert 0.3 < float(latents.encode(frames).std()) < 3


def test_components_repeat_with_their_seed(latents: LinearLatents):
    assert torch.equal(fit_latents(Geometry(), clips=8).basis, latents.basis)


def test_batches_repeat_with_their_seed(library: Library, latents: LinearLatents):
    one, again = (BatchSource(library, latents, seed=4).switches(2, 5) for _ in range(2))
    assert one.texts == again.texts and torch.equal(one.latents, again.latents)


def test_a_switch_counts_only_blocks_that_the_words_describe(source: BatchSource):
    batch = source.switches(4, 5)
    assert torch.equal(batch.counted, (torch.arange(5) >= batch.cut).expand(4, 5))


def test_a_stream_never_asks_for_a_leap_from_its_sink(source: BatchSource):
    for batch in (source.streams(3, 4) for _ in range(6)):
        # a full window's sink is stale, and the block after it is not the next one
        assert (batch.counted[:, 1] != bool(batch.stale)).all()


def test_a_stale_cache_asks_for_the_old_scene(source: BatchSource):
    batch = source.stale(6, 5)
    assert batch.stale >= 2 and batch.cut == 0
    assert torch.equal(batch.counted, (torch.arange(5) >= batch.stale).expand(6, 5))
    assert any(look_of(text) != look_of(old) for text, old in zip(batch.texts, batch.before, strict=True))


def test_each_clean_block_is_read_under_its_own_words(model: CompactModel):
    torch.manual_seed(1)
    x, dials = torch.randn(1, 6, 32, 8, 14), torch.zeros(1, 6, 4)
    times = torch.tensor([[0.0] * 3 + [700.0] * 3])
    row = torch.tensor([[0, 0, 1, 1, 1, 1]])
    with torch.no_grad():
        made, other, same = (
            model(x, times, tokenize(texts), dials, forced(3), row)
            for texts in (["red", "blue grid"], ["rain", "blue grid"], ["blue grid", "blue grid"])
        )
        plain = model(x, times, tokenize(["blue grid"]), dials, forced(3))
    assert not torch.equal(made[:, 5], other[:, 5])  # the last sees the first, under other words
    assert torch.equal(made[:, 3], other[:, 3])  # the first noisy block sees none
    torch.testing.assert_close(same, plain)


def test_a_seam_begins_as_the_old_and_ends_as_the_new(latents: LinearLatents):
    old, new = torch.randn(2, 5, 32, 8, 14)
    faded = CrossFade(latents).fade(old, new, 2)
    assert torch.equal(faded[:2], old[:2]) and torch.equal(faded[4:], new[4:])
    closer = [float((faded[at] - new[at]).norm() / (old[at] - new[at]).norm()) for at in (2, 3)]
    assert 1 > closer[0] > 0.5 > closer[1] > 0


def test_a_seam_at_the_last_block_is_half_a_seam(latents: LinearLatents):
    old, new = torch.randn(2, 3, 32, 8, 14)
    assert CrossFade(latents).fade(old, new, 2).shape == old.shape


def test_a_noisy_block_does_not_see_what_comes_later(model: CompactModel):
    torch.manual_seed(1)
    x, tokens, dials = torch.randn(1, 8, 32, 8, 14), tokenize(["red"]), torch.zeros(1, 8, 4)
    times = torch.tensor([[0.0] * 4 + [700.0] * 4])
    with torch.no_grad():
        before = model(x, times, tokens, dials, forced(4))
        x[:, 3] += 1  # the clean fourth block
        after = model(x, times, tokens, dials, forced(4))
    assert torch.equal(before[:, 4:], after[:, 4:])


def test_before_a_cut_clean_blocks_see_one_another(model: CompactModel):
    torch.manual_seed(1)
    x, tokens, dials = torch.randn(1, 8, 32, 8, 14), tokenize(["red"]), torch.zeros(1, 8, 4)
    times = torch.tensor([[0.0] * 4 + [700.0] * 4])
    with torch.no_grad():
        before = model(x, times, tokens, dials, forced(4, cut=3))
        x[:, 2] += 1
        after = model(x, times, tokens, dials, forced(4, cut=3))
    assert not torch.equal(before[:, 0], after[:, 0])


def test_streams_equal_teacher_forcing(model: CompactModel):
    generator = torch.Generator().manual_seed(2)
    streams = Streams(model, ["blue grid", "rain"], SamplingRecipe(), generator)
    blocks, noise = torch.randn(2, 3, 32, 8, 14), torch.randn(2, 1, 32, 8, 14)
    dials = torch.zeros(2, 8, 4)
    with torch.no_grad():
        for block in blocks.split(1, 1):
            streams.append(block, dials[:, :1])
        made = streams.predict(noise, 0.8, dials[:, :1])
        x = torch.cat([blocks, torch.zeros_like(noise), torch.zeros_like(blocks), noise], 1)
        times = torch.tensor([[0.0] * 4 + [800.0] * 4]).expand(2, -1)
        forced_made = model(x, times, tokenize(["blue grid", "rain"]), dials, forced(4))
    torch.testing.assert_close(made, forced_made[:, -1:], atol=1e-4, rtol=1e-4)


def test_streams_press_on_new_texts_as_play_does_for_four_blocks(model: CompactModel):
    def stream(text: str, press: float = 0.0) -> Streams:
        return Streams(model, [text], SamplingRecipe(press=press), torch.Generator().manual_seed(0))

    x, dials, pressed = torch.randn(1, 1, 32, 8, 14), torch.zeros(1, 1, 4), stream("blue grid", press=1.5)
    pressed.set_texts(["rain"])
    with torch.no_grad():
        old, new = (stream(text).predict(x, 0.8, dials) for text in ("blue grid", "rain"))
        torch.testing.assert_close(pressed.predict(x, 0.8, dials), pressed_on(new, old, 1.5))
        for _ in range(4):
            pressed.append(x, dials)
        plain = Streams(model, ["rain"], SamplingRecipe(), torch.Generator().manual_seed(0))
        plain.caches = pressed.caches
        torch.testing.assert_close(pressed.predict(x, 0.8, dials), plain.predict(x, 0.8, dials))


def test_streams_forget_all_but_the_sink_and_the_window(model: CompactModel):
    streams = Streams(model, ["blue"], SamplingRecipe(sigmas=(1.0,), window=4), torch.Generator().manual_seed(0))
    made = [streams.next_block() for _ in range(6)]
    cached = [latents for latents, _ in streams.cached_blocks]
    assert [any(torch.equal(latents, block) for latents in cached) for block in made] == [1, 0, 0, 0, 1, 1]


def test_a_recipe_without_rules_is_the_one_of_play():
    assert PlayedRules().recipe(SMALL) == SamplingRecipe() and str(PlayedRules()) == ""


def test_rules_of_play_are_those_of_the_streams_that_are_marked(model: CompactModel):
    rules = PlayedRules(steps="first:4,then:2", sink=2, carry=3, press=1.5)
    recipe = rules.recipe(SMALL)
    assert (recipe.first_sigmas, len(recipe.sigmas), recipe.sink) == (PLAYED_SIGMAS, 2, 2)
    assert (recipe.carry, recipe.press) == (3, 1.5)
    assert str(rules) == " --steps first:4,then:2 --sink 2 --carry 3 --press 1.5"
    streams = Streams(model, ["blue"], recipe, torch.Generator().manual_seed(0))
    lengths = []
    for _ in range(2):
        lengths.append(len(streams.sigmas))
        streams.next_block()
    assert lengths == [4, 2]


@pytest.mark.parametrize(("carry", "left"), [(None, 7), (8, 7), (3, 3), (1, 2), (0, 0)])
def test_new_texts_keep_as_many_blocks_as_are_carried_and_a_sink_at_least(model, carry: int | None, left: int):
    recipe = SamplingRecipe((1.0,), sink=2, carry=carry)
    streams = Streams(model, ["blue"], recipe, torch.Generator().manual_seed(0))
    for _ in range(9):
        streams.next_block()
    newest = [latents for latents, _ in streams.cached_blocks][-left:] if left else []
    streams.set_texts(["red"])
    streams.recache()
    assert len(streams.caches[0]) == len(streams.cached_blocks) == left
    assert all(torch.equal(a, b) for (a, _), b in zip(streams.cached_blocks, newest, strict=True))
    streams.next_block()
    assert len(streams.caches[0]) == min(left + 1, 7)


def test_the_loss_counts_only_counted_blocks(latents: LinearLatents):
    true = torch.tensor([1.0, 5.0]).view(1, 2, 1, 1, 1).expand(1, 2, 32, 8, 14)
    loss = X0Loss(latents, motion=0.0)(
        torch.zeros_like(true), true, torch.ones(1, 2), torch.tensor([True, False]).view(1, 2, 1, 1, 1)
    )
    assert float(loss) == pytest.approx(1.0)


def test_the_loss_counts_motion_twice_in_all(latents: LinearLatents):
    error = torch.randn(1, 1, 32, 8, 14, generator=torch.Generator().manual_seed(0))
    pictures = torch.einsum("ckx,bnchw->kxbnhw", latents.basis.unflatten(1, (6, -1)), error)
    changes = torch.cat([pictures[:1], pictures.diff(dim=0)]).pow(2).sum((0, 1)).mean()
    basis = latents.basis.unflatten(1, (6, -1))
    share = torch.cat([basis[:, :1], basis.diff(dim=1)], 1).pow(2).sum()
    counted = torch.ones(1, 1, 1, 1, 1, dtype=torch.bool)
    plain, both = (X0Loss(latents, w)(error, error * 0, torch.ones(1, 1), counted) for w in (0.0, 1.0))
    torch.testing.assert_close(both - plain, changes / share, rtol=1e-4, atol=1e-5)


def test_noise_levels_lean_to_noise():
    assert shift_noise_levels(torch.tensor([0.0, 0.5, 1.0]), 6).tolist() == pytest.approx([0, 6 / 7, 1])


def test_base_training_learns_and_resumes(library: Library, latents: LinearLatents, tmp_path: Path):
    config = BaseConfig(workers=1, singles=8, streams=1, length=3, every=1)
    trainer = BaseTrainer(config, library, latents, tmp_path / "base.pt")
    end_after(trainer.budget)
    trainer.train()
    assert trainer.step > 0
    again = BaseTrainer(config, library, latents, tmp_path / "base.pt")
    assert again.step == trainer.step and again.budget.share >= 1
    for one, other in zip(trainer.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_scene_is_learnt_before_a_stream_and_a_stream_before_a_switch(
    library: Library, latents: LinearLatents, tmp_path: Path
):
    config = BaseConfig(minutes=1, workers=1, singles=1, streams=1, length=3)
    trainer, rng = BaseTrainer(config, library, latents, tmp_path / "none.pt"), random.Random(0)
    drawn = {share: {trainer.draw_batch(share, rng)[0] for _ in range(24)} for share in (0.1, 0.4, 0.8)}
    assert drawn[0.1] == {"single"}
    assert drawn[0.4] == {"single", "stream"}
    assert drawn[0.8] == {"single", "stream", "switch", "stale"}


def _one_of_each(source: BatchSource) -> list[Batch]:
    return [source.singles(2), source.streams(1, 3), source.switches(1, 3), source.stale(1, 3)]


def test_each_kind_of_batch_gives_every_part_a_gradient(library: Library, latents: LinearLatents, tmp_path: Path):
    config = BaseConfig(minutes=1, workers=1, singles=2, streams=1, length=3)
    trainer = BaseTrainer(config, library, latents, tmp_path / "none.pt")
    for batch in _one_of_each(trainer.source):
        trainer.model.zero_grad()
        trainer.loss(batch).backward()
        assert trainer.model.dit.head.out.weight.grad.abs().sum() > 0


def test_recached_streams_read_their_past_under_the_new_words(model: CompactModel):
    made = []
    for words, is_recached in (("red", False), ("red", True), ("blue grid", True)):
        streams = Streams(model, ["blue grid"], SamplingRecipe((1.0,)), torch.Generator().manual_seed(0))
        streams.next_block()
        streams.set_texts([words])
        if is_recached:
            streams.recache()
        made.append(streams.next_block())
    assert not torch.equal(made[0], made[1])
    assert not torch.equal(made[1], made[2])


def test_muon_gives_every_direction_the_same_step():
    values = torch.linalg.svdvals(orthogonalise(torch.randn(2, 24, 16)))
    assert values.min() > 0.5 and values.max() < 1.5


def test_muon_descends():
    torch.manual_seed(0)
    weight, wanted = torch.nn.Parameter(torch.zeros(8, 8)), torch.randn(8, 8)
    optimiser = Muon([weight], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        (weight - wanted).pow(2).mean().backward()
        optimiser.step()
    assert (weight - wanted).pow(2).mean() < 0.1 * wanted.pow(2).mean()


def test_the_rate_warms_up_and_ends_at_nothing():
    factors = [learning_rate_factor(step, share) for step, share in ((0, 0.0), (100, 0.4), (100, 1.0))]
    assert factors[0] < 0.1 and factors[1:] == [1, 0]


def test_a_resumed_budget_counts_what_was_spent():
    now = [100.0]
    budget = Budget(1.0, spent_s=30, clock=lambda: now[0])
    now[0] += 15
    assert budget.share == 0.75 and budget.left_s == 15


def test_a_checkpoint_is_replaced_whole(tmp_path: Path):
    save_checkpoint(tmp_path / "run" / "a.pt", step=1)
    save_checkpoint(tmp_path / "run" / "a.pt", step=2)
    assert load_checkpoint(tmp_path / "run" / "a.pt") == {"step": 2}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a.pt"]


def test_an_unknown_stage_is_wrong_usage(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as wrong:
        main(["everything"])
    assert wrong.value.code == 2
    said = capsys.readouterr().err
    assert "everything" in said and "latents" in said and said.count("\n") == 1


@pytest.mark.parametrize(("option", "value"), [("--trials", "0"), ("--workers", "-1"), ("--clips", "many")])
def test_a_count_is_a_whole_number_above_zero(option: str, value: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as wrong:
        main(["evaluate", option, value])
    said = capsys.readouterr().err
    assert wrong.value.code == 2 and option in said and value in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "--memory", "like"], "neverblink bench methods"),
        (["evaluate", "--sink-ema", "0.99,0.9"], "neverblink bench methods"),
        (["evaluate", "--sink", "8"], "a sink of at most 7"),
        (["evaluate", "--carry", "9"], "holds 8 latent frames"),
        (["evaluate", "--steps", "9"], "expected 1 to 8"),
        (["evaluate", "--press", "5"], "expected a number from 0 to 4"),
        (["base", "--steps", "2"], "for `evaluate`"),
    ],
)
def test_a_rule_of_play_that_cannot_be_marked_is_refused_in_one_line(arguments, told, capsys, tmp_path):
    with pytest.raises(SystemExit) as wrong:
        main([*arguments, "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert wrong.value.code == 2 and told in said and said.count("\n") == 1, said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_gpu_is_said_in_one_line(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as wrong:
        main(["base", "--device", "cuda"])
    said = capsys.readouterr().err
    assert wrong.value.code == 2 and "no GPU" in said and said.count("\n") == 1


def test_a_stage_names_what_it_lacks(capsys: pytest.CaptureFixture, tmp_path: Path):
    with pytest.raises(SystemExit) as wrong:
        main(["tune", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert wrong.value.code == 2 and said.count("\n") == 1
    assert "base.pt is missing" in said and "neverblink train base" in said


@pytest.mark.parametrize("stage", ["evaluate", "package"])
def test_the_newest_model_is_enough_to_mark_and_to_pack(stage: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    for file in ("library/kinds.json", "decoder.pt", "tuned.pt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert parse_job([stage, "--out", str(tmp_path)], None)[0].finished_models() == ["tuned"]
    (tmp_path / "tuned.pt").unlink()
    with pytest.raises(SystemExit):
        parse_job([stage, "--out", str(tmp_path)], None)
    assert "base.pt is missing" in capsys.readouterr().err


def test_a_run_goes_on_in_its_own_size(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "kinds.json").touch()
    save_checkpoint(tmp_path / "base.pt", average=CompactModel(shape(64, 2)).state_dict())
    asked = ["base", "--out", str(tmp_path), "--layers", "2"]
    assert parse_job([*asked, "--width", "64"], None)[0].width == 64
    with pytest.raises(SystemExit) as wrong:
        parse_job([*asked, "--width", "128"], None)
    said = capsys.readouterr().err
    assert wrong.value.code == 2 and "--width 64 --layers 2" in said and said.count("\n") == 1


def test_a_larger_model_trains_like_the_small_one(library: Library, latents: LinearLatents, tmp_path: Path):
    config = BaseConfig(minutes=1, workers=1, width=256, layers=3, singles=2, streams=1, length=3)
    trainer = BaseTrainer(config, library, latents, tmp_path / "none.pt")
    trainer.loss(trainer.source.streams(1, 3)).backward()
    assert trainer.model.dit.blocks[2].ffn[2].weight.grad.shape == (256, 1024)
    again = CompactModel.of(trainer.average.state_dict())
    assert again.dit.config == shape(256, 3)


def test_what_is_judged_is_what_the_file_holds(tmp_path: Path):
    torch.manual_seed(0)
    world = CompactWorld(shape(64, 2))
    save_checkpoint(tmp_path / "base.pt", average=world.model.state_dict())
    save_checkpoint(tmp_path / "decoder.pt", model=world.decoder.state_dict())
    assert main(["package", "--out", str(tmp_path)]) == 0
    judged, packed = assemble_world(tmp_path, "base"), CompactWorld.load(tmp_path / "small.safetensors")
    for name, weight in judged.state_dict().items():
        assert torch.allclose(packed.state_dict()[name], weight, atol=1e-6), name
    assert not torch.equal(judged.model.dit.blocks[0].ffn[0].weight, world.model.dit.blocks[0].ffn[0].weight)


def test_a_single_block_needs_no_mask():
    assert single().mask is None
