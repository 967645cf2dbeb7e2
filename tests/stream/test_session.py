"""A session: what each event does and when, and the law by which its state can be made again."""

import numpy as np
import pytest
import torch

from tests.support.tiny import digests, tiny_world
from world.block import Clean, Denoised, Made, Recached, Snapshot
from world.diffusion.session import DiffusionSession
from world.dit.config import CacheConfig
from world.event import Dial, Prompt, Rebuild, Rewind, Scene

STEPS = 2


def started(world=None, blocks: int = 0, seed: int = 7) -> DiffusionSession:
    session = (world or tiny_world()).session(seed, "first words")
    for _ in range(blocks):
        session.step()
    return session


def until(passes, kind: type):
    """The first of `passes` that is of `kind`; the rest is left unmade."""
    return next(done for done in passes if isinstance(done, kind))


# what a block is


def test_a_block_is_four_kinds_of_passes_in_order():
    session = started(blocks=1)
    kinds = [type(done) for done in session.begin([Prompt("other words")])]
    assert kinds == [Recached, Denoised, Denoised, Made, Clean]


def test_the_same_seed_and_words_make_the_same_film():
    films = [[started(seed=seed).step().digest for _ in range(2)] for seed in (7, 7, 8)]
    assert films[0] == films[1] != films[2]


def test_blocks_are_numbered_and_chained():
    session = started()
    blocks = [session.step() for _ in range(3)]
    assert [(b.index, b.parent, b.start) for b in blocks] == [(0, -1, 0), (1, 0, 2), (2, 1, 4)]


def test_latents_are_rounded_before_the_cache_sees_them():
    session, exact = started(), started(tiny_world(stored="float32"))
    assert session.step().latents.dtype == np.float16
    exact.step()
    keys, others = (s.banks.front.keys[0] for s in (session, exact))
    assert not torch.equal(keys, others) and torch.allclose(keys, others, atol=1e-2)


def test_a_model_that_predicts_x0_is_taken_at_its_word():
    world = tiny_world(prediction="x0", stored="float32")
    x0, called = [], world.dit.predict
    world.dit.predict = lambda *inputs: x0.append(called(*inputs)) or x0[-1]
    block = world.session(7, "first words").step()
    assert np.array_equal(block.latents, x0[STEPS - 1].numpy())


def test_half_precision_makes_nearly_the_same_film():
    whole, half = tiny_world(stored="float32"), tiny_world(stored="float32")
    half.dit.to(torch.bfloat16)
    films = [np.concatenate([started(world).step().latents for _ in range(5)]) for world in (whole, half)]
    assert 0 < np.abs(films[0] - films[1]).mean() < 0.05


# prompts


def test_a_prompt_is_seen_from_the_next_block():
    plain, switched = started(blocks=4), started(blocks=4)
    block = switched.step([Prompt("other words")])
    assert (block.cut, block.seen) == (4, 4)
    assert block.digest != plain.step().digest


def test_equal_words_cost_nothing():
    session = started(blocks=2)
    passes = list(session.begin([Prompt("first words")]))
    assert not any(isinstance(done, Recached) for done in passes)
    assert until(passes, Made).block.cut is None


def test_of_several_prompts_the_last_wins():
    one, many = started(blocks=4), started(blocks=4)
    last = one.step([Prompt("last")])
    assert many.step([Prompt("a"), Prompt("b"), Prompt("last")]).digest == last.digest


def test_words_that_return_within_one_boundary_cost_nothing():
    session = started(blocks=3)
    assert session.step([Prompt("away"), Prompt("first words")]).cut is None


def test_a_prompt_before_the_first_block_needs_no_recache():
    session = started()
    passes = list(session.begin([Prompt("other words")]))
    assert not any(isinstance(done, Recached) for done in passes)
    assert until(passes, Made).block.digest == tiny_world().session(7, "other words").step().digest


def test_a_prompt_is_encoded_once():
    world = tiny_world()
    counted, encode = [], world.encode
    object.__setattr__(world, "encode", lambda text: counted.append(text) or encode(text))
    session = started(world, blocks=2)
    session.prepare(Prompt("other words"))
    session.step([Prompt("other words")])
    session.step([Prompt("first words")])
    assert counted == ["first words", "other words"]


