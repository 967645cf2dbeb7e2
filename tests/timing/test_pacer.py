from itertools import pairwise

import pytest

from loop.link.kept import Kept
from loop.link.ring import FrameMark
from loop.timing.clock import TICK_NS, FixedStep
from loop.timing.pacer import Pacer, SustainableCost
from loop.timing.switch import Waiting

MS = 1_000_000


def frame(ordinal, block=0):
    return FrameMark(ordinal, number=ordinal, block=block, epoch=0, written_ns=0)


def show(pacer, until_ns, step_ns=TICK_NS, start_ns=0):
    """(time, frame number) of every new frame, and the times at which one was missing."""
    shown, starved = [], []
    for now in range(start_ns, until_ns, step_ns):
        tick = pacer.tick(now)
        if tick.frame:
            shown.append((now, tick.frame.number))
        if tick.starved:
            starved.append(now)
    return shown, starved


def test_the_first_frame_is_shown_as_soon_as_it_is_there():
    pacer = Pacer(fps=16)
    assert pacer.tick(5).frame is None
    pacer.add(frame(0))
    assert pacer.tick(9).frame.number == 0


def test_each_frame_is_shown_at_the_first_tick_at_or_after_its_due_time():
    pacer = Pacer(fps=24)
    for ordinal in range(48):
        pacer.add(frame(ordinal))
    shown, starved = show(pacer, 2_000 * MS)
    assert [number for _, number in shown] == list(range(48))
    assert all(0 <= now - number * 1e9 / 24 < TICK_NS + 48 for now, number in shown)
    assert not starved


@pytest.mark.parametrize("fps", [16, 24, 30])
def test_the_first_frame_of_a_block_waits_for_no_tick_after_its_own(fps):
    """Blocks of a second are a whole number of ticks, whatever the rate."""
    clock, pacer = FixedStep(start_ns=12_345), Pacer(fps)
    for ordinal in range(100 * fps):
        pacer.add(frame(ordinal))
    shown = []
    while len(shown) < 99 * fps:
        assert clock.advance(clock.next_ns + 400_000)  # the loop comes to it 0.4 ms late
        if pacer.tick(clock.tick_ns).frame:
            shown.append(clock.tick)
    assert [tick for place, tick in enumerate(shown) if place % fps == 0] == [60 * second for second in range(99)]


def test_waiting_for_a_frame_before_the_first_is_no_repeat():
    assert show(Pacer(fps=16), 500 * MS) == ([], [])


def test_a_missing_frame_is_reported_at_every_tick_until_it_comes():
    pacer = Pacer(fps=100)
    pacer.add(frame(0))
    shown, starved = show(pacer, 10 * TICK_NS)
    assert len(shown) == 1 and len(starved) == 9


def test_a_frame_that_came_too_late_keeps_the_time_at_which_it_was_missed():
    pacer = Pacer(fps=16)
    pacer.add(frame(0))
    pacer.tick(0)
    assert not pacer.ask_late()
    for now in range(TICK_NS, 12 * TICK_NS, TICK_NS):
        pacer.tick(now)
    pacer.add(frame(1)), pacer.add(frame(2))
    assert pacer.tick(12 * TICK_NS).due_ns == pacer.period_ns
    assert pacer.ask_late() and not pacer.ask_late()
    assert pacer.tick(20 * TICK_NS).due_ns == 12 * TICK_NS + pacer.period_ns  # it came with tick 12


def test_a_shown_frame_names_its_due_time_and_a_skipped_one_takes_it_along():
    pacer = Pacer(fps=16)
    for ordinal in range(8):
        pacer.add(frame(ordinal))
    assert pacer.tick(5).due_ns == 5
    assert pacer.tick(200 * MS).due_ns == 5 + 3 * pacer.period_ns


def test_what_was_lost_is_not_caught_up():
    pacer = Pacer(fps=16)
    pacer.add(frame(0))
    show(pacer, 500 * MS)
    for ordinal in range(1, 9):
        pacer.add(frame(ordinal))
    shown, _ = show(pacer, 1_100 * MS, start_ns=500 * MS)
    gaps = [b[0] - a[0] for a, b in pairwise(shown)]
    assert all(gap >= 3 * TICK_NS for gap in gaps)


def test_frames_that_fell_due_while_ticks_were_missed_are_skipped():
    pacer = Pacer(fps=16)
    for ordinal in range(8):
        pacer.add(frame(ordinal))
    pacer.tick(0)
    late = pacer.tick(200 * MS)
    assert (late.frame.number, late.skipped) == (3, 2)


def test_a_freeze_goes_on_exactly_where_it_stopped():
    pacer = Pacer(fps=16)
    for ordinal in range(8):
        pacer.add(frame(ordinal))
    pacer.tick(0)
    pacer.tick(30 * MS)
    assert all(pacer.tick(now * MS, is_frozen=True).frame is None for now in range(46, 5_023, 16))
    assert pacer.schedule(8, is_frozen=True).held
    frozen_ns = (5_022 - 30) * MS
    assert pacer.tick(pacer.period_ns + frozen_ns - 1).frame is None
    assert pacer.tick(pacer.period_ns + frozen_ns).frame.number == 1


