"""Training of the storybook, at sizes that take seconds: what its clips, batches, losses and stages hold."""

import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from world.compact.decoder import LinearLatents, PictureDecoder
from world.compact.model import CompactModel, shape
from world.compact.text import tokenize
from world.compact.world import CompactWorld
from world.dit.attend import Dense, teacher_forcing
from world.dit.config import SamplerConfig
from world.dit.denoise import Sampler, normal
from world.event import Prompt
from world.train.job import parse_job
from world.train.learn.budget import Budget
from world.train.marks.judge import StoryJudge, one_thing_changed
from world.train.marks.pixels import layout_likeness, seam_ratio, shown_way
from world.train.marks.tables import switch_table
from world.train.story import run as story_run
from world.train.story.base import StoryBase, choose_kind, draw_batch, is_redrawn, train_base
from world.train.story.clips import (
    BLOCKS,
    OPENING_PHASE,
    SEAM,
    random_openings,
    random_pairs,
    render_last_block,
    render_scenes,
    travelled,
)
from world.train.story.form import SIGMAS, TALE
from world.train.story.library import Openings, StoryLibrary, render_library, render_openings
from world.train.story.loss import SequenceLoss, detail_error, ground_weight
from world.train.story.noise import draw_levels
from world.train.story.picture import (
    PictureLearner,
    StoryPicture,
    crisp_loss,
    full_loss,
    refiner_loss,
    render_pictures,
    train_picture,
)
from world.train.story.predict import GRID, TeacherForcing
from world.train.story.principal import fit_principal
from world.train.story.reader import SceneReader, load_reader, save_reader
from world.train.story.run import StoryRun, StoryScale, save_world, train_tale
from world.train.story.sequences import FADE, SequenceSource, StoryBatch, emphasis, read_pairs
from world.train.story.spoken import opening_attributes, scene_tokens
from world.train.story.steps import Learner, cosine_rate
from world.train.story.tune import StoryTuning, own_batches, redraw_history, roll_out
from world.train.tale.scene import random_scenes
from world.train.tale.sentences import sentence
from world.train.tale.stage import ROUND
from world.train.tale.words import ATTRIBUTES, START, VALUES, WAYS, scene_after
from world.zoo import listed_words, open_world

CPU = torch.device("cpu")
TINY = StoryScale(
    clips=12, openings=4, pairs=2, chunk=1, singles=4, sequences=2, rolled=2, pictures=StoryPicture(0, 2, 1, 1, small=3)
)


@pytest.fixture(scope="module")
def latents() -> LinearLatents:
    return fit_principal(CPU, clips=24)


@pytest.fixture(scope="module")
def library(latents: LinearLatents) -> StoryLibrary:
    return render_library(latents, 2, 1, seed=3, is_time_up=lambda: False)


@pytest.fixture(scope="module")
def shelf(latents: LinearLatents) -> Openings:
    return render_openings(latents, 6, 3, seed=4, is_time_up=lambda: False)


@pytest.fixture
def source(library: StoryLibrary, shelf: Openings, latents: LinearLatents) -> SequenceSource:
    return SequenceSource(library, shelf, latents, seed=3)


def tiny_model(branches: bool = False) -> CompactModel:
    """An untrained model; with `branches` none of its parts is zero."""
    torch.manual_seed(0)
    model = CompactModel(shape(64, 1, TALE), TALE)
    for weights in model.parameters():
        if branches and not weights.any():
            torch.nn.init.normal_(weights, std=0.05)
    return model


def test_both_clips_of_a_pair_are_at_one_place_at_the_seam():
    pairs = random_pairs(32, torch.Generator().manual_seed(1))
    first, second = (ROUND * scenes.phase + travelled(scenes, pairs.dials)[:, SEAM] for scenes in pairs.sides)
    apart = ((first - second) / ROUND).remainder(1)
    assert torch.minimum(apart, 1 - apart).max() < 1e-4
    assert (pairs.first.numbers() != pairs.second.numbers()).any(1).float().mean() > 0.8


