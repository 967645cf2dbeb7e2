"""Whole shows on made-up time: random ones, whose invariants must hold, and the simulation itself."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from itertools import pairwise

import pytest

import loop.saving
from loop.archive.reading import read_session
from loop.link.message import BlockMade, Fault
from loop.supervise.live_model import LiveModel
from tests.simulation.calm import no_warnings, one_core  # noqa: F401  each test runs under them
from tests.simulation.invariants import complaints
from tests.simulation.process import Mishap
from tests.simulation.random_shows import Allow, random_plan
from tests.simulation.show import Plan, plan_of, play
from tests.simulation.virtual_time import START_NS
from tests.trials.brake import braked_and_not
from world.event import Dial, Prompt, Scene

CALM = Allow(deaths=False, hangs=False)


def wrong(seeds, allow):
    """What is wrong with the shows of these seeds, each with the lines that play it again."""
    found = []
    for seed in seeds:
        plan = random_plan(seed, allow)
        for complaint in complaints(play(plan)):
            found.append(f"seed {seed}: {complaint}\n  python -m tests.simulation.random_shows '{plan.to_line()}'")
    return "\n".join(found)


def test_random_shows_keep_every_invariant():
    assert wrong(range(150), CALM) == ""


@pytest.mark.slow
def test_random_shows_whose_model_dies_and_hangs_keep_every_invariant():
    assert wrong(range(150, 300), Allow()) == ""


def test_random_shows_whose_blocks_are_cut_keep_every_invariant():
    assert wrong(range(60), replace(CALM, cuts=True)) == ""
    cuts = [line for seed in range(60) for line in play(random_plan(seed, replace(CALM, cuts=True))).trace.of("cut")]
    assert len(cuts) > 9


def test_in_random_shows_whose_words_leave_things_out_all_of_them_count():
    assert wrong(range(60), replace(CALM, completes=True)) == ""


@pytest.mark.slow
def test_in_random_shows_whose_words_leave_things_out_they_count_also_when_the_model_dies_and_hangs():
    assert wrong(range(600, 800), Allow(completes=True, cuts=True)) == ""


@pytest.mark.slow
def test_random_shows_whose_blocks_are_cut_and_whose_model_dies_and_hangs_keep_every_invariant():
    assert wrong(range(300, 450), Allow(cuts=True)) == ""


@pytest.mark.slow
def test_hundreds_of_random_shows_keep_every_invariant():
    assert wrong(range(1000, 1600), CALM) == ""


@pytest.mark.slow
def test_hundreds_of_random_shows_whose_model_dies_and_hangs_keep_every_invariant():
    assert wrong(range(2000, 2400), Allow()) == ""


def test_a_show_goes_the_same_way_each_time():
    for seed in range(8):
        plan = random_plan(seed, Allow())
        assert play(plan).trace.lines == play(plan).trace.lines


def test_the_line_of_a_plan_plays_the_same_show():
    plan = random_plan(3, Allow())
    assert plan_of(plan.to_line()) == plan


def test_a_quiet_show_has_no_repeat_and_shows_every_frame():
    show = play(Plan(seconds=6.0))
    frames = list(dict.fromkeys(line["frame"] for line in show.trace.of("flip")))
    assert show.engine.repeats == 0 and frames == list(range(len(frames))) and len(frames) > 80


@pytest.mark.parametrize("mode", ["auto", "snap", "inline", "overlap"])
def test_prompts_dials_and_hard_cuts_are_all_seen(mode):
    script = ((1.0, Prompt("red")), (1.6, Dial("zoom", 1.0)), (2.4, Scene("blue")), (3.1, Prompt("green")))
    show = play(Plan(mode=mode, reserve=1, script=script))
    assert complaints(show) == []
    ends = {line["id"]: line["stage"] for line in show.trace.of("stage") if line["stage"] in ("flip", "replaced")}
    assert ends == dict.fromkeys((1, 2, 3, 4), "flip")


@pytest.mark.parametrize("kind", ["death", "broken pipe"])
@pytest.mark.parametrize("step", range(1, 14))
def test_a_model_that_dies_while_it_opens_or_starts_is_started_again(kind, step):
    show = play(Plan(seconds=5.0, mishaps=(Mishap(0, kind, step),)))
    assert complaints(show) == []
    assert len(show.lives) == 2 and show.engine.shown > 40


def test_a_model_whose_memory_runs_out_says_what_to_try_while_the_picture_is_held():
    show = play(Plan(seconds=6.0, open_ms=800.0, mishaps=(Mishap(0, "out of memory", at_s=2.0),)))
    assert complaints(show) == [] and len(show.lives) == 2
    assert next(line["what"] for line in show.trace.of("fault")) == "out of memory: try --tiny"
    ns = [line["t_ns"] for line in show.trace.of("flip")]
    assert max(later - earlier for earlier, later in pairwise(ns)) < 0.05e9, "a picture is shown at every tick"
    assert show.engine.longest_still_s > 0.5 and show.story.cards[-1].made_ns > START_NS + 4e9


@pytest.mark.parametrize("step", range(1, 5))
def test_a_world_for_which_memory_does_not_suffice_is_told_once(step):
    show = play(Plan(seconds=5.0, mishaps=(Mishap(0, "out of memory", step),)))
    assert len(show.lives) == 1
    assert show.model.fault == Fault("out of memory: try --tiny", usage=True)


def test_a_model_that_dies_while_it_recaches_goes_on_under_the_new_words():
    plan = Plan(script=((2.0, Prompt("red")),))
    taken = next(line for line in play(plan).trace.of("stage") if line["stage"] == "take")["t_ns"]
    at_s = (taken - 1_000_000_000) / 1e9 + 0.02
    show = play(replace(plan, mishaps=(Mishap(0, "death", at_s=at_s),)))
    assert len(show.lives) == 2 and show.story.cards[-1].words == "red"
    assert [line["what"] for line in show.trace.of("fault")] == ["the model's process died"]


def test_a_freeze_stops_the_picture_and_what_comes_after_it_is_no_repeat():
    show = play(Plan(keys=((2.0, "space"), (3.5, "space"))))
    held = [line for line in show.trace.of("flip") if line.get("held") == "freeze"]
    assert len(held) == pytest.approx(90, abs=1) and len({line["frame"] for line in held}) == 1
    assert complaints(show) == [] and show.engine.repeats == 0


def test_the_mode_changes_in_the_show_and_a_restarted_model_keeps_it():
    show = play(Plan(mode="auto", keys=((1.5, "f2"),), mishaps=(Mishap(0, "death", at_s=3.0),)))
    assert show.model.mode == "inline" and len(show.lives) == 2


LATE = Plan(frames=1, block_ms=12, recache_ms=3, to_window_ms=400)


def test_a_frame_waits_for_the_messages_that_say_what_it_shows():
    script = tuple((1.0 + number / 10, Scene(f"words {number}")) for number in range(40))
    for seed in range(12):
        assert complaints(play(replace(LATE, seed=seed, script=script))) == []


def test_a_ledger_that_learns_too_late_what_a_frame_shows_is_noticed(monkeypatch):
    script = tuple((1.0 + number / 10, Scene(f"words {number}")) for number in range(40))
    monkeypatch.setattr(LiveModel, "_heard", property(lambda model: 1 << 40, lambda model, count: None), raising=False)
    found = [complaints(play(replace(LATE, seed=seed, script=script))) for seed in range(12)]
    assert any("before the flip that the ledger names" in complaint for each in found for complaint in each)


def test_a_frame_that_is_lost_on_the_way_is_noticed(monkeypatch):
    new_frames = LiveModel.new_frames
    monkeypatch.setattr(LiveModel, "new_frames", lambda model: list(reversed(new_frames(model))))
    assert any("frames_stay_in_order" in complaint for complaint in complaints(play(Plan(seconds=4.0))))


def test_an_event_that_is_forgotten_is_noticed(monkeypatch):
    poll = LiveModel.poll
    monkeypatch.setattr(LiveModel, "poll", lambda model: [m for m in poll(model) if isinstance(m, BlockMade)])
    found = complaints(play(Plan(seconds=6.0, script=((1.0, Prompt("red")),))))
    assert any("every_event_ends_once" in complaint for complaint in found)


def test_two_take_backs_in_a_row_continue_the_same_block():
    """The decoder's states of blocks that were dropped once crowded out the state of the block to continue."""
    plan = Plan(mode="auto", fps=24.0, frames=6, block_ms=21, recache_ms=12, reserve=3)
    for gap_ms in range(80, 240, 20):
        script = ((2.01, Prompt("red")), (2.01 + gap_ms / 1e3, Prompt("blue")))
        assert complaints(play(replace(plan, script=script))) == []


