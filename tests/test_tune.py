from pathlib import Path

import pytest
import torch

from world.small.decoder import Geometry, LinearLatents
from world.small.world import SmallModel
from world.train.base import BaseConfig
from world.train.captions import imagine
from world.train.latents import fit
from world.train.library import Library, build, kinds
from world.train.rollout import Recipe, Streams
from world.train.runs import RunConfig
from world.train.teacher import TeacherTrainer
from world.train.tune import TuneConfig, Tuner


@pytest.fixture(scope="module")
def latents() -> LinearLatents:
    return fit(Geometry(), clips=8)


def _model(seed: int) -> SmallModel:
    torch.manual_seed(seed)
    model = SmallModel()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def _tuner(latents: LinearLatents, folder: Path, **config: float) -> Tuner:
    of_runs = {"streams": 2, "longest": 9} | {n: config.pop(n) for n in ("switching", "stale") if n in config}
    sizes = {"workers": 1, "clip": 3, "warm_turns": 0, "every": 1, "runs": RunConfig(**of_runs)} | config
    return Tuner(TuneConfig(**sizes), latents, _model(0), _model(1), folder / "tuned.pt")


def test_a_run_goes_on_over_its_own_cache_until_it_ends(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, stale=0.0)
    masks, lasts = [], []
    for _ in range(5):
        clip, told, dials, mask = tuner._next(with_grad=False)
        assert clip.shape == mask.shape == (2, 3, 32, 8, 14) and dials.shape == (2, 3, 4) and len(told) == 2
        masks.append(mask[0, :, 0, 0, 0].tolist())
        lasts.append((clip[:, 0], clip[:, -1]))
    # three new blocks, then one known and two new; nine blocks are a run
    assert masks == [[True] * 3, [False, True, True], [False, True, True], [False, True, True], [True] * 3]
    assert torch.equal(lasts[0][1], lasts[1][0]) and torch.equal(lasts[1][1], lasts[2][0])


def test_the_judges_are_told_in_full_what_the_words_ask_for(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=1.0, stale=0.0)
    told = tuner._next(with_grad=False)[1]
    shown, words = tuner.runs.present.looks, tuner.runs.present.streams.texts
    assert [imagine(text) for text in told] == shown
    told, run = tuner._next(with_grad=False)[1], tuner.runs.present
    assert run.streams.texts != words
    assert [imagine(text) for text in told] == run.looks
    assert run.looks == [imagine(text, look) for text, look in zip(run.streams.texts, shown, strict=True)]


def test_a_switch_in_a_run_re_encodes_its_history(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=0.0)
    tuner._next(with_grad=False)
    before = [k.clone() for k, _ in tuner.runs.present.streams.kept[0][-1]]
    tuner.runs.say_new_words(tuner.runs.present)
    tuner.runs.recache(tuner.runs.present)
    assert not all(torch.equal(a, b) for a, (b, _) in zip(before, tuner.runs.present.streams.kept[0][-1], strict=True))


def test_over_a_stale_cache_the_old_scene_goes_on_for_a_chunk(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=1.0, stale=1.0, inertia=1)
    told = tuner._next(with_grad=False)[1]
    words = tuner.runs.present.streams.texts
    _, still_told, _, mask = tuner._next(with_grad=False)
    assert still_told == told and tuner.runs.present.streams.texts != words
    assert mask[0, :, 0, 0, 0].tolist() == [False, True, False]  # what sees little of the old words does not count
    coming = tuner.runs.present.coming
    _, told, _, mask = tuner._next(with_grad=False)
    assert [imagine(text) for text in told] == coming and tuner.runs.present.coming is None
    assert mask[0, :, 0, 0, 0].tolist() == [False, True, True]


def test_gradients_come_through_the_newest_chunk_alone(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    tuner._next(with_grad=False)
    clip, *_ = tuner._next(with_grad=True)
    known, new = clip[:, 0], clip[:, 1:]
    assert new.requires_grad and not tuner.runs.present.last.requires_grad
    assert not any(x.requires_grad for kept in tuner.runs.present.streams.kept[0] for layer in kept for x in layer)
    grads = torch.autograd.grad(known.sum(), [tuner.model.dit.head.out.weight], allow_unused=True, retain_graph=True)
    assert grads[0] is None or not grads[0].any()
    assert torch.autograd.grad(new.sum(), [tuner.model.dit.head.out.weight])[0].any()


def test_the_generator_goes_where_the_teacher_points(latents: LinearLatents, tmp_path: Path):
    """With a critic that agrees with the teacher, there is nothing to learn."""
    tuner = _tuner(latents, tmp_path, guidance=0.0)
    before = [p.clone() for p in tuner.model.parameters()]
    tuner.optimisers[0].param_groups[0]["weight_decay"] = 0.0
    tuner._teach_generator(1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, tuner.model.parameters(), strict=True))
    torch.nn.init.normal_(tuner.critic.dit.head.third.bias)
    tuner._teach_generator(1.0)
    assert not all(torch.equal(a, b) for a, b in zip(before, tuner.model.parameters(), strict=True))


def test_only_its_own_player_moves(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    kept = {n: [p.clone() for p in getattr(tuner, n).parameters()] for n in ("model", "critic", "teacher")}
    tuner._teach_critic()
    moved = {
        n: not all(torch.equal(a, b) for a, b in zip(kept[n], getattr(tuner, n).parameters(), strict=True))
        for n in kept
    }
    assert moved == {"model": False, "critic": True, "teacher": False}


def test_tuning_resumes(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, minutes=0.02)
    tuner.train()
    again = _tuner(latents, tmp_path, minutes=0.02)
    assert again.turn == tuner.turn > 0 and again.budget.share >= 1
    for name in ("model", "critic", "average"):
        for one, other in zip(getattr(tuner, name).parameters(), getattr(again, name).parameters(), strict=True):
            assert torch.equal(one, other)


def test_the_teacher_begins_as_the_base(latents: LinearLatents, tmp_path: Path):
    build(tmp_path / "library", latents, per_kind=1, blocks=6, shelves=kinds()[:1])
    library, base = Library(tmp_path / "library"), _model(0)
    torch.save({"average": base.state_dict()}, tmp_path / "base.pt")
    for number, kind in enumerate(kinds()):
        library.shelves.setdefault(kind, [0 * number])
    config = BaseConfig(minutes=0.01, workers=1, streams=2, length=3, every=1)
    trainer = TeacherTrainer(config, library, latents, tmp_path / "teacher.pt", tmp_path / "base.pt")
    for one, other in zip(base.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(one, other)
    trainer.train()
    assert trainer.step > 0 and (tmp_path / "teacher.pt").exists()


def test_a_fork_leaves_its_streams_alone():
    streams = Streams(_model(0).eval(), ["blue"], Recipe((1.0,)), torch.Generator().manual_seed(0))
    streams.block()
    fork = streams.fork()
    fork.say(["red"])
    fork.forget()
    fork.block()
    assert streams.texts == ["blue"] and streams.made == 1 and len(streams.kept[0]) == 1


def test_a_fork_has_the_same_noise():
    streams = Streams(_model(0).eval(), ["blue"], Recipe((1.0, 0.5)), torch.Generator().manual_seed(0))
    streams.block()
    assert torch.equal(streams.fork().block(), streams.block())
