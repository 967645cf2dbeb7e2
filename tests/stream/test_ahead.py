"""Switching ahead: the back bank is brought under new words while the front one goes on under the old ones."""

import pytest
import torch

from tests.stream.law import LiteralLaw
from tests.support.tiny import tiny_world
from world.block import Clean, Denoised, Made, Recached
from world.dit.config import CacheConfig
from world.event import Dial, Prompt, Rebuild, Rewind, Scene

STEPS = 2
LATER = [0, 1, 2, 3, 6]  # blocks in flight: the first, inside the first window, at its edge, beyond it


def started(blocks: int = 0, world=None):
    session = (world or tiny_world()).session(7, "first words")
    for _ in range(blocks):
        session.step()
    return session


def in_flight(session, events=(), kind: type = Denoised):
    """A block of `session` made up to its first pass of that kind."""
    passes = session.begin(events)
    next(done for done in passes if isinstance(done, kind))
    return passes


def made(passes):
    """The block of `passes`, which are made to their end."""
    return next(done.block for done in list(passes) if isinstance(done, Made))


@pytest.mark.parametrize("blocks", LATER)
def test_a_block_in_flight_is_finished_under_the_old_words(blocks):
    session, plain = started(blocks), started(blocks)
    passes = in_flight(session)
    session.ahead([Prompt("other words")])
    block = made(passes)
    assert block.digest == plain.step().digest and block.cut is None


@pytest.mark.parametrize("blocks", LATER)
def test_the_block_in_flight_is_the_cut_and_the_next_one_is_seen(blocks):
    session = started(blocks)
    passes = in_flight(session)
    session.ahead([Prompt("other words"), Dial("zoom", 0.4)])
    made(passes)
    block = session.step([Dial("energy", 1.0)])
    assert (block.index, block.cut, block.seen) == (blocks + 1, blocks, blocks + 1)
    assert block.events == (Prompt("other words"), Dial("zoom", 0.4), Dial("energy", 1.0))
    assert block.dials == {"zoom": 0.4, "energy": 1.0}


@pytest.mark.parametrize("keep_sink", [True, False])
@pytest.mark.parametrize("blocks", LATER)
def test_overlap_equals_the_law_said_slowly(blocks, keep_sink):
    world = tiny_world(CacheConfig(6, 2, 2, keep_sink=keep_sink))
    session = started(blocks, world)
    passes = in_flight(session, [Dial("zoom", -0.6)])
    session.ahead([Prompt("other words")])
    made(passes)
    ours = [session.step([Dial("zoom", 0.6)]), session.step()]
    dials: list[dict] = [{}] * blocks + [{"zoom": -0.6}] + [{"zoom": 0.6}] * 2
    film = LiteralLaw(world, 7, dials, {0: (0, "first words"), blocks + 1: (blocks, "other words")}).run()
    for block, latents in zip(ours, film[-2:], strict=True):
        assert torch.equal(torch.from_numpy(block.latents).float(), latents)


@pytest.mark.parametrize("keep_sink", [True, False])
@pytest.mark.parametrize("then", [None, 1, 3])
@pytest.mark.parametrize("blocks", LATER)
def test_a_switch_beside_a_block_is_folded_exactly(blocks, then, keep_sink):
    """`then`: so many blocks later comes a switch in line, which keeps the sink that the first one left."""
    world = tiny_world(CacheConfig(6, 2, 2, keep_sink=keep_sink))
    session, twin, folded = started(blocks, world), started(0, world), started(0, world)
    log = [twin.step() for _ in range(blocks)]
    passes = in_flight(session)
    session.ahead([Prompt("other words")])
    log += [made(passes), session.step()]
    for number in range(1, (then or 0) + 1):
        log.append(session.step([Prompt("last words")] if number == then else []))
    folded.fold(log)
    assert [folded.step().digest for _ in range(2)] == [session.step().digest for _ in range(2)]


@pytest.mark.parametrize("blocks", [1, 3, 6])
def test_without_a_block_in_flight_it_equals_a_switch_in_line(blocks):
    early, plain = started(blocks), started(blocks)
    early.ahead([Prompt("other words")])
    passes = list(early.begin())
    block = next(done.block for done in passes if isinstance(done, Made))
    assert not any(isinstance(done, Recached) for done in passes)
    assert (block.cut, block.seen) == (blocks, blocks)
    assert block.digest == plain.step([Prompt("other words")]).digest


def test_after_made_the_clean_pass_is_spared():
    world = tiny_world()
    session, plain = started(4, world), started(4)
    passes = in_flight(session, kind=Made)
    plain.step()
    session.ahead([Prompt("other words")])
    before = world.dit.passes
    assert [type(done) for done in passes] == [Clean] and world.dit.passes == before
    block = session.step()
    assert (block.cut, block.seen) == (5, 5)
    assert block.digest == plain.step([Prompt("other words")]).digest


def test_the_clean_pass_of_the_block_in_flight_is_made_once():
    world = tiny_world()
    session = started(4, world)
    before = world.dit.passes
    passes = in_flight(session)
    session.ahead([Prompt("other words")])
    made(passes), session.step()
    assert world.dit.passes - before == STEPS + 1 + 1 + STEPS + 1  # two blocks and one rebuild


