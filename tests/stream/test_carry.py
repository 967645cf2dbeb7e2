"""Carry: how much of the window survives new words, as the dial `grip` says. Infinity-RoPE's flush, made lawful."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tiny import digests, tiny_world
from world.block import Conditions, Made, Snapshot
from world.boundary import apply_events, cut_if_loose
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig
from world.event import Dial, Prompt, Recall, Scene
from world.info import WorldError, grip_dial

WORDS = "first words"
WINDOW = CacheConfig(8, 2, 2)


def carrying(frames: int | None, cache: CacheConfig = WINDOW) -> DiffusionWorld:
    """A tiny world opened with --carry."""
    world = tiny_world(cache)
    dials = {**world.info.dials, **grip_dial(frames, cache.window)}
    return replace(world, info=replace(world.info, dials=dials))


def streamed(world: DiffusionWorld, blocks: int = 6):
    session = world.session(7, WORDS)
    return session, [session.step() for _ in range(blocks)]


def goes_on_from(world, session, log) -> bool:
    folded = world.session(7, WORDS)
    folded.fold(log)
    after = [[], [Prompt("z")], []]
    return digests([folded.step(events) for events in after]) == digests([session.step(events) for events in after])


def test_new_words_encode_the_newest_frames_only_and_make_the_sink_of_them():
    session, _ = streamed(carrying(4))
    next(session.begin([Prompt("b")]))
    slots = session.banks.front.slots
    assert slots.filled == 4 and slots.frame[:4] == [8, 9, 10, 11]


def test_what_was_before_those_frames_does_not_matter():
    long, short = carrying(4).session(7, WORDS), carrying(4).session(7, "other words")
    blocks = [long.step() for _ in range(6)]
    others = [short.step() for _ in range(4)]
    short.resume(Snapshot(7, 6, 12, WORDS, {}, (*others[2:], *blocks[4:])))
    assert short.step([Prompt("b")]).digest == long.step([Prompt("b")]).digest


def test_the_window_fills_up_again_behind_the_new_sink():
    session, _ = streamed(carrying(4))
    filled = []
    for events in ([Prompt("b")], [], [], []):
        session.step(events)
        filled.append(session.banks.front.slots.filled)
    assert filled == [6, 8, 8, 8] and session.banks.front.slots.frame[:2] == [8, 9]


def test_the_whole_window_is_the_recache_that_there_always_was():
    made = [
        streamed(world)[0].step([Prompt("b")]).digest for world in (carrying(None), carrying(8), tiny_world(WINDOW))
    ]
    assert made[0] == made[1] == made[2]


def test_a_recache_costs_one_pass_over_as_many_frames():
    session, _ = streamed(carrying(4))
    before = session._model.dit.passes
    list(session.begin([Prompt("b")]))
    assert session._model.dit.passes - before == 1 + 2 + 1  # the recache, two steps, the clean pass


def test_grip_is_a_dial_that_is_logged_with_each_block():
    world = carrying(None)
    session, log = streamed(world)
    log.append(session.step([Dial("grip", 0.25), Prompt("b")]))
    assert log[-1].dials["grip"] == 0.25 and log[-1].cut == 6
    assert session.banks.front.slots.filled == 2 + 2
    assert goes_on_from(world, session, log)


@pytest.mark.parametrize(
    "cache", [WINDOW, CacheConfig(6, 2, 2, sink_average=0.5), CacheConfig(6, 1, 2, flush=True), CacheConfig(7, 3, 1)]
)
@pytest.mark.parametrize("frames", [1, 3, 5])
def test_a_fold_of_the_log_goes_on_bit_for_bit(cache, frames):
    world = carrying(frames, cache)
    session, log = streamed(world, 5)
    for events in ([Prompt("b")], [], [Dial("grip", 1.0)], [Prompt("c")], [], [Dial("grip", 0.5), Prompt("d")]):
        log.append(session.step(events))
    assert goes_on_from(world, session, log)


def test_a_grip_that_is_turned_after_a_recache_ahead_makes_the_recache_again():
    world = carrying(None)
    session, log = streamed(world)
    passes = session.begin()
    next(passes)
    session.ahead([Dial("grip", 0.5), Prompt("b")])
    log += [done.block for done in passes if isinstance(done, Made)]
    log.append(session.step([Dial("grip", 1.0)]))
    assert log[-1].dials["grip"] == 1.0 and goes_on_from(world, session, log)


def test_a_recall_leaves_room_for_what_was_just_shown():
    session, line = streamed(carrying(1, CacheConfig(8, 2, 1)), 10)
    session.step([Recall((line[0].past, line[1].past), "b")])
    assert session.banks.front.slots.frame[:3] == [7, 8, 9]


def test_words_that_keep_nothing_are_a_hard_cut():
    assert cut_if_loose(Prompt("b"), "a", 0.0) == Scene("b")
    assert cut_if_loose(Prompt("b"), "a", 0.1) == Prompt("b")
    assert cut_if_loose(Prompt("a"), "a", 0.0) == Prompt("a")
    assert cut_if_loose(Dial("zoom", 1), "a", 0.0) == Dial("zoom", 1)


def test_more_than_the_window_is_refused():
    with pytest.raises(WorldError, match="carry 9: this world's window holds 8 latent frames"):
        grip_dial(9, 8)


def test_a_sink_with_clamped_positions_is_turned_after_it_was_made_anew():
    """The recache writes the sink's keys where its frames stand; the next pass wants them at the span's beginning."""
    bank = streamed(carrying(4, CacheConfig(8, 2, 2, span=21)))[0]
    bank.step([Prompt("b")])
    front = bank.banks.front
    front.attend(bank.state.end - 2, 2)
    kept = front.keys[0][:, :2].clone()
    front._sink_at = None
    front.attend(bank.state.end - 2, 2)
    assert (kept == front.keys[0][:, :2]).all()


def test_a_grip_that_is_turned_between_the_steps_of_a_block_comes_too_late_for_its_words():
    late = apply_events(Conditions("a", 1), [Prompt("b"), Dial("grip", 0.25, step=1)], 5, grip_dial(None, 8))
    assert late.switch and late.grip == 1.0 and not late.renew