def test_pairs_differ_in_every_attribute_wherever_one_looks():
    pairs = random_pairs(400, torch.Generator().manual_seed(1), blocks=2, seam=1)
    differs = pairs.first.numbers() != pairs.second.numbers()
    for part in differs.split(200):
        assert part.any(0).all()
    count = differs.sum(1).float()
    assert (count == 1).float().mean() > 0.3 and count.max() >= 3


def test_a_camera_goes_as_fast_as_its_scene_says_whatever_block_it_is():
    scenes = random_scenes(4, torch.Generator().manual_seed(2))
    way = travelled(scenes, torch.zeros(4, 6, 3))
    torch.testing.assert_close(way.diff(dim=1), way[:, 1:2].expand(-1, 6))
    assert (way[:, -1].sign() == scenes.way * 2 - 1).all()


def test_the_last_block_of_a_clip_is_drawn_by_itself_as_it_is_in_the_clip():
    pairs = random_pairs(3, torch.Generator().manual_seed(2), blocks=3, seam=1)
    dials = pairs.dials + 0.3 * torch.arange(3).view(1, 3, 1)
    whole = render_scenes(pairs.first, dials, CPU)
    last = render_last_block(pairs.first, dials, CPU, (112, 64))
    torch.testing.assert_close(last, whole[:, -6:], atol=1e-3, rtol=0)


def test_latents_are_half_whitened_and_of_unit_variance(latents: LinearLatents):
    pairs = random_pairs(24, torch.Generator().manual_seed(0), blocks=1, seam=0)
    variance = latents.encode(render_scenes(pairs.first, pairs.dials, CPU)).var((0, 1, 3, 4))
    assert variance.mean() == pytest.approx(1, abs=0.1)
    ratio = variance[0] / variance[-1]
    spread = (latents.scale[0] / latents.scale[-1]) ** 2
    assert float(ratio) == pytest.approx(float(spread), rel=0.1)  # half of the spread is left, half is taken away


def test_an_opening_sentence_leads_from_nothing_to_its_scene():
    rng = random.Random(4)
    for scene in random_scenes(40, torch.Generator().manual_seed(4)).described():
        assert scene_after(sentence(scene, opening_attributes(scene, rng), rng), START) == scene


def test_the_model_reads_a_complete_description_of_each_clip(library: StoryLibrary):
    assert library.tokens.shape == (2, 2, TALE.language.most_words)
    for tokens, numbers in zip(library.tokens.flatten(0, 1), library.numbers.flatten(0, 1).tolist(), strict=True):
        scene = {name: VALUES[name][number] for name, number in zip(ATTRIBUTES, numbers, strict=True)}
        whole = TALE.language.complete(" ".join(scene.values()), None)
        assert tokenize([whole], TALE.language)[0].tolist() == tokens.tolist()


def test_play_and_training_say_the_same_of_a_scene():
    rng = random.Random(5)
    scenes = random_scenes(40, torch.Generator().manual_seed(5))
    for scene, tokens in zip(scenes.described(), scene_tokens(scenes.numbers()), strict=True):
        text = TALE.language.complete(sentence(scene, opening_attributes(scene, rng), rng), None)
        assert tokenize([text], TALE.language)[0].tolist() == tokens.tolist()


def test_all_streams_of_a_place_begin_at_one_view(source: SequenceSource):
    scenes = random_openings(9, torch.Generator().manual_seed(2))
    assert scenes.phase.tolist() == [OPENING_PHASE] * 9 and len(set(scenes.beat.tolist())) == 9
    batch = source.openings(5)
    assert batch.latents.shape[:2] == (5, 1) and batch.first == 0


def test_noise_levels_are_mostly_those_of_play():
    levels = draw_levels((4000, 1), torch.tensor(SIGMAS), torch.Generator().manual_seed(0))
    played = torch.isin(levels, torch.tensor(SIGMAS)).float().mean()
    assert 0.65 < played < 0.75 and levels.max() <= 1


def same_clip(batch: StoryBatch, library: StoryLibrary, block: int) -> torch.Tensor:
    """Whether a block of each sequence is some block of the library: bool [B]."""
    known = library.latents.float().flatten(0, 2).flatten(1)
    return (batch.latents[:, block].flatten(1)[:, None] == known).all(2).any(1)


