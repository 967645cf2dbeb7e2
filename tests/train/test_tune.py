from itertools import count
from pathlib import Path

import pytest
import torch

from world.compact.decoder import LinearLatents
from world.compact.geometry import Geometry
from world.compact.model import CompactModel
from world.train.data.captions import look_of
from world.train.data.latents import fit_latents
from world.train.data.library import Library, build_library, motion_kinds
from world.train.learn.budget import Budget
from world.train.learn.rollout import SamplingRecipe, Streams
from world.train.stages.base import BaseConfig
from world.train.stages.stream_runs import RunConfig
from world.train.stages.teacher import TeacherTrainer
from world.train.stages.tune import Chunk, TuneConfig, Tuner


@pytest.fixture(scope="module")
def latents() -> LinearLatents:
    return fit_latents(Geometry(), clips=8)


def _model(seed: int) -> CompactModel:
    torch.manual_seed(seed)
    model = CompactModel()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def end_after(budget: Budget, reads: int = 3) -> None:
    """Let a training end after its time was read so many times, however busy the machine is."""
    budget.clock = count(budget.started_s, 60 * budget.minutes / reads).__next__


def _tuner(latents: LinearLatents, folder: Path, **config: float) -> Tuner:
    run_sizes = {"streams": 2, "longest": 9} | {n: config.pop(n) for n in ("switching", "stale") if n in config}
    sizes = {"workers": 1, "clip": 3, "warm_turns": 0, "every": 1, "runs": RunConfig(**run_sizes)} | config
    return Tuner(TuneConfig(**sizes), latents, _model(0), _model(1), folder / "tuned.pt")


def _counted(chunk: Chunk) -> list[bool]:
    """Which blocks of a chunk the loss counts."""
    return chunk.counted[0, :, 0, 0, 0].tolist()


def test_a_run_goes_on_over_its_own_cache_until_it_ends(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, stale=0.0)
    counted, ends = [], []
    for _ in range(5):
        chunk = tuner._next_chunk(with_grad=False)
        assert chunk.latents.shape == chunk.counted.shape == (2, 3, 32, 8, 14)
        assert chunk.dials.shape == (2, 3, 4) and len(chunk.texts) == 2
        counted.append(_counted(chunk))
        ends.append((chunk.latents[:, 0], chunk.latents[:, -1]))
    # three new blocks, then one known and two new; nine blocks are a run
    assert counted == [[True] * 3, [False, True, True], [False, True, True], [False, True, True], [True] * 3]
    assert torch.equal(ends[0][1], ends[1][0]) and torch.equal(ends[1][1], ends[2][0])


def test_the_judges_are_told_in_full_what_the_words_ask_for(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=1.0, stale=0.0)
    texts = tuner._next_chunk(with_grad=False).texts
    shown, words = tuner.runs.present.looks, tuner.runs.present.streams.texts
    assert [look_of(text) for text in texts] == shown
    texts, run = tuner._next_chunk(with_grad=False).texts, tuner.runs.present
    assert run.streams.texts != words
    assert [look_of(text) for text in texts] == run.looks
    assert run.looks == [look_of(text, look) for text, look in zip(run.streams.texts, shown, strict=True)]


def test_a_switch_in_a_run_re_encodes_its_history(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=0.0)
    tuner._next_chunk(with_grad=False)
    run = tuner.runs.present
    before = [k.clone() for k, _ in run.streams.caches[0][-1]]
    run.change_texts(tuner.runs.new_texts())
    run.recache(tuner.rng)
    assert not all(torch.equal(a, b) for a, (b, _) in zip(before, run.streams.caches[0][-1], strict=True))