# dials


def test_a_dial_acts_on_its_block_and_the_latest_value_wins():
    plain, dialled, twice = started(blocks=2), started(blocks=2), started(blocks=2)
    block = dialled.step([Dial("zoom", 0.8)])
    assert block.dials == {"zoom": 0.8, "energy": 0.5} and block.cut is None
    assert plain.step().digest != block.digest == twice.step([Dial("zoom", -1), Dial("zoom", 0.8)]).digest


def test_a_dial_stays_where_it_was_put():
    session = started(blocks=1)
    session.step([Dial("zoom", 0.8)])
    assert session.step().dials["zoom"] == 0.8


def test_a_dial_stops_at_its_limit():
    assert started().step([Dial("energy", -3.0)]).dials["energy"] == 0.0


def test_a_dial_of_the_display_changes_no_latents():
    assert started().step([Dial("hue", 0.3)]).digest == started().step().digest


# hard cuts


def test_a_hard_cut_is_a_new_film_with_the_next_number():
    session, fresh = started(blocks=3), tiny_world().session(11, "other words")
    block = session.step([Scene("other words", seed=11)])
    assert (block.index, block.start, block.cut) == (3, 0, 3)
    # the noise is a function of the block's number, so the new film is compared with one of the same numbers
    fresh.state.index = 3
    assert block.digest == fresh.step().digest


def test_a_hard_cut_draws_a_seed_of_its_own():
    session, same = started(blocks=1), started(blocks=1)
    assert session.step([Scene("other words")]).digest != same.step([Scene("other words", seed=7)]).digest


def test_a_hard_cut_makes_no_recache():
    session = started(blocks=4)
    passes = list(session.begin([Prompt("other words"), Scene("new place"), Prompt("newest place")]))
    assert not any(isinstance(done, Recached) for done in passes)


def test_a_session_cannot_rewind_by_itself():
    with pytest.raises(ValueError, match="rewind to block 3: resume from a snapshot"):
        started(blocks=1).step([Rewind(3)])


# blocks left undone


def test_an_abandoned_block_leaves_its_events_to_the_next_try():
    abandoned, plain = started(blocks=4), started(blocks=4)
    until(abandoned.begin([Prompt("other words"), Dial("zoom", 0.5)]), Denoised)
    block = abandoned.step()
    assert block.events == (Prompt("other words"), Dial("zoom", 0.5)) and block.cut == 4
    assert block.digest == plain.step(block.events).digest


def test_new_words_may_overtake_a_block_in_flight():
    abandoned, plain = started(blocks=4), started(blocks=4)
    until(abandoned.begin([]), Denoised)
    assert abandoned.step([Prompt("other words")]).digest == plain.step([Prompt("other words")]).digest


def test_a_missing_clean_pass_is_made_up_for():
    hurried, plain = started(blocks=3), started(blocks=3)
    assert until(hurried.begin([]), Made).block.digest == plain.step().digest
    assert hurried.step().digest == plain.step().digest


def test_a_rebuild_spares_the_clean_pass_before_it():
    world = tiny_world()
    hurried, plain = started(world, blocks=4), started(blocks=4)
    until(hurried.begin([]), Made), plain.step()
    before = world.dit.passes
    assert hurried.step([Prompt("other words")]).digest == plain.step([Prompt("other words")]).digest
    assert world.dit.passes - before == 1 + STEPS + 1  # rebuild, block, its clean pass


# the law of state


