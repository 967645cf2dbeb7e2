"""Leaps in whole shows on made-up time: what is gained, and that nothing is missed for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

from tests.simulation.calm import no_warnings, one_core  # noqa: F401  each test runs under them
from tests.simulation.invariants import complaints
from tests.simulation.leaps import EVENTS, SHAPES, WARM, at_all_phases, latency_ms
from tests.simulation.process import Mishap
from tests.simulation.random_shows import Allow, random_plan
from tests.simulation.show import Plan, Show, play
from world.event import Dial, Prompt, Scene

SMALL = replace(SHAPES["small"], seconds=5.0)
AT_S = 4.2


def shows_of(plan: Plan, kind: str, mode: str, count: int = 6) -> list[Show]:
    """Shows in which such an event comes at moments spread over a block."""
    return list(at_all_phases(replace(plan, seconds=AT_S + 2), EVENTS[kind], mode, count, AT_S))


@pytest.mark.parametrize(("kind", "most_ms"), [("prompt", 100), ("hard cut", 95), ("dial", 95)])
def test_an_event_is_seen_in_half_the_time_without_a_repeat_or_a_longer_hold(kind, most_ms):
    whole, leaping = (shows_of(SMALL, kind, mode) for mode in ("whole", "auto"))
    for show in leaping:
        assert complaints(show) == [] and show.engine.repeats == 0
        assert show.engine.longest_still_s < 0.051, "three ticks, as at an ordinary time"
    times = [latency_ms(show) for show in leaping]
    assert median(times) < most_ms and median(times) < 0.55 * median(map(latency_ms, whole))
    assert max(times) < 180


def test_a_world_leaps_no_further_than_its_queue_goes():
    """Wherever a frame was due, one was there: what comes early is made up for by what is begun early."""
    for reserve, kind in ((0, "prompt"), (2, "dial")):
        for show in shows_of(replace(SMALL, reserve=reserve, block_ms=120), kind, "leap"):
            assert complaints(show) == [] and show.engine.repeats == 0


def test_a_held_key_leaps_once():
    held = tuple((round(2.0 + number / 30, 3), Dial("zoom", number / 60)) for number in range(60))
    show = play(replace(SMALL, script=held))
    leapt = [line for line in show.trace.of("flip") if "leapt_ms" in line]
    assert complaints(show) == [] and sum(line["leapt_ms"] for line in leapt) <= 200
    assert leapt[-1]["t_ns"] - leapt[0]["t_ns"] < 0.3e9


def test_a_dial_that_is_turned_all_the_time_does_not_make_the_world_run_fast_and_the_queue_does_not_age():
    script = tuple((round(1.5 + number / 9, 3), Dial("zoom", number % 17 / 17)) for number in range(250))
    show = play(replace(SMALL, seconds=30.0, script=script))
    flips = show.trace.of("flip")
    begin, end = (next(line for line in flips if line["t_ns"] > (at + 1) * 1e9) for at in (1.5, 29.0))
    rate = (end["frame"] - begin["frame"]) / ((end["t_ns"] - begin["t_ns"]) / 1e9) / SMALL.fps
    assert show.engine.repeats == 0 and rate == pytest.approx(1, abs=0.02)
    ages = [b["age_ms"] for a, b in pairwise(flips) if a["block"] != b["block"]][64:]  # since when the costs are known
    assert median(ages[-20:]) == pytest.approx(median(ages[:20]), abs=3)


def test_the_picture_does_not_leap_while_it_is_frozen_or_in_the_past():
    for keys in (((3.0, "space"), (3.9, "space")), ((3.0, "backspace"), (3.9, "^backspace"))):
        show = play(replace(SMALL, mode="leap", keys=keys, script=(*WARM, (3.1, Scene("red")))))
        held = [line["t_ns"] for line in show.trace.of("flip") if line.get("held")]
        leapt = [line["t_ns"] for line in show.trace.of("flip") if "leapt_ms" in line]
        assert held and not [at for at in leapt if held[0] <= at <= held[-1]]


def test_words_that_lie_in_a_block_which_a_dial_takes_back_are_seen_all_the_same():
    for gap_ms in range(40, 400, 60):
        script = (*WARM, (AT_S, Prompt("red")), (AT_S + gap_ms / 1e3, Dial("zoom", 0.1)))
        show = play(replace(SMALL, mode="leap", reserve=2, script=script))
        ends = {line["id"]: line["stage"] for line in show.trace.of("stage") if line["stage"] in ("flip", "replaced")}
        assert complaints(show) == [] and ends[3] == ends[4] == "flip"


@pytest.mark.parametrize("kind", ["death", "broken pipe", "hang"])
def test_a_model_that_ends_in_the_midst_of_a_leap_leaves_what_it_made_and_goes_on(kind):
    for at_ms in range(0, 90, 15):
        mishap = Mishap(0, kind, at_s=AT_S + 0.15 + at_ms / 1e3)
        plan = replace(SMALL, seconds=8.0, mode="leap", script=(*WARM, (AT_S, Scene("red"))), mishaps=(mishap,))
        show = play(plan)
        assert complaints(show) == [] and show.story.cards[-1].words == "red"


def missed_for_a_leap(plan: Plan, mode: str) -> list[str]:
    """Frames that were missing while the block that was leapt to, or the next, was to be made; and complaints."""
    show, leapt_ns, missed = play(replace(plan, mode=mode)), 0, []
    for line in show.trace.of("flip"):
        leapt_ns = line["t_ns"] if "leapt_ms" in line else leapt_ns
        if line["repeat"] and line["t_ns"] - leapt_ns < 1.5e9 * plan.frames / plan.fps:
            missed.append(f"frame {line['frame']} was shown again after a leap")
    return missed + complaints(show)


def wrong(seeds, cuts: bool = False) -> dict[tuple[int, str], list[str]]:
    """What is wrong with the random shows of these seeds, whose messages come in time, in either mode."""
    allow = Allow(deaths=False, hangs=False, late_to_model=False, cuts=cuts)
    plans = [replace(random_plan(seed, allow), to_window_ms=0.0) for seed in seeds]
    found = {(plan.seed, mode): missed_for_a_leap(plan, mode) for plan in plans for mode in ("auto", "leap")}
    return {which: what for which, what in found.items() if what}


def test_no_frame_is_missed_for_a_leap():
    assert wrong((18, 236, 308, 356, 408, 412, 436)) == {}, "these once missed some"


def test_no_frame_is_missed_where_a_block_was_cut():
    assert wrong((5082, 5093, 5097, *range(5000, 5010)), cuts=True) == {}, "the first three once missed some"


def test_a_block_is_cut_for_words_where_it_has_several_latent_frames():
    """Of the shape of Wan: words come in up to half the time, and no frame is missing."""
    plan = replace(SHAPES["Wan's shape"], seconds=9.5)
    for kind in ("prompt", "hard cut"):
        whole, cut = (
            list(at_all_phases(replace(plan, latents=latents), EVENTS[kind], "auto", 8)) for latents in (0, 3)
        )
        assert all(complaints(show) == [] and show.engine.repeats == 0 for show in cut)
        assert all(latency_ms(a) <= latency_ms(b) + 1 for a, b in zip(cut, whole, strict=True))
        assert sum(map(latency_ms, whole)) - sum(map(latency_ms, cut)) > 8 * 15
        assert {len(show.trace.of("cut")) for show in cut} == {0, 1}


@pytest.mark.slow
def test_no_frame_is_missed_in_hundreds_of_random_shows_whose_blocks_are_cut():
    assert wrong([seed for seed in range(5000, 5137)], cuts=True) == {}


@pytest.mark.slow
def test_no_frame_is_missed_for_a_leap_in_hundreds_of_random_shows():
    assert wrong(range(5000, 5150)) == {}