def test_the_last_words_win_and_all_events_are_logged_in_order():
    session, plain = started(4), started(4)
    for s in (session, plain):
        passes = in_flight(s)
        if s is session:
            s.ahead([Prompt("a"), Dial("zoom", 1.0)])
            s.ahead([Dial("zoom", 0.3)])
        s.ahead([Prompt("b"), Dial("zoom", 0.5)])
        made(passes)
    block = session.step()
    assert block.events == (Prompt("a"), Dial("zoom", 1.0), Dial("zoom", 0.3), Prompt("b"), Dial("zoom", 0.5))
    assert block.digest == plain.step().digest


@pytest.mark.parametrize("kind", [Denoised, Made, Clean])
def test_words_that_return_to_those_in_force_leave_no_trace(kind):
    world = tiny_world()
    session, plain = started(4, world), started(5)
    passes = in_flight(session, kind=kind)
    session.ahead([Prompt("away")])
    before = world.dit.passes
    session.ahead([Prompt("first words")])
    assert world.dit.passes == before
    list(passes)
    block = session.step()
    assert block.cut is None and block.digest == plain.step().digest


def test_words_that_return_after_the_block_in_flight_leave_no_trace():
    session, plain = started(4), started(5)
    passes = in_flight(session)
    session.ahead([Prompt("away")])
    made(passes)
    assert session.step([Prompt("first words")]).digest == plain.step().digest


@pytest.mark.parametrize("events", [[Prompt("first words")], [Dial("zoom", 0.5)], [Scene("elsewhere")], []])
def test_what_needs_no_recache_makes_none(events):
    world = tiny_world()
    session, plain = started(4, world), started(5)
    passes = in_flight(session)
    before = world.dit.passes
    session.ahead(events)
    assert world.dit.passes == before
    list(passes)
    assert session.step().digest == plain.step(events).digest


def test_a_hard_cut_drops_what_was_rebuilt():
    session, plain = started(4), started(5)
    passes = in_flight(session)
    session.ahead([Prompt("other words")])
    made(passes)
    scene = Scene("elsewhere", seed=3)
    block = session.step([scene])
    assert (block.start, block.cut) == (0, 5)
    assert block.digest == plain.step([scene]).digest


def test_a_rebuild_ahead_renews_the_sink():
    world = tiny_world()
    kept, renewed, again = (started(6, world) for _ in range(3))
    for session, events in ((kept, []), (renewed, [Rebuild()]), (again, [Rebuild()])):
        passes = in_flight(session)
        session.ahead([Prompt("other words"), *events])
        made(passes)
    digests = [session.step().digest for session in (kept, renewed, again)]
    assert digests[0] != digests[1] == digests[2]


def test_new_words_at_the_boundary_overrule_those_ahead():
    session, plain = started(4), started(5)
    passes = in_flight(session)
    session.ahead([Prompt("other words")])
    made(passes)
    done = list(session.begin([Prompt("newest words")]))
    block = next(p.block for p in done if isinstance(p, Made))
    assert isinstance(done[0], Recached) and (block.cut, block.seen) == (5, 5)
    assert block.digest == plain.step([Prompt("newest words")]).digest


@pytest.mark.parametrize("event", [Dial("zoom", 0.5), Prompt("b"), Rebuild()])
@pytest.mark.parametrize("blocks", [0, 2, 6])
def test_a_block_left_in_flight_is_made_under_the_words_ahead(blocks, event):
    session, plain = started(blocks), started(blocks)
    passes = in_flight(session, [event])
    session.ahead([Prompt("other words")])
    passes.close()
    block = session.step()
    assert (block.index, block.cut) == (blocks, blocks)
    assert block.events == (event, Prompt("other words"))
    assert block.digest == plain.step(block.events).digest


def test_a_clean_pass_left_out_is_made_up_for_under_the_words_ahead():
    session, plain = started(4), started(4)
    for s in (session, plain):
        passes = in_flight(s)
        s.ahead([Prompt("other words")])
        if s is session:
            next(done for done in passes if isinstance(done, Made))
            passes.close()
        else:
            list(passes)
    assert session.step().digest == plain.step().digest


def test_the_stand_is_that_of_the_next_block():
    session = started(2)
    assert (session.conditions.words, session.conditions.seed, session.conditions.dials) == ("first words", 7, {})
    passes = in_flight(session, [Dial("zoom", 0.5)])
    session.ahead([Prompt("other words")])
    assert (session.conditions.words, session.conditions.dials) == ("other words", {"zoom": 0.5})
    made(passes)
    assert session.conditions.words == "other words"
    session.ahead([Scene("elsewhere", seed=5)])
    assert (session.conditions.words, session.conditions.seed) == ("elsewhere", 5)


def test_a_rewind_ahead_is_refused_and_changes_nothing():
    session, plain = started(2), started(2)
    with pytest.raises(ValueError, match="rewind to block 1"):
        session.ahead([Prompt("other words"), Rewind(1)])
    assert session.step().digest == plain.step().digest


def test_a_block_that_is_rehearsed_meanwhile_changes_nothing():
    session, plain, block = started(4), started(4), started(4).step()
    for s in (session, plain):
        s.ahead([Prompt("other words")])
    assert session.rehearse(block).digest == block.digest
    assert session.step().digest == plain.step().digest
