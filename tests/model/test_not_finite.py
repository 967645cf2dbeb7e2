"""Latents that are not finite are never stored: the block is made again, and the stream heals."""

import math

import numpy as np
import pytest
import torch

from loop.render import _next_block
from tests.support.tiny import tiny_world
from world.block import Made, Recached, Remade
from world.event import Dial, Prompt, Rebuild, Scene
from world.info import WorldError

PASSES = 2 + 1  # of a block: two denoising steps and the clean pass


def started(world, blocks: int):
    session = world.session(7, "first words")
    for _ in range(blocks):
        session.step()
    return session


def spoil(world, passes, value: float = math.nan):
    """Let these of the transformer's next passes, counted from 0, come out as `value`."""
    predict, begun = world.dit.predict, world.dit.passes

    def spoilt(*inputs):
        number = world.dit.passes - begun
        out = predict(*inputs)
        return torch.full_like(out, value) if number in passes else out

    world.dit.predict = spoilt


def spoil_words(world, bad: str):
    """Let these words be encoded as what is no number."""
    encode = world.encode

    def spoilt(text):
        encoded = encode(text)
        return encoded._replace(embedding=encoded.embedding * (math.nan if text == bad else 1))

    object.__setattr__(world, "encode", spoilt)


def made(passes):
    return next(done.block for done in passes if isinstance(done, Made))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e6])
def test_a_block_that_came_out_spoilt_is_made_again_from_older_latents(value):
    world = tiny_world()
    session, plain = started(world, 5), started(tiny_world(), 5)
    spoil(world, {1}, value)
    passes = list(session.begin([Dial("zoom", 0.5)]))
    assert [done for done in passes if isinstance(done, Remade)] == [Remade(5, without_events=False)]
    block = made(passes)
    assert np.isfinite(block.latents).all()
    assert block.digest == plain.step([Dial("zoom", 0.5), Rebuild()]).digest
    assert session.step().digest == plain.step().digest


def test_a_cache_that_was_poisoned_is_thrown_away():
    world = tiny_world()
    session = started(world, 5)
    for buffer in (*session.banks.front.keys, *session.banks.front.values):
        buffer.fill_(torch.nan)
    passes = list(session.begin())
    assert [type(done) for done in passes].count(Remade) == 1 and any(isinstance(done, Recached) for done in passes)
    assert np.isfinite(made(passes).latents).all()
    assert not any(isinstance(done, Remade) for done in session.begin())


def test_words_under_which_nothing_finite_comes_out_are_given_up():
    world = tiny_world()
    spoil_words(world, "poison")
    session = started(world, 5)
    passes = list(session.begin([Prompt("poison"), Dial("zoom", 0.5)]))
    assert [done.without_events for done in passes if isinstance(done, Remade)] == [False, True]
    block = made(passes)
    assert np.isfinite(block.latents).all()
    assert (block.events, session.conditions.words) == ((Rebuild(),), "first words")
    assert session.step([Prompt("good words")]).digest


def test_a_scene_that_cannot_begin_leaves_the_old_one():
    world = tiny_world()
    spoil_words(world, "poison")
    session = started(world, 5)
    block = session.step([Scene("poison")])
    assert (block.start, block.parent, session.conditions.words) == (10, 4, "first words")


def test_a_recache_ahead_under_poison_spoils_nothing():
    world = tiny_world()
    spoil_words(world, "poison")
    session = started(world, 5)
    passes = session.begin()
    next(passes)
    session.ahead([Prompt("poison")])
    assert np.isfinite(made(list(passes)).latents).all()
    assert np.isfinite(session.step().latents).all() and session.conditions.words == "first words"


def test_a_healed_stream_is_folded_exactly_from_its_log():
    world = tiny_world()
    session = started(world, 0)
    log = [session.step() for _ in range(5)]
    spoil(world, {0})
    log += [session.step([Prompt("b")]), session.step()]
    folded = world.session(7, "first words")
    folded.fold(log)
    assert folded.step().digest == session.step().digest


def test_a_world_that_makes_nothing_finite_is_refused_in_one_line():
    world = tiny_world()
    spoil(world, range(1000))
    with pytest.raises(WorldError, match=r"block 0 under 'first words' comes out with numbers that are not finite"):
        world.session(7, "first words").step()


def test_a_session_that_gave_up_goes_on_when_its_numbers_are_finite_again():
    world = tiny_world()
    session = started(world, 5)
    spoil(world, range(2 * PASSES + PASSES + 1))
    with pytest.raises(WorldError):
        session.step([Prompt("b")])
    block = session.step()
    assert block.index == 5 and np.isfinite(block.latents).all()


def test_a_film_says_which_block_was_made_again(caplog):
    world = tiny_world()
    session = started(world, 3)
    spoil(world, {0})
    assert _next_block(session, []).index == 3
    assert "block 3 came out with numbers that are not finite: it is made again from older latents" in caplog.text