FILMS = {
    "nothing happens": {},
    "switch inside the first window": {2: [Prompt("b")]},
    "switch before the sink is complete": {1: [Prompt("b")]},
    "switch late": {6: [Prompt("b")]},
    "switch at the edge of the window": {3: [Prompt("b")]},
    "switch twice": {2: [Prompt("b")], 7: [Prompt("c")]},
    "switch late twice": {5: [Prompt("b")], 8: [Prompt("first words")]},
    "dials": {1: [Dial("zoom", 0.5)], 4: [Dial("zoom", -0.5), Prompt("b")], 6: [Dial("energy", 1.0)], 8: [Prompt("c")]},
    "hard cut": {2: [Prompt("b")], 4: [Scene("c")], 8: [Prompt("d")]},
    "hard cut at the end": {8: [Scene("c")]},
    "sinks made anew": {4: [Rebuild()], 6: [Prompt("b")], 8: [Rebuild()], 9: [Prompt("c")]},
    "rebuild and switch at once": {5: [Rebuild(), Prompt("b")], 8: [Prompt("c")]},
}
CACHES = {
    "sink of a block": CacheConfig(6, 2, 2),
    "no sink": CacheConfig(6, 0, 2),
    "sink above a block": CacheConfig(6, 3, 1),
    "uneven window": CacheConfig(7, 2, 2),
    "absolute positions": CacheConfig(6, 2, 2, positions="absolute"),
    "sink made anew at each switch": CacheConfig(6, 2, 2, keep_sink=False),
    "everything": CacheConfig(-1, 2, 2, slots=40),
}


def film(session: DiffusionSession, events: dict, blocks: int = 10) -> list:
    return [session.step(events.get(index, [])) for index in range(session.index, blocks)]


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("cache", CACHES)
def test_a_session_folded_from_its_log_goes_on_exactly(name, cache):
    world = tiny_world(CACHES[cache])
    session = world.session(7, "first words")
    log = film(session, FILMS[name])
    folded = world.session(7, "first words")
    folded.fold(log)
    assert folded.step().digest == session.step().digest
    assert folded.step([Prompt("z")]).digest == session.step([Prompt("z")]).digest


def test_a_fold_makes_no_more_passes_than_since_the_last_cut():
    world = tiny_world()
    log = film(world.session(7, "first words"), {8: [Prompt("b")]})
    before = world.dit.passes
    world.session(7, "first words").fold(log)
    assert world.dit.passes - before == 1 + 1 + 2  # the sink's block, the rebuild, blocks 8 and 9


def test_a_fold_may_begin_at_the_window_before_a_renewed_sink():
    world = tiny_world()
    session = world.session(7, "first words")
    log = film(session, {2: [Prompt("b"), Dial("zoom", 0.4)], 6: [Rebuild()], 8: [Prompt("c")]})
    folded = world.session(7, "first words")
    folded.fold(log[3:], words="b", dials={"zoom": 0.4})
    assert folded.step().digest == session.step().digest


def test_a_fold_without_a_sink_needs_no_more_than_the_window_before_the_last_words():
    world = tiny_world(CacheConfig(6, 0, 2))
    session = world.session(1, "a red boat")
    log = [session.step([Prompt("a green boat")] if number == 8 else []) for number in range(12)]
    folded = world.session(1, "a red boat")
    folded.fold(log[5:])
    assert folded.step().digest == session.step().digest


def test_a_fold_of_too_little_says_so():
    world = tiny_world()
    log = film(world.session(7, "first words"), {6: [Prompt("b")]})
    with pytest.raises(ValueError, match="reach back to the beginning, a hard cut or a renewed sink"):
        world.session(7, "first words").fold(log[3:])
    with pytest.raises(ValueError, match="blocks are missing"):
        world.session(7, "first words").fold(log[:2] + log[3:])
    with pytest.raises(ValueError, match="nothing is known of what came before latent frame 6: blocks are missing"):
        world.session(7, "first words").resume(Snapshot(7, 3, 6, "first words", {}))


def test_a_fold_of_nothing_is_a_beginning():
    session = started()
    session.fold([])
    assert session.step().digest == started().step().digest


def test_a_fold_ignores_what_was_abandoned():
    world = tiny_world()
    session = world.session(7, "first words")
    log = film(session, {}, blocks=5)
    until(session.begin([Prompt("b"), Rebuild()]), Denoised)
    log += film(session, {5: [Prompt("first words")]}, blocks=8)
    folded = world.session(7, "first words")
    folded.fold(log)
    assert folded.step().digest == session.step().digest


