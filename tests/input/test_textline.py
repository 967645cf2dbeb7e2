"""The prompt line as a typist meets it."""

from __future__ import annotations

import pytest

from input.characters import boundaries, clean_typing
from input.textline import HISTORY, LineView, TextLine
from world.event import MAX_TEXT

NO_MODS = frozenset()
CTRL = frozenset({"ctrl"})
FAMILY = "👨\u200d👩\u200d👧"
E_ACUTE = "e\u0301"  # two code points, one character to the eye


def typed(text: str, caret: int | None = None) -> TextLine:
    line = TextLine()
    line.insert(text)
    line.caret = len(line.text) if caret is None else caret
    return line


def test_typing_goes_in_at_the_caret():
    line = typed("a fox", caret=2)
    line.insert("red ")
    assert line.view() == LineView("a red fox", caret=6)


def test_backspace_and_delete_take_one_character_on_either_side():
    line = typed("abcd", caret=2)
    line.press("backspace", NO_MODS)
    line.press("delete", NO_MODS)
    assert line.view() == LineView("ad", caret=1)


def test_deleting_at_the_ends_changes_nothing():
    line = typed("ab", caret=0)
    line.press("backspace", NO_MODS)
    line.press("end", NO_MODS)
    line.press("delete", NO_MODS)
    assert line.text == "ab"


@pytest.mark.parametrize("cluster", [E_ACUTE, FAMILY, "👍🏽", "🇫🇷", "한", "❤\ufe0f", "क्\u200dष"])
def test_what_the_eye_sees_as_one_is_stepped_over_and_deleted_as_one(cluster):
    line = typed(f"a{cluster}b")
    line.press("left", NO_MODS)
    line.press("left", NO_MODS)
    assert line.caret == 1
    line.press("delete", NO_MODS)
    assert line.text == "ab"


def test_two_flags_are_two_characters():
    assert boundaries("🇫🇷🇯🇵") == [0, 2, 4]


def test_the_caret_never_stands_inside_a_character():
    line = typed("\u0301", caret=0)
    line.insert("e")
    assert line.view() == LineView(E_ACUTE, caret=2)


@pytest.mark.parametrize(("key", "mods"), [("w", CTRL), ("backspace", CTRL), ("backspace", frozenset({"alt"}))])
def test_the_word_before_the_caret_goes_with_the_spaces_after_it(key, mods):
    line = typed("a red fox  ")
    line.press(key, mods)
    assert line.view() == LineView("a red ", caret=6)


def test_ctrl_delete_takes_the_word_after_the_caret():
    line = typed("a red fox", caret=1)
    line.press("delete", CTRL)
    assert line.view() == LineView("a fox", caret=1)


def test_ctrl_arrows_step_by_words():
    line = typed("a red fox")
    line.press("left", CTRL)
    assert line.caret == 6
    line.press("left", CTRL)
    assert line.caret == 2
    line.press("right", CTRL)
    assert line.caret == 5


@pytest.mark.parametrize(("start", "end"), [("home", "end"), ("a", "e")])
def test_home_and_end_have_their_readline_keys(start, end):
    mods = NO_MODS if len(start) > 1 else CTRL
    line = typed("a red fox", caret=4)
    line.press(start, mods)
    assert line.caret == 0
    line.press(end, mods)
    assert line.caret == 9


def test_ctrl_u_and_ctrl_k_cut_to_the_ends():
    line = typed("a red fox", caret=2)
    line.press("k", CTRL)
    assert line.text == "a "
    line.press("u", CTRL)
    assert line.view() == LineView()


def test_a_plain_letter_is_no_editing_key():
    assert not typed("a").press("w", NO_MODS)


def test_history_goes_back_and_keeps_the_unfinished_line():
    line = TextLine()
    for text in ("first", "second"):
        line.insert(text)
        line.submit()
    line.insert("unfin")
    shown = []
    for key in ("up", "up", "up", "down", "down", "down"):
        line.press(key, NO_MODS)
        shown.append(line.text)
    assert shown == ["second", "first", "first", "second", "unfin", "unfin"]


def test_history_keeps_no_repeats_in_a_row_and_has_an_end():
    line = TextLine()
    for number in range(HISTORY + 5):
        for _ in range(2):
            line.insert(str(number))
            line.submit()
    for _ in range(HISTORY + 5):
        line.press("up", NO_MODS)
    assert line.text == "5"


def test_submit_empties_the_line_and_trims_it():
    line = typed("  a fox ")
    assert line.submit() == "a fox"
    assert line.view() == LineView()


def test_cancel_forgets_the_line_and_history_begins_at_its_newest_again():
    line = typed("kept")
    line.submit()
    line.press("up", NO_MODS)
    line.cancel()
    assert line.view() == LineView()
    line.press("up", NO_MODS)
    assert line.text == "kept"


def test_a_composition_stands_at_the_caret_and_is_not_yet_text():
    line = typed("ab", caret=1)
    line.compose("にほ", 1)
    assert line.view() == LineView("ab", 1, "にほ", 1)
    line.insert("日本")
    assert line.view() == LineView("a日本b", caret=3)


def test_an_empty_composition_event_clears_and_never_touches_the_text():
    line = typed("ab")
    line.compose("に", 1)
    line.compose("", 0)
    assert not line.is_composing
    assert line.text == "ab"


def test_while_composing_the_editing_keys_belong_to_the_input_method():
    line = typed("ab")
    line.compose("に", 1)
    assert line.press("backspace", NO_MODS)
    assert line.text == "ab"


def test_a_composition_caret_outside_the_composition_is_brought_inside():
    line = TextLine()
    line.compose("にほ", 9)
    assert line.view().composition_caret == 2


def test_pasted_line_breaks_become_spaces_and_control_characters_go():
    assert clean_typing("a\r\nb\tc\x1b[0m\x00\u202ed\ud800\u200de") == "a b c[0md\u200de"


def test_the_line_is_never_longer_than_a_prompt_may_be():
    line = typed("x" * (MAX_TEXT - 1))
    line.insert(FAMILY)
    assert line.text == "x" * (MAX_TEXT - 1), "half a family is no character"
    line.insert("yz")
    assert line.text == "x" * (MAX_TEXT - 1) + "y"
