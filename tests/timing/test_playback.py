"""How the costs that the model reports set the rate at which its frames are played."""

from dataclasses import replace

import numpy as np

from loop.link.cost import Cost
from loop.link.kept import Kept
from loop.link.message import BlockDone, BlockMade, Facts
from loop.link.ring import FrameMark
from loop.timing.pacer import MARGIN
from loop.timing.playback import Playback
from world.block import Block, Conditions

MS = 1_000_000
BLOCK = Block(0, -1, 0, np.zeros((1, 1, 1, 1, 1), np.float32))


def made(took_ms):
    return BlockMade(BLOCK, Conditions("", 0), 0, took_ms * MS)


def done(took_ms, recache_ms=0):
    cost = Cost(50 * MS, 50 * MS, 10 * MS)
    return BlockDone(Facts(0, 0, None, None), 0, (took_ms + recache_ms) * MS, recache_ms * MS, cost)


def test_the_first_block_is_played_no_faster_than_the_next_can_be_made():
    playback = Playback(fps=16, block_frames=4)
    playback.block_made(made(400), now_ns=0)
    assert playback.pacer.period_ns == round(500 * MS * MARGIN / 4)


def test_a_fast_model_is_played_at_the_worlds_rate():
    playback = Playback(fps=16, block_frames=4)
    playback.block_made(made(40), now_ns=0)
    playback.block_done(done(50))
    assert playback.pacer.rate == 1.0 and playback.block_ms == 50


def test_what_recaches_took_is_planned_for_in_the_mean():
    playback = Playback(fps=16, block_frames=4)
    playback.block_done(done(300))
    playback.block_done(done(300, recache_ms=100))
    assert playback.block_ms == 350


def test_no_block_is_cut_by_a_guess_of_what_a_recache_costs():
    playback = Playback(fps=16, block_frames=4)
    assert not playback.can_cut(no_recache=True)
    guessed = done(60)
    playback.block_done(replace(guessed, worst=replace(guessed.worst, knows_recache=False)))
    assert playback.can_cut(no_recache=True) and not playback.can_cut(no_recache=False)
    playback.block_done(done(60))
    assert playback.can_cut(no_recache=False)


def test_nothing_is_taken_back_before_costs_are_known():
    playback = Playback(fps=16, block_frames=4)
    for ordinal in range(12):
        playback.pacer.add(FrameMark(ordinal, ordinal, ordinal // 4, 0, 0))
    playback.pacer.tick(0)
    assert playback.ready_ns(0, is_switching=False) is None
    playback.block_done(done(60))
    assert playback.newest_to_keep(0, playback.ready_ns(0, is_switching=False)) == Kept(0)