def test_a_prompt_while_a_hard_cut_is_on_its_way_takes_no_block_back_from_before_it():
    """The window's process did not know of the cut's block yet, and the model cannot go back behind a cut."""
    plan = Plan(mode="auto", fps=24.0, frames=1, block_ms=8, recache_ms=2, reserve=2, to_window_ms=400)
    for seed in range(12):
        script = [(1.0 + n / 3, Scene(f"cut {n}")) for n in range(9)]
        script += [(1.04 + n / 3, Prompt(f"words {n}")) for n in range(9)]
        assert complaints(play(replace(plan, seed=seed, script=tuple(sorted(script, key=lambda e: e[0]))))) == []


def test_a_transition_does_not_replace_the_words_that_follow_a_hard_cut():
    """The next mix of the transition was let wait behind them, as if nothing waited, and they counted as replaced."""
    script = ((1.0, Prompt("red")), (1.5, Scene("blue")), (1.51, Prompt("green")))
    for start_ms in range(0, 260, 20):
        shifted = tuple((at + start_ms / 1e3, event) for at, event in script)
        show = play(Plan(transition=4, block_ms=150, script=shifted))
        assert complaints(show) == []
        assert show.story.cards[-1].words == "green"


def test_a_transition_has_all_its_blocks_wherever_in_a_block_it_is_asked_for():
    """A recache ahead took its first mix for a block, and when the one before was made, the second took its place."""
    for mode in ("overlap", "auto"):
        for late_ms in range(0, 250, 25):
            plan = Plan(
                transition=3, block_ms=70, recache_ms=55, mode=mode, script=((1.0 + late_ms / 1e3, Prompt("red")),)
            )
            show = play(plan)
            assert complaints(show) == []
            assert len({card.words for card in show.story.cards if card.words != "the first words"}) == 3


