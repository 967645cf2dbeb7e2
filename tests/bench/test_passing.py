"""The bound with the frames that pass: what an event finds goes into it, and a slow show lies above it."""

import json
from dataclasses import replace

import pytest

from loop.engine import WAIT_S
from loop.measure.latency.passing import passing, passing_bounds
from loop.measure.latency.run import latency_figures
from loop.measure.latency.shows import LatencyMeasurement
from loop.measure.shows.bound import Bound
from loop.measure.trace.recording import MS, parse_recording
from loop.worker.inbox import Inbox
from tests.simulation.calm import no_warnings, one_core  # noqa: F401  each test runs under them
from tests.simulation.leaps import EVENTS, SHAPES, at_all_phases, met
from tests.support.traces import HEADER, TICK, event, flips

# a world of 20 frames a second, three ticks a frame, four frames a block; its work takes less than two ticks
COSTS = Bound(100.0, recache=20.0, block=25.0, first_decode=5.0, longest_pass=10.0, all_frames=40.0, clean=10.0)
WORLD = {"tick_zero_ns": 0, "late_steps": 2, "cut_from": None, "leap": {"most_rate": 2.5}}
SMALL = replace(SHAPES["small"], seconds=7.5)
AT_MS = 60 * TICK - 1  # an event comes a millisecond before tick 60


def bound_of(kind, frames, in_flight=None, due_ms=60 * TICK, left_ms=200, **world):
    """The bound of an event that finds `frames` before it: [block, latent frame, count], the first on the screen.

    in_flight: (block, ms for which it has run, its passes).
    """
    newest = 4 * frames[-1][0] + 3
    line = {"kind": "situation", "id": 1, "frames": frames, "newest": newest, "period_ns": 50 * MS}
    line |= {"due_ns": round(due_ms * MS), "last_ns": round((due_ms - 50) * MS), "left_ns": left_ms * MS}
    lines = [{**HEADER, **WORLD, **world}, *event(1, kind, pump=AT_MS, flip=AT_MS + 500), line]
    if in_flight:
        block, spent_ms, passes = in_flight
        begun_ns = round((AT_MS - spent_ms) * MS)
        lines.append({"kind": "block", "block": block, "t_begin_ns": begun_ns, "passes": passes})
    ((_, bound),) = passing_bounds(parse_recording([json.dumps(line) for line in lines]), kind, COSTS)
    return bound


def ticks(count):
    """From the event to the tick after which `count` others have passed."""
    return pytest.approx(1 + count * TICK, abs=1e-3)


PASSES = [["denoised", 10], ["denoised", 20], ["denoised", 30], ["made", 40], ["clean", 50]]


def test_work_and_passing_frames_run_side_by_side_and_the_longer_counts():
    assert bound_of("scene", [[5, 0, 4]]).ms == ticks(4), "30 ms are done before the four have passed"
    assert bound_of("scene", [[5, 0, 0]], due_ms=62 * TICK).ms == ticks(2), "no frame passes: the tick after the work"
    assert bound_of("prompt", [[5, 0, 1]]).ms == ticks(3), "a prompt needs a recache as well"


def test_what_the_show_made_of_the_event_does_not_go_into_its_bound():
    bound = bound_of("scene", [[5, 0, 4]])
    assert bound.frames == 4 and bound.work_ms == 30.0 and bound.ms < 100, "it was seen after 500 ms"


def test_a_block_of_which_nothing_was_seen_is_left_out_if_the_work_is_done_before_it_is_due():
    waiting = [[5, 0, 0], [6, 0, 4]]
    assert bound_of("scene", waiting, due_ms=62 * TICK).frames == 0
    assert bound_of("scene", waiting, due_ms=61 * TICK).frames == 4, "due sooner than the 30 ms of work"
    assert bound_of("dial", waiting, due_ms=62 * TICK).frames == 4, "without it the cache must be made again: 50 ms"


def test_latent_frames_are_left_out_for_words_where_a_block_can_be_cut():
    waiting = [[5, 0, 1], [5, 1, 2]]
    assert bound_of("scene", waiting, due_ms=61 * TICK, cut_from=0).frames == 1
    assert bound_of("dial", waiting, due_ms=61 * TICK, cut_from=0).frames == 3
    assert bound_of("scene", waiting, due_ms=61 * TICK).frames == 3, "this world's blocks stay whole"


def test_the_pass_in_flight_ends_first_and_is_no_longer_than_one_that_was_measured_on_an_idle_worker():
    calm = bound_of("scene", [[5, 0, 2]], (6, 14, PASSES))
    assert calm.work_ms == pytest.approx(30 + 6) and calm.frames == 2, "the block in flight is given up"
    slow = bound_of("scene", [[5, 0, 2]], (6, 14, [["denoised", 10], ["denoised", 200]]))
    assert slow.work_ms == pytest.approx(30 + 10), "the show was late to read its pipe"


