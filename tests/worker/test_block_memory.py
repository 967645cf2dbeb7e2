"""What the window's process remembers of the blocks, to go on from."""

import numpy as np

from loop.link.message import BlockMade
from loop.supervise.block_memory import BlockMemory
from world.block import Block, Conditions

FRAMES = 3


def made(index, start=None, epoch=0):
    start = index * FRAMES if start is None else start
    block = Block(index, index - 1, start, np.zeros((1, FRAMES, 1, 1, 1), np.float32))
    return BlockMade(block, Conditions(f"words {index}", 7, {"zoom": index / 10}), epoch, 0)


def memory(*indices, reserve=1, memory_blocks=2):
    remembered = BlockMemory(reserve)
    for index in indices:
        remembered.add(made(index), memory_blocks)
    return remembered


def test_there_is_nothing_to_go_on_from_before_the_first_block():
    assert memory().snapshot(-1, 7, "words") is None and memory().conditions is None


def test_one_goes_on_after_the_newest_block_under_its_conditions():
    snapshot = memory(0, 1, 2).snapshot(2, 7, "words")
    assert (snapshot.index, snapshot.start) == (3, 3 * FRAMES)
    assert (snapshot.words, snapshot.seed, snapshot.dials) == ("words 2", 7, {"zoom": 0.2})
    assert [block.index for block in snapshot.blocks] == [0, 1, 2]


def test_the_number_of_a_block_that_was_seen_is_not_used_again():
    assert memory(0, 1, 2).snapshot(4, 7, "words").index == 5


def test_only_as_many_blocks_are_remembered_as_are_needed():
    snapshot = memory(*range(20), reserve=1, memory_blocks=2).snapshot(19, 7, "words")
    assert [block.index for block in snapshot.blocks] == list(range(15, 20))


def test_a_snapshot_begins_at_the_last_hard_cut():
    remembered = memory(0, 1)
    remembered.add(made(2, start=0), 2)
    remembered.add(made(3, start=FRAMES), 2)
    assert [block.index for block in remembered.snapshot(3, 7, "words").blocks] == [2, 3]


def test_dropped_blocks_are_forgotten_and_those_of_the_same_epoch_that_come_later_too():
    remembered = memory(0, 1, 2)
    remembered.drop_after(1)
    remembered.add(made(3, epoch=0), 2)
    assert remembered.epoch == 1 and remembered.conditions.words == "words 1"
    remembered.add(made(4, epoch=1), 2)
    assert remembered.conditions.words == "words 4"
    assert remembered.is_dropped(3, epoch=0) and not remembered.is_dropped(4, epoch=1)


def test_no_more_can_be_dropped_than_the_reserve_and_one_and_nothing_behind_a_hard_cut():
    assert memory(0, 1, 2, reserve=1).can_drop_after(0)
    assert not memory(0, 1, 2, 3, reserve=1).can_drop_after(0)
    assert not memory(0, 1).can_drop_after(7), "a block that nobody knows"
    remembered = memory(0)
    remembered.add(made(1, start=0), 2)
    assert not remembered.can_drop_after(0)