def test_a_switch_leads_from_the_old_clip_into_the_new_one(source: SequenceSource, library: StoryLibrary):
    batch = source.switches(6, 8, is_full=False)
    assert 1 <= batch.cut <= batch.first and batch.stale == 0
    assert same_clip(batch, library, batch.first - 1).all() and not same_clip(batch, library, batch.first).any()
    assert all(same_clip(batch, library, block).all() for block in range(batch.first + FADE, 8))
    assert not torch.equal(batch.old, batch.new)


def test_some_switches_come_blocks_after_the_cut(source: SequenceSource):
    late = [batch.first - batch.cut for batch in (source.switches(1, 8) for _ in range(80))]
    assert set(late) == {0, 1, 2, 3} and late.count(0) > 40


def test_what_a_switch_changes_counts_more():
    before, after = torch.zeros(2, 1, 3, 4, 4), torch.zeros(2, 1, 3, 4, 4)
    after[0, :, :, 0, :2] = 1.0
    weight = emphasis(before, after)
    assert weight[0, 0, 0, 0].tolist() == [9, 9, 1, 1] and weight[1].unique().tolist() == [1]


def test_over_a_stale_cache_the_old_scene_goes_on_under_new_words(source: SequenceSource, library: StoryLibrary):
    batch = source.stale(6, 8, is_full=False)
    assert batch.cut == 0 and batch.stale >= 2
    assert all(same_clip(batch, library, block).all() for block in range(8))
    assert batch.first == batch.stale


def test_the_sink_of_a_full_window_and_what_follows_it_are_not_learnt(source: SequenceSource):
    batch = source.streams(6, 8, is_full=True)
    assert batch.stale <= 1 and batch.first == 2