def test_a_recache_without_a_change_of_texts_is_refused(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    with pytest.raises(ValueError, match="change_texts"):
        tuner.runs.before_chunk().recache(tuner.rng)


def test_over_a_stale_cache_the_old_scene_goes_on_for_a_chunk(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path, switching=1.0, stale=1.0, inertia=1)
    first = tuner._next_chunk(with_grad=False)
    words = tuner.runs.present.streams.texts
    stale = tuner._next_chunk(with_grad=False)
    assert stale.texts == first.texts and tuner.runs.present.streams.texts != words
    assert _counted(stale) == [False, True, False]  # a block that sees little of the old words does not count
    pending = tuner.runs.present.pending
    recached = tuner._next_chunk(with_grad=False)
    assert [look_of(text) for text in recached.texts] == pending and tuner.runs.present.pending is None
    assert _counted(recached) == [False, True, True]


def test_gradients_come_through_the_newest_chunk_alone(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    tuner._next_chunk(with_grad=False)
    clip = tuner._next_chunk(with_grad=True).latents
    known, new = clip[:, 0], clip[:, 1:]
    assert new.requires_grad and not tuner.runs.present.last.requires_grad
    assert not any(x.requires_grad for block in tuner.runs.present.streams.caches[0] for layer in block for x in layer)
    grads = torch.autograd.grad(known.sum(), [tuner.model.dit.head.out.weight], allow_unused=True, retain_graph=True)
    assert grads[0] is None or not grads[0].any()
    assert torch.autograd.grad(new.sum(), [tuner.model.dit.head.out.weight])[0].any()


def test_the_generator_goes_where_the_teacher_points(latents: LinearLatents, tmp_path: Path):
    """With a critic that agrees with the teacher, up to rounding, there is nothing to learn."""
    tuner = _tuner(latents, tmp_path, guidance=0.0)
    tuner._train_generator(1.0)
    agreeing = tuner.meter.sums["matching"][0]
    before = [p.clone() for p in tuner.model.parameters()]
    torch.nn.init.normal_(tuner.critic.dit.head.third.bias)
    tuner._train_generator(1.0)
    assert agreeing < 1e-3 * (tuner.meter.sums["matching"][0] - agreeing)
    assert not all(torch.equal(a, b) for a, b in zip(before, tuner.model.parameters(), strict=True))


def test_only_its_own_player_moves(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    kept = {n: [p.clone() for p in getattr(tuner, n).parameters()] for n in ("model", "critic", "teacher")}
    tuner._train_critic()
    moved = {
        n: not all(torch.equal(a, b) for a, b in zip(kept[n], getattr(tuner, n).parameters(), strict=True))
        for n in kept
    }
    assert moved == {"model": False, "critic": True, "teacher": False}


def test_tuning_resumes(latents: LinearLatents, tmp_path: Path):
    tuner = _tuner(latents, tmp_path)
    end_after(tuner.budget)
    tuner.train()
    again = _tuner(latents, tmp_path)
    assert again.turn == tuner.turn > 0 and again.budget.share >= 1
    for name in ("model", "critic", "average"):
        for one, other in zip(getattr(tuner, name).parameters(), getattr(again, name).parameters(), strict=True):
            assert torch.equal(one, other)


def test_the_teacher_begins_as_the_base(latents: LinearLatents, tmp_path: Path):
    build_library(tmp_path / "library", latents, per_kind=1, blocks=6, kinds=motion_kinds()[:1])
    library, base = Library(tmp_path / "library"), _model(0)
    torch.save({"average": base.state_dict()}, tmp_path / "base.pt")
    for number, kind in enumerate(motion_kinds()):
        library.clips_by_kind.setdefault(kind, [0 * number])
    config = BaseConfig(workers=1, streams=2, length=3, every=1)
    trainer = TeacherTrainer(config, library, latents, tmp_path / "teacher.pt", tmp_path / "base.pt")
    for one, other in zip(base.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(one, other)
    end_after(trainer.budget)
    trainer.train()
    assert trainer.step > 0 and (tmp_path / "teacher.pt").exists()


def test_a_fork_leaves_its_streams_alone():
    streams = Streams(_model(0).eval(), ["blue"], SamplingRecipe((1.0,)), torch.Generator().manual_seed(0))
    streams.next_block()
    fork = streams.fork()
    fork.set_texts(["red"])
    fork.clear_cache()
    fork.next_block()
    assert streams.texts == ["blue"] and streams.block_count == 1 and len(streams.caches[0]) == 1


def test_a_fork_has_the_same_noise():
    streams = Streams(_model(0).eval(), ["blue"], SamplingRecipe((1.0, 0.5)), torch.Generator().manual_seed(0))
    streams.next_block()
    assert torch.equal(streams.fork().next_block(), streams.next_block())
