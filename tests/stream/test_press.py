"""Press: for four blocks new words are pressed on, by guidance away from the words that were left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.tiny import digests, tiny_world
from world.block import Conditions, Made, Snapshot
from world.boundary import apply_events
from world.diffusion.world import DiffusionWorld
from world.dit.config import CacheConfig
from world.dit.denoise import pressed_on
from world.event import Blend, Dial, Prompt, Rebuild, Recall, Scene
from world.info import PRESSED_BLOCKS, DialRange, press_dial
from world.prompt_mix import blend_prompts

WORDS = "first words"
RANGES = press_dial(1.5)


def pressing(strength: float, cache: CacheConfig | None = None) -> DiffusionWorld:
    """A tiny world whose new words are pressed on."""
    world = tiny_world(cache)
    return replace(world, info=replace(world.info, dials={**world.info.dials, **press_dial(strength)}))


def passes_of(session, events=()) -> int:
    before = session._model.dit.passes
    session.step(events)
    return session._model.dit.passes - before


def under(*events_of_blocks) -> Conditions:
    """What block 5 and those after it are made under, when these events come to them."""
    now = Conditions("a", 1)
    for index, events in enumerate(events_of_blocks, 5):
        now = apply_events(now, events, index, RANGES).conditions
    return now


# when


def test_new_words_are_pressed_on_for_four_blocks():
    left = [under([Prompt("b")], *[[]] * later).left for later in range(6)]
    assert left == ["a"] * PRESSED_BLOCKS + [None, None]


def test_the_same_words_again_press_on_nothing():
    assert under([Prompt("a")]).left is None


def test_words_that_follow_others_soon_leave_those_and_not_the_first():
    assert under([Prompt("b")], [Prompt("c")]).left == "b"


@pytest.mark.parametrize("event", [Scene("c"), Rebuild()])
def test_a_hard_cut_and_a_cache_made_of_latents_end_it(event):
    assert under([Prompt("b")], [event]) == Conditions(under([Prompt("b")], [event]).words, under([], [event]).seed)


def test_the_steps_of_a_transition_are_not_pressed_on_and_nor_is_its_end():
    half = Blend(blend_prompts("a", "b", 0.5))
    assert under([half]).left is None and under([half], [Prompt("b")]).left is None


def test_a_world_at_rest_at_zero_presses_nothing_until_the_dial_is_turned():
    resting = press_dial(0.0)
    assert apply_events(Conditions("a", 1), [Prompt("b")], 5, resting).conditions.left is None
    turned = apply_events(Conditions("a", 1), [Dial("press", 2.0), Prompt("b")], 5, resting)
    assert turned.conditions.left == "a"


def test_dials_that_enter_between_the_steps_leave_it_as_it_is():
    ranges = {**RANGES, "zoom": DialRange()}
    boundary = apply_events(Conditions("a", 1), [Prompt("b"), Dial("zoom", 0.5, step=1)], 5, ranges)
    assert [conditions.left for _, conditions in boundary.earlier] == ["a"] == [boundary.conditions.left]


# how


def test_only_cells_that_differ_by_more_than_the_mean_are_pressed_on_and_their_neighbours_by_half():
    left = torch.zeros(1, 1, 2, 4, 5)
    made = left.clone()
    made[..., 0, 0] = 1.0
    made[..., 0, 1] = made[..., 3, 4] = 0.1
    pressed = pressed_on(made, left, 2.0)
    assert torch.equal(pressed[..., 0, 0], torch.full((1, 1, 2), 3.0))
    assert torch.allclose(pressed[..., 0, 1], torch.full((1, 1, 2), 0.2))
    assert torch.equal(pressed[..., 3, 4], made[..., 3, 4])


def test_predictions_that_agree_stay_as_they_are():
    made = torch.randn(1, 2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pressed_on(made, made.clone(), 3.0), made)


def test_a_pressed_block_costs_its_steps_twice_and_others_cost_what_they_did():
    session = pressing(1.5).session(7, WORDS)
    assert passes_of(session) == 2 + 1
    assert passes_of(session, [Prompt("b")]) == 1 + 2 * 2 + 1
    assert [passes_of(session) for _ in range(PRESSED_BLOCKS)] == [2 * 2 + 1] * (PRESSED_BLOCKS - 1) + [2 + 1]


def test_the_more_it_presses_the_further_the_block_goes_from_what_it_was():
    def switched(strength: float) -> np.ndarray:
        session = pressing(strength).session(7, WORDS)
        session.step()
        return session.step([Prompt("b")]).latents.astype(np.float32)

    plain, some, much = switched(0.0), switched(1.0), switched(2.0)
    assert 0 < abs(some - plain).mean() < abs(much - plain).mean()


# the law of state


@pytest.mark.parametrize(
    "cache", [None, CacheConfig(6, 2, 2, sink_average=0.5), CacheConfig(6, 1, 2, flush=True), CacheConfig(7, 3, 1)]
)
def test_a_fold_of_the_log_goes_on_bit_for_bit_at_every_block_of_it(cache):
    world = pressing(1.5, cache)
    session, log = world.session(7, WORDS), []
    for events in ([], [], [], [], [Prompt("b")], [], [Prompt("c")], [], [], [Dial("press", 0.0)], [Prompt("d")], []):
        log.append(session.step(events))
    for end in range(1, len(log)):
        folded = world.session(7, WORDS)
        folded.fold(log[:end])
        assert folded.step(log[end].events).digest == log[end].digest


def test_a_logged_block_is_made_again_bit_for_bit():
    world = pressing(1.5)
    session = world.session(7, WORDS)
    log = [session.step(events) for events in ([], [], [Prompt("b")], [], [])]
    for end in (2, 3, 4):
        folded = world.session(7, WORDS)
        folded.fold(log[:end])
        assert folded.again(log[end]).digest == log[end].digest


def test_words_that_were_taken_back_are_pressed_on_again():
    world = pressing(1.5)
    session = world.session(7, WORDS)
    log = [session.step() for _ in range(3)]
    taken = [session.step([Prompt("b")]), session.step()]
    session.take_back(log[-1].index)
    again = session.step()
    assert again.events == taken[0].events
    assert session.conditions.pressed_until == again.index + PRESSED_BLOCKS


def test_a_recache_ahead_and_a_recache_in_line_press_on_alike():
    made = []
    for is_ahead in (True, False):
        session = pressing(1.5).session(7, WORDS)
        [session.step() for _ in range(4)]
        if is_ahead:
            session.ahead([Prompt("b")])
        made.append(session.step([] if is_ahead else [Prompt("b")]).digest)
    assert made[0] == made[1]


def test_a_session_that_goes_on_from_a_snapshot_is_one_that_took_a_rebuild():
    world = pressing(1.5)
    session = world.session(7, WORDS)
    log = [session.step(events) for events in ([], [], [], [Prompt("b")])]
    resumed = world.session(7, WORDS)
    resumed.resume(Snapshot(7, 4, 8, "b", {}, tuple(log)))
    assert digests([resumed.step(), resumed.step()]) == digests([session.step([Rebuild()]), session.step()])


def test_a_dial_that_enters_between_the_steps_is_replayed():
    world = pressing(1.5)
    session = world.session(7, WORDS)
    log = [session.step() for _ in range(3)]
    passes = session.begin([Prompt("b")])
    next(passes), next(passes)
    session.turn([Dial("zoom", 0.5)])
    log += [done.block for done in passes if isinstance(done, Made)]
    folded = world.session(7, WORDS)
    folded.fold(log[:-1])
    assert folded.again(log[-1]).digest == log[-1].digest


def test_a_recall_presses_on_its_words():
    session = pressing(1.5).session(7, WORDS)
    line = [session.step() for _ in range(4)]
    session.step([Recall((line[0].past,), "b")])
    assert session.conditions.left == WORDS