@pytest.mark.parametrize("kind", ["streams", "switches", "stale"])
def test_the_pass_in_parts_is_the_pass_of_the_model(source: SequenceSource, kind: str):
    model, batch, n = tiny_model(branches=True), getattr(source, kind)(2, 8), 8
    sigma = torch.rand(2, n)
    spans = batch.cut, batch.stale
    with torch.no_grad():
        forcing = TeacherForcing(CPU)
        made = forcing(model, batch.latents, sigma, batch.latents, (batch.old, batch.new), batch.dials, spans)
        mask = teacher_forcing(n, 1)
        mask[batch.stale : batch.cut, : batch.cut] = True
        row = torch.arange(2).view(-1, 1).repeat(1, 2 * n) + 2
        row[:, : batch.stale] -= 2
        attend = Dense(GRID, [*range(n)] * 2, 64, mask)
        both, times = torch.cat([batch.latents] * 2, 1), torch.cat([torch.zeros(2, n), sigma], 1)
        tokens, dials = torch.cat([batch.old, batch.new]), torch.cat([batch.dials] * 2, 1)
        whole = model(both, 1000 * times, tokens, dials, attend, row)[:, n:]
        first = batch.first
        past, noisy = batch.latents[:, :-1], batch.latents[:, first:]
        part = forcing(model, noisy, sigma[:, first:], past, (batch.old, batch.new), batch.dials, spans)
    torch.testing.assert_close(made, whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(part, made[:, first:], atol=1e-5, rtol=1e-5)


def test_training_comes_nearer_to_the_clips(source: SequenceSource, latents: LinearLatents):
    model = tiny_model()
    loss, learner = SequenceLoss(latents, 0), Learner(model, (1e-2, 2e-3))
    batch = source.switches(2, 8)
    first = loss(model, batch).item()
    for _ in range(12):
        learner.descend(loss(model, batch), 1.0)
    assert loss(model, batch).item() < 0.8 * first


def test_detail_counts_by_its_strength_and_not_by_its_place(source: SequenceSource):
    true = source.streams(4, 4).latents
    assert detail_error(true, true) == 0
    assert detail_error(true.roll(3, -1), true) < 1e-9  # the same things, elsewhere in their rows
    soft = true.clone()
    soft[:, :, 8:] *= 0.7
    assert detail_error(soft, true) > 0.01


def test_the_near_ground_counts_twice():
    rows = ground_weight(torch.zeros(2, 3, 64, 8, 14))
    assert rows[:, 0].tolist() == [1, 1, 1, 1, 1, 1, 2, 2]


def test_histories_are_redrawn_until_the_last_part_of_the_time():
    config, rng = StoryBase(1).further(), random.Random(0)
    redrawn = [is_redrawn(config, "stream", 0.5, rng) for _ in range(400)]
    assert 0.5 < sum(redrawn) / 400 < 0.7
    assert not any(is_redrawn(config, *case, rng) for case in [("opening", 0.5), ("switch", 0.71)] for _ in range(50))
    assert not any(is_redrawn(StoryBase(1), "stream", 0.5, rng) for _ in range(50))


def test_kinds_of_batches_come_one_after_the_other(source: SequenceSource):
    config, rng = StoryBase(1, singles=2, sequences=2), random.Random(0)
    assert {choose_kind(config, 0.05, rng) for _ in range(20)} == {"opening"}
    assert {choose_kind(config, 0.2, rng) for _ in range(40)} == {"opening", "stream"}
    assert {choose_kind(config, 0.9, rng) for _ in range(80)} == {"opening", "stream", "switch", "stale"}
    assert draw_batch(source, config, "opening", rng).latents.shape[:2] == (2, 1)


def test_the_rate_rises_and_falls_to_nothing():
    assert cosine_rate(0, 0.0, warmup=50) == pytest.approx(0.02)
    assert cosine_rate(100, 0.5) == pytest.approx(0.5)
    assert cosine_rate(100, 1.2) == pytest.approx(0, abs=1e-9)


def test_own_streams_change_at_the_switch_and_not_before(source: SequenceSource):
    model, batch = tiny_model(branches=True), source.switches(2, 8, is_full=False)
    with_switch = roll_out(model, batch, torch.Generator().manual_seed(1))
    other = replace(batch, new=batch.old)
    without = roll_out(model, other, torch.Generator().manual_seed(1))
    torch.testing.assert_close(with_switch[:, : batch.cut], without[:, : batch.cut])
    assert not torch.allclose(with_switch[:, batch.cut :], without[:, batch.cut :])


def test_tuning_has_openings_and_redrawn_clips_and_own_streams_in_steps_of_the_optimiser(source: SequenceSource):
    config, rng, model = StoryTuning(1, singles=4, rolled=3, sequences=2, length=4), random.Random(0), tiny_model()
    sizes: dict[str, list[int]] = {}
    for _ in range(40):
        parts = list(own_batches(config, model, source, TeacherForcing(CPU), rng))
        sizes[parts[0][0]] = [len(batch.latents) for _, batch, _ in parts]
        assert all(history is None or history.shape == batch.latents.shape for _, batch, history in parts)
    assert sizes["opening"] == [4] and sizes["switch"] == [2] and sizes["own switch"] == [2, 1]


def test_a_redrawn_history_has_the_old_words_until_the_switch(source: SequenceSource):
    model, batch = tiny_model(branches=True), source.switches(2, 8, is_full=False)
    drawn, unswitched = (
        redraw_history(model, b, TeacherForcing(CPU), torch.Generator().manual_seed(1))
        for b in (batch, replace(batch, new=batch.old, cut=0))
    )
    torch.testing.assert_close(drawn[:, : batch.cut], unswitched[:, : batch.cut])
    assert not torch.allclose(drawn[:, batch.cut :], unswitched[:, batch.cut :])


@pytest.mark.slow
def test_a_tuned_model_that_has_forgotten_its_clips_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def forget(_: StoryTuning, model: CompactModel, *others: object) -> CompactModel:
        with torch.no_grad():
            torch.nn.init.normal_(model.dit.head.get_parameter("third.bias"), 5.0)
        return model

    monkeypatch.setattr(story_run, "tune_streams", forget)
    assert train_tale(StoryRun(tmp_path, Budget(0.02), CPU, TINY, (64, 1)))
    assert "it has forgotten" in (tmp_path / "log.txt").read_text()
    assert not (tmp_path / "tuned.safetensors").exists() and (tmp_path / "tale.safetensors").exists()


def test_a_reader_comes_back_from_its_file(tmp_path: Path, library: StoryLibrary):
    torch.manual_seed(0)
    reader = SceneReader().eval()
    save_reader(tmp_path / "reader.safetensors", reader)
    pairs, numbers = read_pairs(library, 3, torch.Generator().manual_seed(0))
    assert numbers.shape == (3, len(ATTRIBUTES)) and pairs.shape[:2] == (3, 2)
    read = load_reader(tmp_path / "reader.safetensors")(pairs)
    for attribute, scores in reader(pairs).items():  # weights have eight bits, and untrained choices are close
        assert (read[attribute] - scores).abs().max() < 0.2 * scores.std(), attribute


def test_pixels_show_which_way_the_ground_goes():
    pairs = random_pairs(12, torch.Generator().manual_seed(7), blocks=2, seam=1)
    frames = render_scenes(pairs.first, pairs.dials * 0, CPU)
    assert (shown_way(frames) == pairs.first.way).float().mean() > 0.9
    assert seam_ratio(frames) == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("seed", range(4))
def test_rain_is_not_taken_for_the_ground(seed):
    torch.manual_seed(seed)
    ground, drops = 0.4 * torch.rand(64, 124) - 1, (torch.rand(64, 124) > 0.996).float()
    rain = torch.stack([drops.roll(t, 0) for t in range(16)]).amax(0) * 2 - 1  # streaks, and they fall
    frames = [torch.maximum(ground[:, t : t + 112], rain.roll((5 * t, 2 * t), (0, 1))[:, :112]) for t in range(12)]
    clip = torch.stack(frames)[None, :, None].expand(-1, -1, 3, -1, -1)
    assert [shown_way(clip).item(), shown_way(clip.flip(-1)).item()] == [WAYS.index("right"), WAYS.index("left")]


def test_hills_that_stand_behind_the_ground_do_not_hide_its_way():
    torch.manual_seed(0)
    hills, ground = 2 * torch.rand(64, 112) - 1, 0.1 * torch.rand(64, 136) - 1
    frames = [torch.cat([hills[:49], ground[49:, 2 * t : 2 * t + 112]]) for t in range(12)]
    clip = torch.stack(frames)[None, :, None].expand(-1, -1, 3, -1, -1)
    assert [shown_way(clip).item(), shown_way(clip.flip(-1)).item()] == [WAYS.index("right"), WAYS.index("left")]


def test_a_layout_is_like_itself_at_another_time_of_day_and_unlike_another_place():
    pairs = random_pairs(6, torch.Generator().manual_seed(8), blocks=1, seam=0)
    scenes = replace(pairs.first, place=torch.ones(6).long(), weather=torch.zeros(6).long())
    pictures = [
        render_scenes(replace(scenes, time=torch.full((6,), time), place=torch.full((6,), place)), pairs.dials, CPU)[
            :, 0
        ]
        for time, place in ((1, 1), (2, 1), (1, 2))
    ]
    same, other = (layout_likeness(pictures[0], picture) for picture in pictures[1:])
    assert layout_likeness(pictures[0], pictures[0]).min() > 0.99
    assert same.mean() > other.mean() + 0.2


def test_a_world_without_a_trained_decoder_plays_from_its_file(tmp_path: Path, latents: LinearLatents):
    path = tmp_path / "tale.safetensors"
    save_world(path, tiny_model(), latents, None)
    world = open_world(str(path), device="cpu")
    assert world.info.picture == (448, 256) and world.info.unknown_words("a boat and a dragon") == ["dragon"]
    assert listed_words(str(path))[1] == TALE.language.examples
    session, state = world.session(seed=1, prompt="a boat"), world.decoder.start()
    frames, _ = world.decoder.decode(state, session.step([Prompt("night falls")]).latents)
    assert frames.shape == (6, 256, 448, 3)


def test_a_decoder_learns_from_what_the_model_redrew(latents: LinearLatents):
    parts = render_pictures(StoryPicture(0, 2, 2, 1), latents, tiny_model(branches=True), lambda: False)
    clips = parts[0]
    assert clips.latents.shape == (2, 4, 2, 64, 8, 14) and clips.pixels.shape == (2, 6, 3, 256, 448)
    true, once, twice, again = clips.latents.float().unbind(1)
    assert not torch.equal(twice, again) and (once - true).square().mean() > 0
    decoder = PictureDecoder(TALE.geometry, has_scales=True, form=TALE.pictures)
    decoder.linear.load_state_dict(latents.state_dict())
    learner = PictureLearner(decoder, torch.Generator().manual_seed(0))
    losses = []
    for _ in range(12):
        loss = refiner_loss(learner, clips, 4)
        learner.descend(loss, 1e-3)
        losses.append(loss.item())
    assert sum(losses[-3:]) < sum(losses[:3])
    learner.descend(full_loss(learner, clips, 1), 1e-4)
    assert all(bool(torch.isfinite(weights).all()) for weights in learner.average.parameters())


def test_a_decoder_without_a_refiner_is_trained_on_with_one(latents: LinearLatents):
    older = PictureDecoder(TALE.geometry, has_scales=True)
    older.linear.load_state_dict(latents.state_dict())
    config = StoryPicture(0.001, 1, 1, 1, small=3)
    trained = train_picture(config, latents, tiny_model(), older)
    assert trained.form == TALE.pictures and trained.refiner is not None


def test_an_error_between_two_tokens_counts_more_than_one_inside():
    true = torch.zeros(1, 6, 3, 64, 112)
    seam, inside = true.clone(), true.clone()
    seam[..., 16:64] = 0.1  # tokens are 16 columns wide
    inside[..., 8:56] = 0.1
    assert crisp_loss(true, true) == 0
    assert crisp_loss(seam, true) > crisp_loss(inside, true)


@pytest.mark.slow
def test_all_stages_leave_a_world_and_a_reader(tmp_path: Path):
    assert train_tale(StoryRun(tmp_path, Budget(0.02), CPU, TINY, (64, 1)))
    CompactWorld.load(tmp_path / "tale.safetensors")
    load_reader(tmp_path / "reader.safetensors")
    assert "learn_pictures" in (tmp_path / "log.txt").read_text()


def test_a_world_that_is_trained_on_has_all_kinds_at_once_in_as_many_blocks_of_any_length(source: SequenceSource):
    config, rng = StoryBase(1, singles=2, sequences=5).further(), random.Random(0)
    assert {choose_kind(config, 0.0, rng) for _ in range(80)} == {"opening", "stream", "switch", "stale"}
    drawn = {draw_batch(source, config, "switch", rng).latents.shape[:2] for _ in range(40)}
    assert drawn == {(10, 4), (8, 5), (5, 8)}


def test_a_step_that_outlasts_the_time_still_teaches(
    source: SequenceSource, latents: LinearLatents, monkeypatch: pytest.MonkeyPatch
):
    now = [0.0]

    class SlowLoss(SequenceLoss):
        def __call__(self, *batch: Any) -> torch.Tensor:
            now[0] += 600
            return super().__call__(*batch)

    monkeypatch.setattr("world.train.story.base.SequenceLoss", SlowLoss)
    monkeypatch.setattr("world.train.story.base.Budget", lambda minutes: Budget(minutes, clock=lambda: now[0]))
    model = tiny_model(branches=True)
    before = model.text.embedding.weight.detach().clone()
    made, _ = train_base(StoryBase(1, singles=2, sequences=2), model, source, latents, lambda model: None)
    assert now == [600] and not torch.equal(made.text.embedding.weight, before)


@pytest.mark.slow
def test_a_world_is_trained_on_with_its_own_latents(tmp_path: Path, latents: LinearLatents):
    save_world(tmp_path / "first.safetensors", tiny_model(branches=True), latents, None)
    start = CompactWorld.load(tmp_path / "first.safetensors")
    assert train_tale(StoryRun(tmp_path / "more", Budget(0.02), CPU, TINY, (64, 1), start=start))
    made = CompactWorld.load(tmp_path / "more/tale.safetensors")
    torch.testing.assert_close(made.decoder.linear.basis, start.decoder.linear.basis)
    assert not torch.equal(made.model.text.embedding.weight, start.model.text.embedding.weight)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (["base", "--start", "nowhere"], "--start is of `tale`"),
        (["tale", "--start", "nowhere", "--width", "192"], "leave out --width and --layers"),
        (["tale", "--start", "nowhere"], "weights cannot be read"),
        (["tale", "--start", "world/assets/small.safetensors"], "give a file that `train tale` wrote"),
    ],
)
def test_a_world_that_cannot_be_trained_on_is_refused_in_one_line(
    asked: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        parse_job(asked, None)
    told = capsys.readouterr().err
    assert ended.value.code == 2 and complaint in told and told.count("\n") == 1


@pytest.mark.slow
def test_a_stage_that_fails_leaves_what_was_made_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(story_run, "tune_streams", fail)
    assert not train_tale(StoryRun(tmp_path, Budget(0.02), CPU, TINY, (64, 1)))
    assert "out of memory" in (tmp_path / "log.txt").read_text()
    CompactWorld.load(tmp_path / "tale.safetensors")
    assert (tmp_path / "reader.safetensors").exists()


def test_without_a_base_the_time_is_left_for_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(story_run, "train_base", fail)
    assert not train_tale(StoryRun(tmp_path, Budget(0.02), CPU, TINY, (64, 1)))
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]


