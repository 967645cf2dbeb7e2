"""Dials that enter a block between its denoising steps: what they do, and that the log makes it again, bit for bit."""

from dataclasses import replace

import pytest

from tests.support.tiny import digests, tiny_world
from world.block import Denoised, Made
from world.diffusion.session import DiffusionSession
from world.dit.config import SamplerConfig
from world.event import Dial, Prompt, from_json, to_json

TURNED = Dial("zoom", 0.8)


def started(blocks: int = 4) -> DiffusionSession:
    """A stream of a world that makes a block in four steps, and lets dials in after the first and the second."""
    world = tiny_world()
    config = replace(world.config, sampler=SamplerConfig((1000, 750, 500, 250)))
    world = replace(world, config=config, info=replace(world.info, late_steps=2))
    session = world.session(7, "first words")
    for _ in range(blocks):
        session.step()
    return session


def turned(session: DiffusionSession, after: int, *events):
    """The next block, with the dial turned after so many of its steps."""
    for done in session.begin(events):
        if done == Denoised(after - 1):
            session.turn([TURNED])
        if isinstance(done, Made):
            block = done.block
    return block


def test_a_dial_may_enter_after_the_first_steps_only():
    session, may = started(), {}
    assert not session.takes_dials
    for done in session.begin([Prompt("other words")]):
        may[str(done).split("(block")[0]] = session.takes_dials
    assert may == {
        "Recached()": False,
        "Denoised(step=0)": True,
        "Denoised(step=1)": True,
        "Denoised(step=2)": False,
        "Denoised(step=3)": False,
        "Made": False,
        "Clean()": False,
    }


def test_no_dial_enters_a_block_of_a_world_that_does_not_say_so():
    session = tiny_world().session(7, "first words")
    assert not any(session.takes_dials for _ in session.begin())


def test_a_dial_between_steps_changes_the_block_and_otherwise_than_from_its_boundary():
    blocks = [turned(started(), after) for after in (1, 2)]
    others = [started().step(), started().step([TURNED])]
    assert len(set(digests([*blocks, *others]))) == 4


def test_the_block_says_after_which_step_the_dial_came_and_its_state_is_under_it():
    block = turned(started(), 2)
    assert block.events == (replace(TURNED, step=2),)
    assert block.dials["zoom"] == 0.8


@pytest.mark.parametrize("after", [1, 2])
def test_the_log_makes_the_block_and_all_after_it_again(after):
    session, live = started(0), []
    live += [session.step(), session.step(), turned(session, after, Dial("zoom", -0.3)), session.step()]
    live += [turned(session, after), session.step([Prompt("other words")]), session.step()]
    logged = [replace(b, events=tuple(from_json(to_json(event)) for event in b.events)) for b in live]
    again, folded = started(0), started(0)
    assert digests([again.again(block) for block in logged]) == digests(live)
    folded.fold(logged)
    assert folded.step().digest == session.step().digest


def test_a_block_that_is_rehearsed_has_its_dial_at_its_step():
    session, other = started(), started()
    block = turned(other, 1)
    assert session.rehearse(block).digest == block.digest
    assert session.step().digest == started().step().digest


def test_a_block_that_is_given_up_leaves_its_dial_to_the_boundary_of_the_next_try():
    session = started()
    passes = session.begin()
    next(passes)
    session.turn([TURNED])
    passes.close()
    assert session.step().digest == started().step([TURNED]).digest


def test_a_block_that_is_taken_back_leaves_its_dial_to_the_boundary_of_the_next_one():
    session = started()
    turned(session, 2)
    session.take_back(3)
    block = session.step()
    assert block.events == (TURNED,) and block.dials["zoom"] == 0.8


def test_a_dial_at_the_boundary_is_logged_without_a_step():
    assert to_json(TURNED) == {"type": "dial", "name": "zoom", "value": 0.8}
    assert to_json(replace(TURNED, step=2)) == {"type": "dial", "name": "zoom", "value": 0.8, "step": 2}


@pytest.mark.parametrize("step", [-1, 8, 1.5, "2", None])
def test_a_step_that_no_block_has_is_refused(step):
    with pytest.raises(ValueError, match="expected a number from 0 to 7"):
        from_json({"type": "dial", "name": "zoom", "value": 0.8, "step": step})