def longest_still_s(spare: str, kind: str) -> float:
    """How long the picture stood around a mishap of a model that takes 2 s to open."""
    plan = Plan(seconds=16.0, open_ms=2000, spare=spare, mishaps=(Mishap(0, kind, at_s=9.0),))
    show = play(plan)
    assert complaints(show) == []
    return show.engine.longest_still_s


def test_a_spare_process_takes_the_place_of_one_that_died_at_once():
    assert longest_still_s("off", "death") > 1.9
    assert longest_still_s("on", "death") < 0.5


def test_a_model_that_hangs_is_noticed_after_two_seconds_and_the_spare_goes_on():
    assert longest_still_s("on", "hang") < 2.5


def test_a_hang_is_named_in_the_trace():
    show = play(Plan(mishaps=(Mishap(0, "hang", at_s=3.0),)))
    assert [line["what"] for line in show.trace.of("fault")] == [
        "the model's process made no progress for 2.0 s",
        "the model's process died",
    ]


def test_what_was_not_seen_when_the_show_ends_is_lost_with_the_reason():
    show = play(Plan(seconds=3.0, script=((2.6, Prompt("red")),)))
    show.engine.out.close()
    ends = [line for line in show.trace.of("stage") if line["stage"] in ("flip", "lost")]
    assert [(line["stage"], line.get("why")) for line in ends] == [("lost", "the show ended")]


def test_a_replaced_event_names_the_one_that_replaced_it():
    show = play(Plan(mode="inline", script=((2.0, Dial("zoom", 0.5)), (2.001, Dial("zoom", 1.0)))))
    assert [(line["id"], line["by"]) for line in show.trace.of("stage") if line["stage"] == "replaced"] == [(1, 2)]


def test_the_brake_keeps_a_slow_model_at_the_rate_of_its_world_with_fewer_repeats():
    plain, braked = braked_and_not(range(15))
    assert braked[0] < plain[0]
    assert plain[1] < 0.85 and braked[1] > 0.93


@pytest.mark.slow
def test_hundreds_of_slow_shows_repeat_fewer_frames_with_the_brake():
    plain, braked = braked_and_not(range(3000, 3500))
    assert braked[0] < 0.8 * plain[0] and braked[1] > 0.93


def test_what_the_brake_chose_is_a_turn_of_the_dial_in_the_log():
    show = play(Plan(block_ms=400, seconds=6.0, brakes=True))
    turned = [event.value for card in show.story.cards for event in card.block.events if isinstance(event, Dial)]
    assert turned and all(event_steps < 4 for event_steps in turned[:1])
    assert show.story.cards[-1].block.dials["steps"] == turned[-1]


def goes_on(folder, plan: Plan, at: str | None = None) -> list[float]:
    """The steps of the blocks of a show that goes on from the one saved in `folder`."""
    saved = read_session(folder)
    going_on = loop.saving.going_on_from(Namespace(at=at, prompt=None), saved, saved.tip)
    return [card.block.dials["steps"] for card in play(plan, going_on=going_on).story.cards]


def test_a_braked_show_that_goes_on_without_the_brake_makes_all_steps_again(tmp_path):
    play(Plan(block_ms=400, seconds=6.0, brakes=True), folder=tmp_path)
    saved = read_session(tmp_path)
    assert saved.blocks[saved.tip].conditions.dials["steps"] < 4
    assert set(goes_on(tmp_path, Plan(seconds=3.0))) == {4}
    assert set(goes_on(tmp_path, Plan(seconds=3.0), at=str(saved.tip))) == {4}


def test_a_show_goes_on_in_the_steps_that_were_asked_for_with_the_brake_and_without(tmp_path):
    play(Plan(seconds=6.0, script=((1.0, Dial("steps", 2)),)), folder=tmp_path)
    for brakes in (False, True):
        assert set(goes_on(tmp_path, Plan(block_ms=40, seconds=3.0, brakes=brakes))) == {2}


def test_the_brake_goes_no_higher_than_was_asked_for_after_a_death():
    script = ((1.0, Dial("steps", 2)),)
    plan = Plan(block_ms=40, seconds=9.0, script=script, brakes=True, mishaps=(Mishap(0, "death", at_s=4.0),))
    show = play(plan)
    steps = [card.block.dials.get("steps", 4) for card in show.story.cards]
    assert len(show.lives) == 2 and set(steps[steps.index(2) :]) == {2}
