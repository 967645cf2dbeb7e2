import pytest

from loop.measure.trace.punctuality import on_time_share, period_changes_ms, unevenness_ms
from loop.measure.trace.recording import MS
from tests.support.traces import TICK, flips, recorded

PERIOD = 50.0  # ms: what the traces written by hand say of their world


def due(lines, ms_of):
    """The same flips with the due time of the frame each of them shows; the schedule was looked at from tick 0 on."""
    return [{**line, "due_ns": round(ms_of(line["frame"]) * MS)} for line in lines]


def even(frame):
    return frame * PERIOD


def test_a_frame_at_the_first_tick_after_its_due_time_is_on_time():
    lines = due(flips(120, lambda tick: int((tick * TICK - 9) // PERIOD) + 1), lambda frame: even(frame) - PERIOD + 9)
    assert on_time_share(recorded(*lines)) == 1.0


def test_a_frame_that_was_missed_keeps_its_due_time_and_is_late():
    lines = due(flips(120, lambda tick: tick // 3 - (tick in (60, 61))), even)
    assert on_time_share(recorded(*lines)) == pytest.approx(38 / 39)


def test_a_late_look_at_the_schedule_is_judged_by_the_ticks_own_time():
    lines = [{**line, "t_ns": line["t_ns"] + 5 * MS} for line in due(flips(120), even)]
    told = recorded(*lines)
    told.header["tick_zero_ns"] = 0
    assert on_time_share(told) == 1.0


def test_what_a_freeze_or_a_blackout_hides_is_not_judged():
    def dark(tick):
        return "blackout" if 30 <= tick < 60 else None

    lines = due(flips(120, lambda tick: tick // 3 - (30 <= tick < 60), held=dark), even)
    assert on_time_share(recorded(*lines)) == 1.0


def test_due_times_a_period_apart_are_even_also_past_a_skipped_frame():
    assert max(unevenness_ms(recorded(*due(flips(120), even)))) < 1e-3
    jump = flips(120, lambda tick: tick // 3 + (tick >= 60))
    assert max(unevenness_ms(recorded(*due(jump, even)))) < 1e-3


def test_what_was_cut_of_a_block_takes_no_time():
    lines = due(flips(120, lambda tick: tick // 3 + 2 * (tick >= 18)), lambda frame: even(frame - 2 * (frame >= 8)))
    cut = {"kind": "cut", "block": 1, "latents": 1, "dropped": 2, "t_ns": 0}
    assert max(unevenness_ms(recorded(*lines))) == pytest.approx(2 * PERIOD)
    assert max(unevenness_ms(recorded(*lines, cut))) < 1e-3


def test_a_schedule_that_waited_is_uneven_by_what_it_waited():
    lines = due(flips(120), lambda frame: even(frame) + 70 * (frame >= 20))
    found = sorted(unevenness_ms(recorded(*lines)))
    assert found[-1] == pytest.approx(70) and found[-2] < 1e-3


def test_a_freeze_is_no_unevenness():
    def frozen(tick):
        return "freeze" if 30 < tick < 60 else None

    still = flips(120, lambda tick: tick // 3 if tick < 30 else max(10, tick // 3 - 10), held=frozen)
    assert max(unevenness_ms(recorded(*due(still, lambda frame: even(frame) + 500 * (frame > 10))))) < 1e-3


def test_a_change_of_rate_is_a_change_of_period():
    lines = due(flips(120, rate=lambda tick: 0.5 if tick >= 60 else 1.0), even)
    assert sorted(period_changes_ms(recorded(*lines)))[-2:] == [0.0, pytest.approx(PERIOD)]


# -- traces that do not name due times --


def test_slow_motion_is_on_time_and_stutter_is_not():
    slow = recorded(*flips(120, lambda tick: tick // 6, rate=lambda tick: 0.5))
    stutter = recorded(*flips(120, lambda tick: tick // 12 * 2 + (tick % 12 > 7), rate=lambda tick: 0.5))
    assert on_time_share(slow) == 1.0 and on_time_share(stutter) == 0.5


def test_frames_between_two_ticks_are_on_time_at_the_next():
    odd = recorded(*flips(200, lambda tick: int((tick + 0.2) * TICK / 70), rate=lambda tick: 50 / 70))
    assert on_time_share(odd) == 1.0


def test_neither_skipped_frames_nor_blocks_taken_back_make_later_ones_late():
    skipped = recorded(*flips(120, lambda tick: tick // 3 - (tick // 3 == 11)))
    taken_back = recorded(*flips(120, lambda tick: tick // 3 + 4 * (tick >= 60)))
    assert on_time_share(skipped) == 1.0 and on_time_share(taken_back) == 1.0


def test_one_frame_that_came_a_tick_late_is_the_only_one():
    late = recorded(*flips(120, lambda tick: tick // 3 - (tick == 60)))
    assert on_time_share(late) == pytest.approx(39 / 40)


def test_a_tick_that_woke_up_late_is_still_the_first_one():
    lines = [line | {"t_ns": line["t_ns"] + 4 * MS * (line["tick"] % 7 == 0)} for line in flips(120)]
    assert on_time_share(recorded(*lines)) == 1.0
