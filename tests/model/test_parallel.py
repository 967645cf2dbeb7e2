"""A stream that two processes make together equals that of one, whatever happens to it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.support.tiny import SIZES, tiny_world
from world.block import Denoised, Made, Snapshot
from world.diffusion.lockstep import lead
from world.dit.config import DiffusionConfig
from world.dit.parallel import Ranks, new_meeting, shared_config
from world.event import Dial, Prompt, Rebuild, Scene
from world.info import WorldError

TOLERANCE = 1e-4  # of the largest latent, in float32: fewer rows at a time are summed in another order


@pytest.fixture(scope="module")
def leading():
    """The tiny world shared with a second process."""
    meeting = new_meeting(2)
    other = subprocess.Popen([sys.executable, "-m", "tests.support.shared_stream", str(meeting.port)])
    ranks = Ranks(meeting, 0, 2, torch.device("cpu"))
    yield lead(tiny_world(stored="float32"), ranks)
    other.kill()
    other.wait()
    torch.distributed.destroy_process_group()


@pytest.fixture
def both(leading):
    """The same stream twice: made by two processes, and by one."""
    return [world.session(seed=3, prompt="a fox") for world in (leading, tiny_world(stored="float32"))]


def differences(both, act) -> list[str]:
    """Do the same to both streams; what differs in the blocks that come of it."""
    ours, theirs = ([block for block in act(session) or ()] for session in both)
    found = [] if len(ours) == len(theirs) else [f"{len(ours)} blocks and {len(theirs)}"]
    for mine, other in zip(ours, theirs, strict=False):
        facts, others = ((b.index, b.parent, b.start, b.cut, b.seen) for b in (mine, other))
        if facts != others:
            found.append(f"{facts} and {others}")
        if not np.abs(mine.latents - other.latents).max() < TOLERANCE * np.abs(other.latents).max():
            found.append(f"the latents of block {mine.index}")
    return found


def steps(count, *events):
    """Make `count` blocks, the first of them under `events`."""
    return lambda session: [session.step(events if number == 0 else ()) for number in range(count)]


def test_blocks_are_the_same_past_the_window(both):
    assert differences(both, steps(6)) == []


def test_a_prompt_switch_a_dial_and_a_rebuilt_sink_are_the_same(both):
    assert differences(both, steps(4)) == []
    assert differences(both, steps(2, Prompt("red rain"))) == []
    assert differences(both, steps(2, Dial("zoom", 1.0), Prompt("a fox:0.5 | blue hills"))) == []
    assert differences(both, steps(2, Rebuild())) == []


def test_a_hard_cut_is_the_same(both):
    assert differences(both, steps(3)) == []
    assert differences(both, steps(4, Scene("the sea", seed=9))) == []


def test_blocks_that_are_taken_back_are_made_anew_alike(both):
    def take_back(session):
        session.take_back(2)

    assert differences(both, steps(5)) == []
    assert differences(both, take_back) == []
    assert differences(both, steps(3, Prompt("red rain"))) == []


def test_a_block_that_cannot_be_gone_back_to_is_refused_and_the_stream_goes_on(both):
    assert differences(both, steps(14)) == []
    for session in both:
        with pytest.raises(ValueError):
            session.take_back(1)
    assert differences(both, steps(2)) == []


def test_a_recache_ahead_beside_the_block_in_flight_is_the_same(both):
    def switch_ahead(session):
        for done in session.begin():
            if done == Denoised(0):
                session.prepare(Prompt("red rain"))
                session.ahead([Prompt("red rain")])
            if isinstance(done, Made):
                yield done.block

    assert differences(both, steps(4)) == []
    assert differences(both, switch_ahead) == []
    assert differences(both, steps(2)) == []


def test_a_dial_between_denoising_steps_is_the_same(both):
    def turn(session):
        for done in session.begin():
            if done == Denoised(0):
                session.turn([Dial("zoom", 1.0)])
            if isinstance(done, Made):
                yield done.block

    assert differences(both, steps(2)) == []
    assert differences(both, turn) == []
    assert differences(both, steps(2)) == []


def test_a_block_that_is_abandoned_leaves_its_events_to_the_next_one_alike(both):
    def abandon(session):
        passes = session.begin([Prompt("red rain")])
        next(passes), next(passes)
        passes.close()

    assert differences(both, steps(4)) == []
    assert differences(both, abandon) == []
    assert differences(both, steps(2)) == []


def test_a_stream_that_goes_on_from_a_snapshot_is_the_same(both):
    blocks = tuple(tiny_world(stored="float32").session(5, "a fox").step() for _ in range(1))
    snapshot = Snapshot(5, 1, 2, "red rain", {}, blocks)

    def resume(session):
        session.resume(snapshot)

    assert differences(both, resume) == []
    assert differences(both, steps(3)) == []


def test_a_stream_is_folded_from_its_log_and_a_block_made_again_alike(both):
    alone = tiny_world(stored="float32").session(seed=3, prompt="a fox")
    line = [alone.step([Prompt(words)]) for words in ("a fox", "a fox", "a fox", "a fox", "red rain")]

    def again(session):
        session.fold(line[:4])
        return [session.again(line[4]), session.step()]

    assert differences(both, again) == []


def test_words_that_were_encoded_in_another_thread_are_ready_for_every_rank(both):
    def switch(session):
        encoded = session.encode(Prompt("red rain"))
        session.prepare(Prompt("red rain"), encoded)
        return [session.step([Prompt("red rain")])]

    assert differences(both, steps(4)) == []
    assert differences(both, switch) == []


def test_each_rank_caches_its_share_of_the_heads(leading):
    assert (leading.config.dit.num_heads, leading.config.dit.head_dim) == (SIZES.num_heads // 2, SIZES.head_dim)


def test_a_number_of_processes_that_does_not_divide_the_work_is_refused_in_one_line():
    with pytest.raises(WorldError, match="5 processes cannot share 12 heads and 1560 tokens a frame evenly: possible"):
        shared_config(DiffusionConfig(), 5)