def test_a_block_in_flight_that_cannot_be_given_up_is_finished_and_passes_as_a_whole():
    bound = bound_of("prompt", [[5, 0, 0]], (6, 35, PASSES))
    assert bound.frames == 4, "no frame is left to bridge 50 ms of work"
    assert bound.work_ms == pytest.approx(5 + 20 + 30) and bound.ms == ticks(4)


def test_a_run_that_was_given_up_was_in_flight_as_well():
    line = {"kind": "situation", "id": 1, "frames": [[5, 0, 2]], "newest": 23, "period_ns": 50 * MS}
    line |= {"due_ns": round(60 * TICK * MS), "last_ns": round(57 * TICK * MS), "left_ns": 0}
    run = {"t_begin_ns": round((AT_MS - 6) * MS), "passes": [["denoised", 10]]}
    block = {"kind": "block", "block": 6, "t_begin_ns": round((AT_MS + 5) * MS), "passes": PASSES, "given_up": [run]}
    lines = [{**HEADER, **WORLD}, *event(1, "scene", pump=AT_MS, flip=AT_MS + 50), line, block]
    ((_, bound),) = passing_bounds(parse_recording([json.dumps(line) for line in lines]), "scene", COSTS)
    assert bound.work_ms == pytest.approx(30 + 4)


def test_a_dial_enters_the_block_in_flight_as_long_as_its_steps_allow():
    assert bound_of("dial", [[5, 0, 1]], (6, 15, PASSES)).work_ms == pytest.approx(30 - 15)
    assert bound_of("dial", [[5, 0, 1]], (6, 25, PASSES)).work_ms == pytest.approx(30 + 5), "begun anew"


def test_frames_that_the_window_does_not_know_yet_pass_or_are_left_out_like_those_it_knows():
    made = (6, 42, PASSES)
    assert bound_of("scene", [[5, 0, 0]], made, due_ms=63 * TICK).frames == 0
    assert bound_of("scene", [[5, 0, 0]], made, due_ms=61 * TICK).frames == 4


def test_what_the_limits_of_a_leap_cost_is_told_apart():
    free, none_left = (bound_of("scene", [[5, 0, 3]], left_ms=left_ms) for left_ms in (200, 0))
    assert free.limited_ms > free.ms == none_left.ms, "at most 2.5 times the rate: 20 ms a frame, and a tick is less"
    assert none_left.limited_ms == ticks(9), "nothing may be stolen any more: three frames of three ticks"


def test_each_event_is_held_against_its_own_bound():
    lines = [{**HEADER, **WORLD}, *flips(200)]
    for number, (at_ms, took_ms) in enumerate(((AT_MS, 1.0), (AT_MS + 200, 1.2), (AT_MS + 400, 2.0)), 1):
        line = {"kind": "situation", "id": number, "frames": [[5, 0, 4]], "newest": 23, "period_ns": 50 * MS}
        due_ns = round((at_ms + 1) * MS)
        lines.append(line | {"due_ns": due_ns, "last_ns": due_ns - 50 * MS, "left_ns": 200 * MS})
        lines += event(number, "scene", pump=at_ms, flip=at_ms + took_ms * (1 + 4 * TICK))
    show = parse_recording([json.dumps(line) for line in lines])
    found = passing([show], "scene", COSTS)
    assert found is not None and found.each == pytest.approx(1.2, abs=0.01) and found.near == pytest.approx(2 / 3)
    trials = latency_figures(LatencyMeasurement((show,), COSTS, [1.0]))["scene"]["trials"]
    assert [trial["pump to flip"] / trial["ms"] for trial in trials] == pytest.approx([1.0, 1.2, 2.0], abs=0.01)


def shows_of(kind):
    """Shows in which such an event comes at moments spread over a block."""
    return list(at_all_phases(SMALL, EVENTS[kind], "auto", count=8, at_s=5.5, wait_s=WAIT_S))


@pytest.mark.parametrize("kind", EVENTS)
def test_a_show_that_leaps_comes_near_the_bound_and_one_that_dawdles_does_not(kind, monkeypatch):
    leaping = shows_of(kind)
    found = met(leaping, SMALL)
    assert found.n == len(leaping) and 1 <= found.ratio <= 1.25 and found.sooner == 0
    monkeypatch.setattr(Inbox, "hurries", lambda inbox, block: False)  # its block is begun no sooner than any other
    dawdling = met(shows_of(kind), SMALL)
    assert dawdling.ratio > 1.25 and dawdling.excess > found.excess + 10
