"""What a family's memory may be beside the plain one: what each does, and that its state follows from the log."""

import pytest
import torch

from tests.support.tiny import digests, tiny_world
from world.block import Clean, Denoised, Made
from world.dit.config import CacheConfig, SamplerConfig
from world.event import Prompt, Rebuild

AVERAGED = CacheConfig(6, 2, 2, sink_average=0.5)


def started(cache: CacheConfig, blocks: int = 0):
    session = tiny_world(cache).session(7, "first words")
    log = [session.step() for _ in range(blocks)]
    return session, log


def goes_on_from(session, log) -> bool:
    """Whether a session that is folded from the log makes the same next blocks."""
    folded = session._model.session(7, "first words")
    folded.fold(log)
    return digests([folded.step(), folded.step([Prompt("z")])]) == digests(
        [session.step(), session.step([Prompt("z")])]
    )


def sink(session) -> torch.Tensor:
    return session.banks.front.logical(1)[1][:, : session.banks.front.config.sink]


# an averaged sink


def test_what_leaves_the_window_changes_the_sink_before_the_next_block_sees_it():
    session, _ = started(AVERAGED, 3)
    before, leaving = (session.banks.front.logical(1)[1][:, part] for part in (slice(0, 2), slice(2, 4)))
    next(session.begin())
    assert torch.allclose(sink(session), (before + leaving) / 2, atol=1e-6)


def test_a_sink_changes_once_a_block_however_often_the_block_is_begun():
    session, log = started(AVERAGED, 4)
    for _ in range(3):
        next(session.begin())
        session.state.abandon()
    log.append(session.step())
    assert goes_on_from(session, log)


def test_a_recache_beside_a_block_takes_the_sink_of_before_that_block():
    session, log = started(AVERAGED, 5)
    passes = session.begin()
    next(passes)
    session.ahead([Prompt("b")])
    log += [done.block for done in passes if isinstance(done, Made)]
    log += [session.step()]
    assert log[-1].cut == 5 and log[-1].seen == 6
    assert goes_on_from(session, log)


def test_a_recache_after_an_abandoned_block_takes_the_sink_of_before_that_block():
    session, log = started(AVERAGED, 5)
    next(session.begin())
    log += [session.step([Prompt("b")])]
    assert log[-1].cut == 5 and goes_on_from(session, log)


def test_an_average_that_was_lost_with_a_block_begins_anew_in_the_open():
    session, log = started(AVERAGED, 6)
    session.take_back(4)
    block = session.step()
    assert block.events == (Rebuild(),) and block.cut == 6
    assert goes_on_from(session, [*log[:5], block])


# no clean pass


def test_without_a_clean_pass_a_block_stays_as_its_last_step_wrote_it():
    session, _ = started(CacheConfig(6, 2, 2, clean_pass=False), 2)
    passes = session.begin()
    assert isinstance(next(passes), Denoised) and isinstance(next(passes), Denoised)
    noisy = session.banks.front.logical(1)[1]
    before = session._model.dit.passes
    assert [type(done) for done in passes] == [Made, Clean]
    assert session._model.dit.passes == before and torch.equal(session.banks.front.logical(1)[1], noisy)


def test_without_a_clean_pass_a_fold_makes_each_block_of_the_log_again():
    session, log = started(CacheConfig(6, 2, 2, clean_pass=False), 7)
    assert goes_on_from(session, log)


# a flush


def test_new_words_flush_all_but_the_sink_and_the_newest_frames_and_nothing_is_encoded():
    session, log = started(CacheConfig(6, 1, 2, flush=True), 5)
    held = session.banks.front.logical(1)[1]
    before = session._model.dit.passes
    passes = session.begin([Prompt("b")])
    next(passes)
    bank = session.banks.front
    assert session._model.dit.passes == before + 1 and bank.slots.filled == 1 + 2 + 2
    assert torch.equal(bank.logical(1)[1][:, :3], torch.cat([held[:, :1], held[:, 4:6]], 1))
    log += [done.block for done in passes if isinstance(done, Made)]
    assert (log[-1].cut, log[-1].seen) == (5, 5) and goes_on_from(session, log)


def test_where_words_flush_a_block_taken_back_is_followed_by_a_rebuild():
    session, log = started(CacheConfig(6, 1, 2, flush=True), 5)
    session.take_back(3)
    block = session.step([Prompt("b")])
    assert Rebuild() in block.events and goes_on_from(session, [*log[:4], block])


# positions


def test_clamped_positions_hold_the_sink_at_the_span_and_no_further():
    session, _ = started(CacheConfig(6, 2, 2, span=9))
    distances = []
    for _ in range(7):
        session.step()
        placement = session.banks.front.slots.place(session.state.end - 2, 2)
        distances.append(placement.positions[-1] - placement.sink[0])
    assert distances == [1, 3, 5, 7, 8, 8, 8]


# steps


def test_the_first_block_of_a_scene_may_have_steps_of_its_own():
    world = tiny_world()
    sampler = SamplerConfig((1000, 500), first_steps=(1000, 750, 500))
    object.__setattr__(world.config, "sampler", sampler)
    session = world.session(7, "first words")
    counts = [sum(isinstance(done, Denoised) for done in session.begin()) for _ in range(2)]
    assert counts == [3, 2]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sink_average": 0.9, "sink": 3}, "sink_average needs a sink as long as a block"),
        ({"sink_average": 1.5}, "sink_average 1.5: need at least 0 and less than 1"),
        ({"averages": (0.5, 0.9)}, "averages 0.5,0.9: need a long and a short one"),
        ({"averages": (0.9,)}, "averages 0.9: need a long and a short one"),
        ({"averages": (0.9, 0.5), "sink_average": 0.9}, "choose one"),
        ({"averages": (0.9, 0.5), "sink": 0}, "a sink that a switch keeps"),
        ({"averages": (0.9, 0.5), "span": 7}, "span 7: need at least the window of 8"),
        ({"span": 4}, "span 4: need at least the window of 6"),
        ({"span": 9, "positions": "absolute"}, "and relative positions"),
        ({"flush": True, "sink": 3}, "flush with a window of 6: need at least sink 3"),
    ],
)
def test_a_memory_that_cannot_work_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        CacheConfig(**({"window": 6, "sink": 2, "block": 2} | given))