def test_a_frame_that_was_missing_before_a_freeze_is_due_at_once_after_it():
    pacer = Pacer(fps=16)
    pacer.add(frame(0))
    pacer.tick(0)
    assert pacer.tick(100 * MS).starved
    assert not any(pacer.tick(now * MS, is_frozen=True).starved for now in range(116, 1_000, 16))
    assert pacer.tick(1_000 * MS).starved
    pacer.add(frame(1))
    assert pacer.tick(1_016 * MS).frame.number == 1


def test_a_slow_model_is_shown_in_even_slow_motion():
    pacer = Pacer(fps=16)
    pacer.set_cost(500 * MS, frames=4)  # real time would be 250
    assert pacer.rate == pytest.approx(0.49, abs=0.01)
    for ordinal in range(9):
        pacer.add(frame(ordinal))
    shown, starved = show(pacer, 1_100 * MS, step_ns=MS)
    gaps = {b[0] - a[0] for a, b in pairwise(shown)}
    assert max(gaps) - min(gaps) <= MS and not starved


def test_a_fast_model_is_shown_at_the_worlds_own_rate():
    pacer = Pacer(fps=16)
    pacer.set_cost(10 * MS, frames=4)
    assert pacer.rate == 1.0


def test_frames_of_dropped_blocks_are_not_shown_and_others_take_their_due_times():
    pacer = Pacer(fps=16)
    for ordinal in range(8):
        pacer.add(frame(ordinal, block=ordinal // 4))
    pacer.tick(0)
    before = pacer.schedule(8).due_ns
    assert pacer.drop_after(Kept(0)) == 0
    assert pacer.schedule(8).due_ns == before - 4 * pacer.period_ns
    pacer.add(frame(8, block=2))
    shown, _ = show(pacer, 600 * MS, start_ns=TICK_NS)
    assert [number for _, number in shown] == [1, 2, 3, 8]


def latent_frame(ordinal, latents=3, block_frames=12):
    """A frame of blocks with several latent frames."""
    block, place = divmod(ordinal, block_frames)
    return FrameMark(ordinal, ordinal, block, 0, 0, latent=place * latents // block_frames)


def test_the_rest_of_a_block_that_is_cut_is_not_shown_and_others_take_its_due_times():
    pacer = Pacer(fps=16)
    for ordinal in range(24):
        pacer.add(latent_frame(ordinal))
    pacer.tick(0)
    before = pacer.schedule(24).due_ns
    assert pacer.drop_after(Kept(0, 2)) == 4
    assert pacer.schedule(24).due_ns == before - 16 * pacer.period_ns
    assert pacer.next_block(12) == (1, 8 * pacer.period_ns, 7), "nothing of the block is to come"
    pacer.add(latent_frame(24))
    shown, _ = show(pacer, 700 * MS, start_ns=TICK_NS)
    assert [number for _, number in shown] == [*range(1, 8), 24]
    assert pacer.next_block(12)[0] == 3


def test_what_waits_is_known_by_latent_frame():
    pacer = Pacer(fps=16)
    for ordinal in range(2, 16):
        pacer.add(latent_frame(ordinal))
    pacer.tick(0)
    due = [place * pacer.period_ns for place in (2, 6, 10)]
    assert pacer.waiting(0) == [
        Waiting(0, 0, True, 0),
        Waiting(0, due[0], False, 1),
        Waiting(0, due[1], False, 2),
        Waiting(1, due[2], False, 0),
    ]
    assert pacer.after(Kept(0, 2)) == (due[1], 5) and pacer.after(Kept(0)) == (due[2], 9)


def test_what_waits_is_known_by_block_and_due_time():
    pacer = Pacer(fps=16)
    assert pacer.waiting(0) == []
    for ordinal in range(6):
        pacer.add(frame(ordinal, block=ordinal // 4))
    pacer.tick(0)
    assert pacer.waiting(9) == [Waiting(0, 9, True), Waiting(1, 4 * pacer.period_ns, False)]
    assert pacer.oldest.ordinal == 1


def test_one_slow_block_does_not_change_the_rate_to_plan_with():
    cost = SustainableCost()
    for _ in range(7):
        cost.note(100, 0)
    assert cost.note(1000, 0) == 100
    assert [cost.note(300, 0) for _ in range(8)][-1] == 300


def test_a_slow_block_that_came_too_late_is_believed_until_the_next():
    cost = SustainableCost()
    for _ in range(7):
        cost.note(100, 0)
    assert cost.note(400, 0, was_late=True) == 400
    assert cost.note(100, 0) == 100


def test_three_fast_blocks_end_what_was_slow_before_them():
    cost = SustainableCost()
    for _ in range(8):
        cost.note(400, 0)
    assert [cost.note(100, 0) for _ in range(3)] == [400, 400, 100]


def test_a_block_that_came_too_late_slows_the_picture_down_and_never_hurries_it():
    pacer = Pacer(fps=16)
    pacer.set_cost(400 * MS, frames=4)
    before = pacer.period_ns
    pacer.slow_down(300 * MS, frames=4)
    assert pacer.period_ns == before
    pacer.slow_down(500 * MS, frames=4)
    assert pacer.period_ns > before


def test_recaches_that_follow_closely_are_planned_for():
    cost = SustainableCost()
    assert [cost.note(500, recache) for recache in (0, 200, 0, 200)][-1] == 600
