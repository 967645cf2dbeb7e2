"""Faults that simulated shows have found and that were mended, each in the shortest show that had it.

The docstring of each test says what went wrong.
"""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.invariants import complaints
from tests.simulation.process import Mishap
from tests.simulation.show import Plan, play
from world.event import Dial, Prompt, Scene


def found(check: str, plan: Plan) -> list[str]:
    """What one check has to say about a show."""
    return [complaint for complaint in complaints(play(plan)) if complaint.startswith(f"{check}:")]


def death(at_s: float) -> tuple[Mishap, ...]:
    """The first life of the model's process ends at this time."""
    return (Mishap(0, "death", at_s=at_s),)


def test_a_prompt_with_a_large_reserve_does_not_kill_the_model():
    """The window's process drops more blocks than the model keeps to go back to, and the model dies."""
    assert found("the_model_does_not_die_by_itself", Plan(reserve=9, script=((4.0, Prompt("red")),))) == []


def test_a_prompt_that_takes_blocks_back_between_opened_and_started_leaves_frames_to_show():
    """The take-back raises the epoch after Start was sent, and every later frame counts as dropped."""
    plan = Plan(mode="snap", reserve=3, start_ms=60, typed=((1.92, "red"),), mishaps=death(1.7))
    assert found("new_frames_are_shown", plan) == []


def test_a_model_that_hangs_is_replaced():
    """Nothing watches over a model that hangs."""
    assert found("new_frames_are_shown", Plan(mishaps=(Mishap(0, "hang", at_s=3.0),))) == []


def test_a_dial_on_its_way_when_the_model_dies_reaches_its_value():
    """What remains of a dial's way waits in the model's process and dies with it."""
    plan = Plan(script=((1.0, Dial("zoom", 1.0)),), mishaps=death(1.5))
    assert found("the_last_values_are_reached", plan) == []


def test_a_prompt_typed_while_the_model_is_down_is_seen():
    """It is submitted again, and then its words a second time as the rest of a transition, which replaces it."""
    assert found("every_event_ends_once", Plan(typed=((2.3, "red"),), mishaps=death(2.25))) == []


def test_every_tick_of_an_outage_at_which_a_frame_was_due_is_a_repeat():
    """The schedule starts anew with the new ring, before its first frame is there."""
    assert found("repeats_are_counted", Plan(open_ms=600, mishaps=death(3.0))) == []


def test_a_show_outlives_four_deaths_in_a_row():
    """After three deaths without a block the model is given up."""
    plan = Plan(mishaps=tuple(Mishap(life, "death", 3) for life in range(4)))
    assert found("the_show_goes_on", plan) == []


def test_a_take_back_that_reaches_the_model_late_does_not_kill_it():
    """The decoder's states and the latents that are kept do not cover blocks made while the message was under way."""
    plans = [Plan(seed=seed, reserve=3, block_ms=20, script=_many_prompts(), to_model_ms=400) for seed in range(20)]
    assert [what for plan in plans for what in found("the_model_does_not_die_by_itself", plan)] == []


def test_words_that_were_overtaken_while_their_block_was_made_are_replaced():
    """Words of an abandoned block stay among its events when others overtake them, and get a flip."""
    plan = Plan(mode="snap", script=((2.0, Prompt("red")), (2.05, Scene("blue"))))
    assert found("overtaken_words_are_replaced", plan) == []


def test_words_typed_before_the_first_picture_are_seen_in_the_first_frame():
    """The session begins under them, and then they are submitted again."""
    assert found("the_ledger_names_the_first_frame", Plan(typed=((0.05, "red"),))) == []


def test_a_death_within_the_first_block_uses_no_frame_number_twice():
    """Without a block to go on from, numbers begin at 0 again."""
    plans = [Plan(mishaps=(Mishap(0, "death", step),)) for step in range(10, 45)]
    assert [what for plan in plans for what in found("the_first_block_is_shown_once", plan)] == []


def test_words_that_two_processes_took_are_not_replaced_by_themselves():
    """The first one hung with them, the second one took them for a block of a lower number."""
    mishaps = (Mishap(0, "death", 46), Mishap(1, "hang", 71))
    script = ((0.197, Dial("zoom", -0.119)), (0.979, Prompt("the first words")))
    keys = ((0.854, "f2"), (0.928, "f2"), (1.177, "f2"), (1.767, "f2"))
    slow = Plan(seed=2043, seconds=20.0, fps=30.0, frames=2, block_ms=77.35, recache_ms=92.46, open_ms=288)
    rest = {"start_ms": 200, "spare": "on", "to_model_ms": 200.0, "to_window_ms": 200.0}
    plan = replace(slow, transition=3, script=script, keys=keys, mishaps=mishaps, **rest)
    assert found("every_event_ends_once", plan) == []


def test_frames_that_wait_behind_those_of_a_dead_process_are_not_written_over():
    """Their slots were given back to the new process while the window still showed frames of the old one."""
    keys, broken = ((0.186, "space"), (1.182, "space")), (Mishap(0, "broken pipe", 74),)
    slow = Plan(seed=2116, seconds=5.861, mode="overlap", frames=2, block_ms=29.33, recache_ms=6.3, open_ms=87)
    late = {"to_model_ms": 200.0, "to_window_ms": 200.0, "start_ms": 60}
    plan = replace(slow, typed=((0.426, "typed 0"),), keys=keys, mishaps=broken, **late)
    assert found("frames_stay_in_order", plan) == []


def test_the_ring_of_a_dead_process_is_given_back_before_the_next_one_is_made():
    """Both together were more than a small /dev/shm holds, and no process could be started again."""
    show = play(Plan(open_ms=900, mishaps=death(3.0)))
    assert complaints(show) == [] and show.rings.most_at_once == 1


def _many_prompts() -> tuple[tuple[float, Prompt], ...]:
    return tuple((1.0 + number / 4, Prompt(f"words {number}")) for number in range(16))
