"""Frames on two screens at the same time: the clock of the other machine, due times, ticks and the delay."""

from __future__ import annotations

import random

import numpy as np
import pytest

from loop.link.ring import FrameMark
from loop.peer.alignment import PHASE_SLEW_NS, SETTLING, Alignment, phase_step
from loop.peer.blocks import from_latents, to_latents
from loop.timing.clock import TICK_NS
from loop.timing.pacer import SLEW_NS, Pacer
from net.allowance import Allowance
from net.clock import HostClock
from net.schema import NetError
from world.block import Block, Conditions
from world.event import Blend, Dial, Prompt
from world.prompt_mix import PromptMix

MS = 1_000_000
PERIOD = 62_500_000


def pacer_with(*numbers):
    """A pacer whose frame 0 was shown at time 0, with these in the queue."""
    pacer = Pacer(16.0)
    for ordinal, number in enumerate((0, *numbers)):
        pacer.add(FrameMark(ordinal, number, number // 4, 0, 0))
    assert pacer.tick(0).frame.number == 0
    return pacer


def next_due(pacer):
    return pacer.schedule(0).due_ns - len(pacer._queue) * pacer.period_ns


def test_a_small_difference_is_slewed():
    pacer = pacer_with(1, 2)
    pacer.follow(1, PERIOD + 20 * MS, PERIOD)
    assert next_due(pacer) == PERIOD + SLEW_NS


def test_a_large_difference_is_made_up_at_once():
    pacer = pacer_with(1, 2)
    pacer.follow(1, PERIOD + 500 * MS, PERIOD)
    assert next_due(pacer) == PERIOD + 500 * MS


def test_a_frame_further_back_in_the_queue_says_when_the_first_is_due():
    pacer = pacer_with(1, 2, 3)
    pacer.follow(3, 3 * PERIOD + 7 * MS, PERIOD, at_once=True)
    assert next_due(pacer) == PERIOD + 7 * MS


def test_a_frame_that_was_shown_already_says_when_the_next_is_due():
    pacer = pacer_with(1, 2)
    pacer.follow(0, -9 * MS, PERIOD, at_once=True)
    assert next_due(pacer) == PERIOD - 9 * MS


def test_numbers_with_a_gap_are_counted_as_neighbours():
    pacer = pacer_with(1, 40, 41)
    pacer.follow(40, 2 * PERIOD + 5 * MS, PERIOD, at_once=True)
    assert next_due(pacer) == PERIOD + 5 * MS


def test_a_frame_that_is_not_known_here_changes_nothing():
    pacer = pacer_with(1, 2)
    pacer.follow(99, 5, PERIOD, at_once=True)
    assert next_due(pacer) == PERIOD


def settled():
    alignment = Alignment()
    for frame in range(SETTLING):
        alignment.came(frame, 0)
        alignment.note_due(frame, 0)
    return alignment


def test_the_first_frames_say_nothing_of_the_delay():
    alignment = Alignment()
    alignment.came(1, 900 * MS)
    alignment.note_due(1, 0)
    assert alignment.delay_ns == 0 and alignment.is_new


def test_the_delay_covers_the_latest_frame_and_shrinks_when_all_come_early():
    alignment = settled()
    alignment.came(100, 40 * MS)
    alignment.note_due(100, 0)
    assert alignment.delay_ns == 40 * MS + TICK_NS
    for frame in range(101, 600):
        alignment.came(frame, -50 * MS)
        alignment.note_due(frame, 0)
    assert alignment.delay_ns < 2 * MS


def test_frames_that_come_early_need_no_delay():
    alignment = settled()
    alignment.came(100, -40 * MS)
    alignment.note_due(100, 0)
    assert alignment.delay_ns == 0


@pytest.mark.parametrize("target_ns", [0, 3 * MS, -3 * MS, 1234 * TICK_NS + 3 * MS])
def test_ticks_come_to_fall_together(target_ns):
    tick_ns = 0
    for _ in range(200):
        step_ns = phase_step(tick_ns, target_ns)
        assert abs(step_ns) <= PHASE_SLEW_NS
        tick_ns += TICK_NS + step_ns
    error_ns = (target_ns - tick_ns) % TICK_NS
    assert min(error_ns, TICK_NS - error_ns) == 0


def test_the_answer_with_the_shortest_round_trip_counts():
    clock, chance = HostClock(), random.Random(1)
    for n in range(100):
        out_ns, back_ns = (10 * MS + round(chance.expovariate(1 / (30 * MS))) for _ in range(2))
        asked_ns = n * 100 * MS
        clock.note(asked_ns, asked_ns + out_ns + 5_000 * MS, asked_ns + out_ns + back_ns)
    assert abs(clock.to_local(5_000 * MS)) < 5 * MS


def test_a_clock_that_runs_faster_is_followed_slowly():
    clock = HostClock()
    clock.note(0, 0, 0)
    clock.note(100 * MS, 150 * MS, 100 * MS)
    assert clock.to_local(0) in (0, -2 * MS)


def test_an_allowance_fills_with_time():
    allowance = Allowance(2.0, 3, 0)
    assert [allowance.take(0) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(500 * MS)
    assert not allowance.take(600 * MS)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("words", ["blue rain", PromptMix((("a", 0.25), ("b", 0.75)))])
def test_a_block_comes_back_bit_for_bit(dtype, words):
    latents = np.random.default_rng(1).standard_normal((1, 3, 4, 5, 6)).astype(dtype)
    events = (Prompt("blue rain"), Dial("zoom", 0.5), Blend(PromptMix((("a", 0.5), ("b", 0.5)))))
    block = Block(9, 7, 21, latents, events, 8, 9, {"zoom": 0.5})
    conditions = Conditions(words, 5, {"zoom": 0.5})
    made = from_latents(*to_latents(block, conditions), epoch=2)
    assert made.block.digest == block.digest and made.block.latents.dtype == latents.dtype
    assert (made.block.events, made.block.parent, made.conditions, made.epoch) == (events, 7, conditions, 2)


def test_latents_with_another_digest_are_refused():
    block = Block(9, 8, 27, np.zeros((1, 3, 1, 1, 1), np.float32))
    message, payload = to_latents(block, Conditions("x", 1))
    with pytest.raises(NetError, match="block 9 came with other latents"):
        from_latents(message, payload[:-1] + b"\x01", 0)
