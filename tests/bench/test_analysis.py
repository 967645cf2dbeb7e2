import json
from dataclasses import replace

import numpy as np
import pytest

from loop.measure.trace import analysis
from loop.measure.trace.estimate import bootstrap_difference, bootstrap_median, slope
from loop.measure.trace.recording import MS, TraceError, parse_recording
from tests.support.traces import HEADER, TICK, blocks, event, flips, recorded


def test_a_last_line_that_was_cut_off_is_left_out():
    lines = [json.dumps(line) for line in (HEADER, *flips(5))]
    assert len(parse_recording([*lines, '{"kind": "flip", "t_n']).flips) == 5


def test_a_broken_line_in_the_middle_is_named():
    with pytest.raises(TraceError, match="line 2"):
        parse_recording([json.dumps(HEADER), "{", json.dumps(HEADER)])


def test_a_trace_without_a_header_is_none():
    with pytest.raises(TraceError, match="no header"):
        parse_recording(["", ""])


def test_the_first_seconds_can_be_left_out():
    late = recorded(*flips(120), *event(1, "prompt", pump=500, flip=700), *event(2, "prompt", pump=1500)).since(1.0)
    assert len(late.flips) == 60 and [followed.id for followed in late.events] == [2]


def test_each_stage_is_measured_from_the_one_before():
    trace = recorded(*event(1, "prompt", pump=10, submit=11, take=20, flip=50))
    assert analysis.times_by_stage(trace.events) == {
        "submit": [1.0],
        "take": [9.0],
        "flip": [30.0],
        "pump to flip": [40.0],
    }


def test_a_dial_of_the_display_is_a_kind_of_its_own():
    header = {**HEADER, "display_dials": {"zoom": [1.0, 4.0]}}
    lines = [json.dumps(line) for line in (header, *event(1, "dial", pump=10, flip=20))]
    assert [followed.kind for followed in parse_recording(lines).events] == ["display dial"]
    assert [followed.kind for followed in recorded(*event(1, "dial", pump=10, flip=20)).events] == ["dial"]


def test_an_event_that_was_replaced_has_no_times():
    trace = recorded(*event(1, "prompt", pump=10, submit=11, replaced=20), *event(2, "scene", pump=12, flip=30))
    assert analysis.times_by_stage(trace.events) == {"flip": [18.0], "pump to flip": [18.0]}
    assert trace.events[0].total_ms is None


def test_the_block_that_was_begun_again_is_the_one_that_counts():
    lines = [*event(1, "prompt", pump=0, take=5, denoised=20, flip=30), *event(2, "dial", pump=0)]
    again = {"kind": "stage", "id": 1, "stage": "denoised", "t_ns": 25 * MS}
    assert recorded(*lines, again).events[0].stages_ms()["denoised"] == 20.0


def test_an_even_stream_has_no_repeats():
    smooth = analysis.smoothness([recorded(*flips(60))])
    assert smooth.has_no_repeats and (smooth.repeats, smooth.skipped, smooth.late_ticks) == (0, 0, 0)
    assert smooth.longest_hold_ms == pytest.approx(50) and smooth.limit_ms == pytest.approx(75 + TICK)


