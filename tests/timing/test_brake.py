"""The brake: in how many steps a block is made, so that it is made in time."""

from __future__ import annotations

from loop.timing.brake import RELEASE, BlockTimes, Brake

PLAY = 1000  # what a block plays


def braking(step: int, blocks: int = 4, rest: int = 100) -> Brake:
    """A brake of four steps that has seen blocks whose steps took so long."""
    brake = Brake(PLAY, 4)
    for _ in range(blocks):
        brake.note(BlockTimes(step, 50, rest))
    return brake


def test_a_model_that_is_fast_enough_makes_all_its_steps():
    assert braking(step=150).steps(None) == 4


def test_a_model_that_cannot_last_makes_fewer():
    assert braking(step=300).steps(None) == 2
    assert braking(step=5000).steps(None) == 1


def test_a_block_that_would_be_late_gets_fewer_steps_by_itself_alone():
    brake = braking(step=150)
    assert brake.steps(left_ns=400) == 2
    assert brake.steps(left_ns=-100) == 1
    assert brake.steps(left_ns=800) == 4


def test_nothing_is_braked_by_the_first_block_or_by_one_spike():
    assert braking(step=900, blocks=1).steps(None) == 4
    brake = braking(step=150)
    brake.note(BlockTimes(900, 50, 100))
    assert brake.steps(None) == 4


def test_steps_come_back_one_by_one_once_there_has_been_time_for_a_while():
    brake = braking(step=300)
    assert brake.steps(None) == 2
    chosen = []
    for _ in range(4 * RELEASE):
        brake.note(BlockTimes(100, 50, 100))
        chosen.append(brake.steps(None))
    assert chosen[RELEASE // 2] == 2 and chosen[-1] == 4 and chosen == sorted(chosen)


def test_it_never_takes_more_steps_than_are_asked_for():
    brake = braking(step=10)
    brake.asked = 2
    assert brake.steps(None) == 2