def test_a_judge_marks_sentences_and_switches(latents: LinearLatents, tmp_path: Path):
    save_world(tmp_path / "tale.safetensors", tiny_model(), latents, None)
    judge = StoryJudge(CompactWorld.load(tmp_path / "tale.safetensors"), SceneReader().eval(), CPU)
    table = judge.sentences(3)
    assert list(table) == ["after 1 s", "after 5 s"] and set(table["after 1 s"]) == set(ATTRIBUTES)
    rows = switch_table(judge.switches(2))
    assert list(rows) == ["recache", "keep", "reset"] and {"named", "others", "jump"} <= set(rows["keep"])
    json.dumps({mode: cells["jump"].value for mode, cells in rows.items()})


def test_each_attribute_is_changed_in_as_many_switches():
    scenes = random_scenes(70, torch.Generator().manual_seed(9))
    differs = (scenes.numbers() != one_thing_changed(scenes, 0).numbers()).sum(0)
    assert differs.min() >= 8


def test_a_storybook_is_larger_than_the_bundled_world_unless_asked_otherwise(tmp_path: Path):
    job, stage = parse_job(["tale", "--out", str(tmp_path)], None)
    assert (stage, job.width, job.layers) == ("tale", 256, 8)
    assert parse_job(["latents", "--out", str(tmp_path)], None)[0].width == 192


