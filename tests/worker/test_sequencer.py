import pytest

from loop.worker.sequencer import has_words, slewed, take
from world.event import Dial, Prompt, Rebuild, Rewind, Scene


def events(waiting):
    return [event for _, event in take(list(enumerate(waiting)))]


def test_of_several_prompts_the_last_wins():
    assert events([Prompt("red"), Prompt("green"), Prompt("blue")]) == [Prompt("blue")]


def test_each_dial_keeps_its_latest_value():
    waiting = [Dial("zoom", 0.1), Dial("pan_x", 1.0), Dial("zoom", 0.2), Dial("zoom", 0.3)]
    assert events(waiting) == [Dial("pan_x", 1.0), Dial("zoom", 0.3)]


def test_triggers_are_all_kept_and_in_order():
    assert events([Rebuild(), Dial("zoom", 1.0), Rebuild()]) == [Rebuild(), Dial("zoom", 1.0), Rebuild()]


def test_a_hard_cut_swallows_the_prompt_before_it():
    assert events([Prompt("red"), Scene("blue", 4)]) == [Scene("blue", 4)]


def test_words_after_a_hard_cut_name_the_new_scene():
    assert events([Scene("blue", 4), Prompt("red")]) == [Scene("red", 4)]


def test_of_several_rewinds_the_last_wins():
    assert events([Rewind(3), Rewind(9)]) == [Rewind(9)]


def test_what_is_taken_names_its_events():
    assert take([(11, Prompt("a")), (12, Prompt("b"))]) == [(12, Prompt("b"))]


def test_nothing_waiting_takes_nothing():
    assert take([]) == []


def test_other_words_ask_for_a_recache_and_the_same_or_a_hard_cut_do_not():
    def asks(*waiting):
        return has_words(list(enumerate(waiting)), "red")

    assert asks(Prompt("blue")) and asks(Rebuild()) and asks(Prompt("red"), Prompt("blue"))
    assert not asks(Prompt("red")) and not asks(Dial("zoom", 1.0)) and not asks()
    assert not asks(Prompt("blue"), Prompt("red"))
    assert not asks(Prompt("blue"), Scene("green"))


def test_a_dial_moves_by_a_step_and_the_rest_of_its_way_comes_later():
    now, later = slewed([(4, Dial("zoom", 1.0)), (5, Prompt("red"))], {"zoom": 0.0}, {"zoom": 0.35})
    assert now == [(4, Dial("zoom", 0.35)), (5, Prompt("red"))]
    assert later == [Dial("zoom", 1.0)]
    down, _ = slewed([(4, Dial("zoom", -1.0))], {"zoom": 0.1}, {"zoom": 0.35})
    assert down[0][1].value == pytest.approx(-0.25)


def test_a_dial_near_its_goal_or_without_a_step_gets_there_at_once():
    near, unknown = (1, Dial("zoom", 0.9)), (2, Dial("gain", 7.0))
    assert slewed([near, unknown], {"zoom": 0.7}, {"zoom": 0.35}) == ([near, unknown], [])
