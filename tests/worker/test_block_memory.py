"""What the window's process remembers of the blocks, to go on from."""

import numpy as np

from loop.link.kept import Kept
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
    remembered.drop_after(Kept(1))
    remembered.add(made(3, epoch=0), 2)
    assert remembered.epoch == 1 and remembered.conditions.words == "words 1"
    remembered.add(made(4, epoch=1), 2)
    assert remembered.conditions.words == "words 4"
    assert remembered.is_dropped(3, epoch=0) and not remembered.is_dropped(4, epoch=1)


def test_no_more_can_be_dropped_than_the_reserve_and_one_and_nothing_behind_a_hard_cut():
    assert memory(0, 1, 2, reserve=1).can_drop_after(Kept(0))
    assert not memory(0, 1, 2, 3, reserve=1).can_drop_after(Kept(0))
    assert not memory(0, 1).can_drop_after(Kept(7)), "a block that nobody knows"
    remembered = memory(0)
    remembered.add(made(1, start=0), 2)
    assert not remembered.can_drop_after(Kept(0))


def test_a_block_can_be_cut_from_a_latent_frame_of_the_scene_on_or_never():
    remembered = memory(0, 1, 2)
    assert [remembered.can_drop_after(Kept(2, latents), cut_from=8) for latents in (1, 2)] == [False, True]
    assert not remembered.can_drop_after(Kept(2, 2), cut_from=None)


def test_one_goes_on_where_the_newest_block_was_cut():
    remembered = memory(0, 1, 2)
    remembered.drop_after(Kept(2, 1))
    snapshot = remembered.snapshot(2, 7, "words")
    assert (snapshot.index, snapshot.start) == (3, 2 * FRAMES + 1)
    assert [block.latents.shape[1] for block, _ in snapshot.line()] == [3, 3, 1]
    assert remembered.is_dropped(2, epoch=0, latent=1) and not remembered.is_dropped(2, epoch=0)


def test_a_block_that_was_cut_stays_so_when_what_came_after_it_is_dropped():
    remembered = memory(0, 1)
    remembered.drop_after(Kept(1, 2))
    remembered.add(made(2, start=FRAMES + 2, epoch=1), 2)
    assert remembered.snapshot(2, 7, "words").start == 2 * FRAMES + 2
    remembered.drop_after(Kept(1))
    assert remembered.snapshot(2, 7, "words").start == FRAMES + 2


def test_where_blocks_were_cut_more_of_them_are_remembered():
    remembered = memory(*range(8))
    for index in range(8, 20):
        remembered.drop_after(Kept(index - 1, 1))
        remembered.add(made(index, start=8 * FRAMES - 2 + index - 8, epoch=index - 7), 2)
    frames = [block.latents.shape[1] for block, _ in remembered.snapshot(19, 7, "words").line()]
    assert frames == [1] * 12 + [3], "as many as five whole blocks have"