def test_a_clip_is_long_enough_for_a_switch_after_any_number_of_blocks():
    assert SEAM >= 7 and BLOCKS - SEAM >= 7


@pytest.mark.parametrize(("made", "seen", "stale"), [(3, [0, 1, 2], 0), (11, [0, *range(5, 11)], 1)])
def test_a_switch_in_training_sees_what_a_switch_in_play_sees(
    tmp_path: Path, latents: LinearLatents, made: int, seen: list[int], stale: int
):
    model = tiny_model(branches=True)
    save_world(tmp_path / "tale.safetensors", model, latents, None)
    world = CompactWorld.load(tmp_path / "tale.safetensors")
    session = open_world(str(tmp_path / "tale.safetensors"), device="cpu").session(seed=1, prompt="a boat")
    blocks = [torch.from_numpy(session.step().latents).float() for _ in range(made)]
    played = torch.from_numpy(session.step([Prompt("night falls")]).latents).float()
    whole = TALE.language.complete("a boat", None)
    old, new = tokenize([whole, TALE.language.complete("night falls", whole)], TALE.language).split(1)
    past, n = torch.cat([blocks[number] for number in seen], 1), len(seen) + 1

    def predict(x: torch.Tensor, timestep: float) -> torch.Tensor:
        sigma, words = torch.full((1, 1), timestep / 1000), (old, new)
        return TeacherForcing(CPU)(world.model, x, sigma, past, words, torch.zeros(1, n, 3), (n - 1, stale))

    noise = partial(normal, 1, made, shape=(1, 1, *played.shape[2:]))
    *_, trained = Sampler(SamplerConfig(steps=TALE.steps, shift=TALE.shift, prediction="x0")).run(predict, noise)
    torch.testing.assert_close(played, trained, atol=2e-3, rtol=2e-3)  # latents are stored in half precision