@pytest.mark.parametrize(
    "stream",
    [
        flips(60, repeat=lambda tick: tick == 30),
        flips(60, rate=lambda tick: 0.9 if tick == 30 else None),
        flips(60, frame_of=lambda tick: tick // 3 if tick < 20 else max(6, tick // 3 - 2)),
        flips(60, frame_of=lambda tick: min(tick, 40) // 3),
    ],
    ids=["a repeat", "slow motion", "a frame held in the middle", "a picture that stopped"],
)
def test_each_way_to_blink_is_noticed(stream):
    assert not analysis.smoothness([recorded(*stream)]).has_no_repeats


def test_a_freeze_is_no_hold():
    frozen = recorded(*flips(90, lambda tick: (tick if tick < 30 else max(30, tick - 30)) // 3, held=freeze))
    assert analysis.smoothness([frozen]).longest_hold_ms < 52


def freeze(tick):
    return "freeze" if 30 < tick < 60 else None


def test_of_several_recordings_counts_add_up_and_the_worst_hold_stays():
    bad = recorded(*flips(60, lambda tick: min(tick, 40) // 3, repeat=lambda tick: tick > 42))
    both = analysis.smoothness([recorded(*flips(60)), bad])
    assert both.repeats == 17 and both.longest_hold_ms == pytest.approx(20 * TICK)


def test_frames_that_were_jumped_over_are_counted_and_taken_back_blocks_are_not():
    def jumping(tick):
        frame = tick // 3
        return frame + 1 if frame == 5 else frame + 8 if frame >= 8 else frame

    assert analysis.skipped_frames(recorded(*flips(60, jumping), *blocks(range(9)))) == 1


def test_the_rest_of_a_block_that_was_cut_is_not_missing():
    lines = (*flips(60, lambda tick: tick // 3 + 2 * (tick >= 18)), *blocks(range(6)))
    assert analysis.skipped_frames(recorded(*lines)) == 2
    cut = {"kind": "cut", "block": 1, "latents": 1, "dropped": 2, "t_ns": 0}
    assert analysis.skipped_frames(recorded(*lines, cut)) == 0
    assert analysis.skipped_frames(recorded(*lines, cut).since(0.1)) == 0


def test_the_short_first_block_of_a_scene_misses_nothing():
    def short(tick):
        return (0, 1, 2, 3, 4, 8, 9, 10, 11, 12)[tick // 3]

    trace = recorded(*flips(30, short), *blocks(range(4)))
    assert analysis.skipped_frames(trace) == 3
    scene = [line | {"start": 0} if line["block"] == 1 else line for line in trace.blocks]
    assert analysis.skipped_frames(replace(trace, blocks=scene)) == 0


def test_ticks_without_a_flip_are_late():
    trace = recorded(*(line for line in flips(60) if line["tick"] not in (7, 8, 30)))
    assert analysis.late_ticks(trace.flips) == 3
    assert max(analysis.flip_intervals_ms(trace.flips)) == pytest.approx(3 * TICK)


def test_frames_lost_at_a_switch_are_those_the_schedule_had():
    held = flips(180, lambda tick: tick // 3 if tick < 30 else max(10, tick // 3 - 4))
    trace = recorded(*held, *event(1, "prompt", pump=400, flip=700))
    assert analysis.frames_lost(trace) == [pytest.approx(4.0)]
    even = recorded(*flips(180), *event(1, "prompt", pump=400, flip=700))
    assert analysis.frames_lost(even) == [pytest.approx(0.0)]


def test_a_switch_at_the_end_is_not_judged():
    assert analysis.frames_lost(recorded(*flips(90), *event(1, "prompt", pump=400, flip=700))) == []


def test_blocks_that_nobody_saw_are_counted_up_to_the_newest_one_shown():
    trace = recorded(*flips(60, lambda tick: tick // 3 + 4 * (tick >= 36)), *blocks(range(8)))
    assert analysis.unseen_blocks(trace) == pytest.approx(1 / 6)


def test_a_queue_that_ages_has_a_slope():
    aging = recorded(*flips(60 * 60, age_ms=lambda tick: 100 + 2 * tick / 3600 + tick % 7))
    level = recorded(*flips(60 * 60, age_ms=lambda tick: 100.0 + tick % 7))
    grown, still = analysis.queue_age_slope(aging), analysis.queue_age_slope(level)
    assert grown.low < 2 < grown.high and grown.low > 1
    assert still.low <= 0 <= still.high and still.high < 1


def test_one_bad_second_does_not_bend_the_slope():
    trace = recorded(*flips(60 * 60, age_ms=lambda tick: 900.0 if tick > 3500 else 100.0 + tick % 7))
    assert abs(analysis.queue_age_slope(trace).value) < 0.5


def test_limits_of_a_slope_hold_it_about_as_often_as_they_say():
    generator = np.random.default_rng(3)
    times = np.arange(60) / 60
    held = [estimate.low <= 5 <= estimate.high for estimate in (noisy_slope(times, generator) for _ in range(200))]
    assert 0.9 < sum(held) / 200 <= 0.99


def noisy_slope(times, generator):
    return slope(times, 5 * times + generator.normal(0, 1, len(times)))


def test_neighbours_that_go_together_widen_the_limits_of_a_slope():
    generator = np.random.default_rng(4)
    times, steps = np.arange(120) / 60, generator.normal(0, 1, 120)
    smooth = np.convolve(steps, np.ones(8) / 8**0.5, "same")
    plain, together = slope(times, steps), slope(times, smooth)
    assert together.high - together.low > 1.5 * (plain.high - plain.low)


def test_a_slope_needs_four_points():
    with pytest.raises(ValueError, match="at least 4"):
        slope([1, 2, 3], [1, 2, 3])


def test_intervals_of_medians_hold_the_median_and_shrink_with_the_spread():
    values, generator = [10.0 + n % 5 for n in range(50)], np.random.default_rng(0)
    found = bootstrap_median(values, generator)
    assert found.low <= found.value == 12.0 <= found.high
    less = bootstrap_difference(values, [value + 3 for value in values], generator)
    assert less.value == -3.0 and less.high < 0