def test_a_fold_under_other_words_is_another_state():
    world = tiny_world()
    session = world.session(7, "first words")
    log = film(session, {2: [Prompt("b")]})
    forged = [block if block.index != 2 else type(block)(**{**vars(block), "events": (Prompt("x"),)}) for block in log]
    folded = world.session(7, "first words")
    folded.fold(forged)
    assert folded.step([Prompt("c")]).digest != session.step([Prompt("c")]).digest


def snapshot_of(log: list, kept: int, words: str, dials: dict | None = None, seed: int = 7) -> Snapshot:
    last = log[-1]
    end = last.start + last.latents.shape[1]
    return Snapshot(seed, last.index + 1, end, words, dials or {}, tuple(log[-kept:]))


def resumed(world, snapshot: Snapshot) -> DiffusionSession:
    session = world.session(1234, "whatever")
    session.resume(snapshot)
    return session


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 9])
def test_resuming_equals_a_rebuild_at_that_block(blocks):
    world = tiny_world()
    session = world.session(7, "first words")
    again = resumed(world, snapshot_of(film(session, {}, blocks), 4, "first words"))
    block = session.step([Rebuild()])
    assert (again.index, block.cut) == (blocks, blocks)
    assert digests([block, session.step()]) == digests([again.step(), again.step()])


def test_resume_after_a_switch_inside_the_first_window_is_exact():
    world = tiny_world()
    session = world.session(7, "first words")
    again = resumed(world, snapshot_of(film(session, {2: [Prompt("b")]}, 4), 4, "b"))
    assert digests([session.step([Rebuild()]), session.step()]) == digests([again.step(), again.step()])


def test_resume_remembers_the_dials_of_each_block():
    world = tiny_world()
    session = world.session(7, "first words")
    log = film(session, {2: [Dial("zoom", 0.4)], 6: [Dial("zoom", -0.7)]}, 8)
    again = resumed(world, snapshot_of(log, 4, "first words", {"zoom": -0.7, "hue": 1.0}))
    assert session.step([Rebuild()]).digest == again.step().digest


def test_a_rebuild_encodes_each_block_under_its_own_dials():
    world = tiny_world()
    log = film(started(world), {}, 4)
    turned = [type(block)(**{**vars(block), "dials": {"zoom": 1.0}}) if block.index == 2 else block for block in log]
    plain, other = (resumed(world, snapshot_of(blocks, 4, "first words")) for blocks in (log, turned))
    assert plain.step().digest != other.step().digest


def test_resume_after_a_hard_cut_needs_nothing_older():
    world = tiny_world()
    session = world.session(7, "first words")
    log = film(session, {5: [Scene("b", seed=3)]}, 7)
    again = resumed(world, snapshot_of(log[5:], 4, "b", seed=3))
    assert session.step([Rebuild()]).digest == again.step().digest


def test_the_log_shows_where_a_session_was_resumed():
    world = tiny_world()
    log = film(world.session(7, "first words"), {})
    again = resumed(world, snapshot_of(log, 4, "first words"))
    log += film(again, {10: [Prompt("b")]}, 14)
    assert log[10].events == (Rebuild(), Prompt("b")) and log[10].cut == 10
    folded = world.session(7, "first words")
    folded.fold(log)
    assert folded.step().digest == again.step().digest


def test_resuming_before_anything_was_made_is_a_beginning():
    world = tiny_world()
    again = resumed(world, Snapshot(7, 0, 0, "first words", {}))
    assert again.step().digest == started().step().digest


def test_a_snapshot_with_too_few_latents_is_refused():
    world = tiny_world()
    snapshot = snapshot_of(film(started(world), {}), 2, "first words")
    with pytest.raises(ValueError, match="a rebuild needs 6 latent frames, got the last 4"):
        resumed(world, snapshot)


def test_absolute_positions_have_no_end():
    world = tiny_world(CacheConfig(6, 2, 2, positions="absolute"), stored="float32")
    log = film(started(world), {}, 4)
    near, far = started(world), started(world)
    for session, ahead in ((near, 0), (far, 5000)):
        blocks = [type(block)(**{**vars(block), "start": block.start + ahead}) for block in log]
        session.resume(snapshot_of(blocks, 4, "first words"))
    # only differences of positions count, so the film is the same but for rounding
    assert np.abs(near.step().latents - far.step().latents).max() < 1e-4
