"""What the keys mean, and what a script file means: gestures in, commands and events out."""

from __future__ import annotations

import json

import pytest

from input.action import Command, FireCue, StagePrompt
from input.gesture import Closed, Composing, KeyDown, KeyUp, Pasted, Resized, Text, key_name
from input.help import help_rows
from input.keys import Keyboard
from input.script import Script, ScriptError, read_script
from world.event import Dial, Prompt, Scene
from world.info import DialRange

SHIFT, CTRL, ALT = frozenset({"shift"}), frozenset({"ctrl"}), frozenset({"alt"})
PANS = {"pan_x": DialRange(), "pan_y": DialRange(-0.5, 0.25)}
DIALS = {**PANS, "zoom": DialRange(0.0, 2.0, 1.0), "energy": DialRange(0.0, 1.0, 0.5)}


def keyboard(dials=DIALS) -> Keyboard:
    return Keyboard(lambda: "the first words", dials, lambda: None)


def feed(board: Keyboard, *gestures) -> list:
    """All that `gestures` ask for; a plain string is one key pressed."""
    return [out for g in gestures for out in board.handle(KeyDown(g) if isinstance(g, str) else g)]


def opened(**options) -> Keyboard:
    board = keyboard(**options)
    feed(board, "enter")
    return board


def test_enter_opens_the_line_and_enter_submits_a_prompt():
    board = keyboard()
    assert feed(board, "enter") == [Command.LINE_OPENED]
    assert feed(board, Text("a fox"), "enter") == [Command.LINE_CLOSED, Prompt("a fox")]
    assert board.view() is None


@pytest.mark.parametrize("key", ["/", "kp_/"])
def test_the_slash_that_opens_the_line_is_not_typed_into_it(key):
    board = keyboard()
    assert feed(board, key, Text("/")) == [Command.LINE_OPENED]
    feed(board, Text("x"), KeyUp(key), KeyDown("/"), Text("/"))
    assert board.view().text == "x/"


def test_a_slash_typed_next_is_kept_when_the_first_one_came_without_text():
    board = keyboard()
    feed(board, "/", KeyUp("/"), KeyDown("/"), Text("/"))
    assert board.view().text == "/"


def test_a_slash_that_only_comes_as_text_opens_the_line_too():
    board = keyboard()
    assert feed(board, KeyDown("7", SHIFT), Text("/")) == [Command.LINE_OPENED]
    assert board.view().text == ""


def test_shift_enter_cuts_to_the_words_of_the_open_line():
    assert feed(opened(), Text("a city"), KeyDown("enter", SHIFT)) == [Command.LINE_CLOSED, Scene("a city")]


def test_shift_enter_with_the_line_closed_cuts_to_the_current_words():
    asked = ["the first words"]
    board = Keyboard(lambda: asked[-1], DIALS, str)
    asked += [out.text for out in feed(board, "enter", Text("a fox"), "enter") if isinstance(out, Prompt)]
    assert feed(board, KeyDown("enter", SHIFT)) == [Scene("a fox")]


def test_shift_enter_on_an_empty_line_cuts_to_the_current_words():
    assert feed(opened(), KeyDown("enter", SHIFT)) == [Command.LINE_CLOSED, Scene("the first words")]


def test_a_hard_cut_before_any_world_is_open_asks_for_nothing():
    assert feed(Keyboard(str, {}, str), KeyDown("enter", SHIFT)) == []


def test_a_world_that_opens_late_brings_its_words_and_dials_and_leaves_the_line_open():
    asked = [""]
    board = Keyboard(lambda: asked[-1], {}, str)
    feed(board, "enter", Text("a f"))
    asked.append("the showpiece")
    board.meet(DIALS)
    assert board.view().text == "a f"
    assert feed(board, "escape", "right", KeyDown("enter", SHIFT))[1:] == [Dial("pan_x", 1.0), Scene("the showpiece")]


def test_words_from_another_source_are_the_current_words():
    asked = ["the first words"]
    board = Keyboard(lambda: asked[-1], DIALS, str)
    asked.append("from a script")
    assert feed(board, KeyDown("enter", SHIFT)) == [Scene("from a script")]


@pytest.mark.parametrize("nothing", ["", "   ", "\ue000"])
def test_enter_on_an_empty_line_only_closes_it(nothing):
    assert feed(opened(), Text(nothing), "enter") == [Command.LINE_CLOSED]


def test_escape_closes_the_line_and_never_the_show():
    board = opened()
    assert feed(board, Text("a fox"), "escape") == [Command.LINE_CLOSED]
    assert feed(board, "escape") == [Command.CANCEL]
    feed(board, "enter")
    assert board.view().text == ""


def test_ctrl_q_quits_with_the_line_open_or_closed_and_so_does_closing_the_window():
    for board in (keyboard(), opened()):
        assert feed(board, KeyDown("q", CTRL)) == [Command.QUIT]
    assert feed(keyboard(), Closed()) == [Command.QUIT]


def test_altgr_q_which_types_an_at_sign_does_not_quit():
    assert feed(keyboard(), KeyDown("q", CTRL | ALT)) == []


def test_letters_type_while_the_line_is_open_and_trigger_nothing():
    board = opened()
    assert feed(board, "h", Text("h"), "b", Text("b"), "space", Text(" "), "w", Text("w"), "[", Text("[")) == []
    assert board.view().text == "hb w["


@pytest.mark.parametrize(
    ("key", "command"), [("f1", Command.STATISTICS), ("f2", Command.SWITCH), ("f11", Command.FULLSCREEN)]
)
def test_function_keys_work_with_the_line_open(key, command):
    assert feed(opened(), key) == feed(keyboard(), key) == [command]


@pytest.mark.parametrize(("key", "command"), [("h", Command.HELP), ("space", Command.FREEZE), ("b", Command.BLACKOUT)])
def test_shortcuts_work_with_the_line_closed_and_only_without_modifiers(key, command):
    assert feed(keyboard(), key) == [command]
    assert feed(keyboard(), KeyDown(key, CTRL)) == []


@pytest.mark.parametrize("key", ["enter", "h", "space", "b", "f1", "f11"])
def test_a_held_key_does_not_toggle_back_and_forth(key):
    assert feed(keyboard(), KeyDown(key, repeat=True)) == []


def test_a_repeating_enter_does_not_submit():
    board = opened()
    assert feed(board, Text("a fox"), KeyDown("enter", repeat=True)) == []
    assert board.view().text == "a fox"


def test_alt_enter_is_full_screen_and_opens_nothing():
    assert feed(keyboard(), KeyDown("enter", ALT)) == [Command.FULLSCREEN]


def test_enter_while_composing_belongs_to_the_input_method():
    board = opened()
    assert feed(board, Composing("にほん", 3), "enter") == []
    assert feed(board, Text("日本"), Composing("", 0), "enter") == [Command.LINE_CLOSED, Prompt("日本")]


def test_escape_while_composing_drops_the_composition_first():
    board = opened()
    assert feed(board, Text("ab"), Composing("に", 1), "escape") == []
    assert board.view().text == "ab"
    assert board.view().composition == ""
    assert feed(board, "escape") == [Command.LINE_CLOSED]


def test_plain_keys_that_bring_an_empty_composition_still_type():
    board = opened()
    feed(board, "a", Composing("", 0), Text("a"))
    assert board.view().text == "a"


def test_nothing_is_typed_or_composed_while_the_line_is_closed():
    board = keyboard()
    assert feed(board, Text("x"), Composing("に", 1), Resized(10, 10)) == []
    feed(board, "enter")
    assert board.view().text == ""
    assert board.view().composition == ""


@pytest.mark.parametrize("press", [KeyDown("v", CTRL), KeyDown("v", frozenset({"meta"})), KeyDown("insert", SHIFT)])
def test_the_clipboard_is_asked_for_and_typed_into_the_line_once_it_comes(press):
    asked = []
    board = Keyboard("", {}, lambda: asked.append("text"))
    assert feed(board, "enter", Text("ab"), "left", press) == [Command.LINE_OPENED]
    assert asked == ["text"] and board.awaits_paste and board.view().text == "ab"
    assert feed(board, Pasted("two\nlines")) == [] and not board.awaits_paste
    assert board.view().text == "atwo linesb"


def test_what_the_clipboard_holds_is_dropped_if_the_line_was_closed_meanwhile():
    board = opened()
    feed(board, KeyDown("v", CTRL), "escape", "enter", Pasted("late"))
    assert board.view().text == "" and not board.awaits_paste
    feed(board, "escape", Pasted("never asked for"))
    assert board.view() is None


def test_a_megabyte_from_the_clipboard_becomes_the_longest_line_there_is():
    board = opened()
    feed(board, KeyDown("v", CTRL), Pasted("e\u0301" * 500_000))
    assert len(board.view().text) == 2_000


def test_tab_on_an_empty_line_lists_the_words_until_something_is_typed():
    board = opened()
    assert not board.lists_words
    feed(board, "tab")
    assert board.lists_words
    feed(board, "tab")
    assert not board.lists_words
    feed(board, "tab", Text("a"))
    assert not board.lists_words
    feed(board, "escape", "enter")
    assert not board.lists_words


def test_every_dial_that_a_press_sets_is_told_even_at_its_limit():
    board = keyboard()
    feed(board, *["]"] * 12)
    assert board.pressed == (Dial("zoom", 2.0),)
    feed(board, "enter")
    assert board.pressed == ()
    feed(board, "escape", "right", "0")
    assert board.pressed == (Dial("pan_x", 0.0), Dial("zoom", 1.0))


def test_a_dial_that_somebody_set_out_of_its_range_comes_down_with_the_next_press():
    board = keyboard()
    board.note(Dial("zoom", 100.0))
    assert feed(board, "[") == [Dial("zoom", 1.9)]


def test_up_recalls_what_was_submitted():
    board = opened()
    feed(board, Text("a fox"), "enter", "enter", "up")
    assert board.view().text == "a fox"


def test_a_held_arrow_pans_and_its_release_brings_the_dial_to_rest():
    board = keyboard()
    assert feed(board, "right", KeyDown("right", repeat=True)) == [Dial("pan_x", 1.0)]
    assert feed(board, KeyUp("right")) == [Dial("pan_x", 0.0)]


def test_a_pan_reaches_the_limits_the_world_declares():
    board = keyboard()
    assert feed(board, "w", KeyUp("w"), "s") == [Dial("pan_y", 0.25), Dial("pan_y", 0.0), Dial("pan_y", -0.5)]


def test_of_two_opposite_keys_the_newer_one_wins_and_the_older_one_comes_back():
    board = keyboard()
    assert feed(board, "a", "d", KeyUp("d")) == [Dial("pan_x", -1.0), Dial("pan_x", 1.0), Dial("pan_x", -1.0)]


def test_two_keys_for_the_same_direction_send_one_event():
    assert feed(keyboard(), "a", "left", KeyUp("a")) == [Dial("pan_x", -1.0)]


def test_opening_the_line_brings_held_dials_to_rest_and_a_late_release_is_nothing():
    board = keyboard()
    feed(board, "right")
    assert feed(board, "enter") == [Command.LINE_OPENED, Dial("pan_x", 0.0)]
    assert feed(board, KeyUp("right")) == []


def test_brackets_step_the_zoom_from_its_rest_and_stop_at_its_limit():
    board = keyboard()
    assert feed(board, "]", KeyDown("]", repeat=True)) == [Dial("zoom", 1.1), Dial("zoom", 1.2)]
    turned = feed(board, *[KeyDown("]", repeat=True)] * 20)
    assert turned[-1] == Dial("zoom", 2.0)
    assert len(turned) == 8, "at its limit a dial sends nothing"


def test_brackets_magnify_the_picture_of_a_world_that_does_not_zoom():
    board = keyboard(dials={**PANS, "magnify": DialRange(1.0, 4.0, 1.0)})
    assert feed(board, "]", "pageup", "[") == [Dial("magnify", value) for value in (1.15, 1.3, 1.15)]
    assert ("[  ]", "magnify: no zoom here") in help_rows(PANS)


def test_steps_go_on_from_where_another_source_left_the_dial():
    board = keyboard()
    board.note(Dial("energy", 0.9))
    assert feed(board, "-") == [Dial("energy", 0.85)]


def test_a_world_without_dials_gets_none():
    assert feed(keyboard(dials={}), "right", KeyUp("right"), "]", "-", "w") == []


def test_help_lists_only_the_dials_the_world_has():
    assert ("[  ]", "zoom") in help_rows(DIALS)
    assert ("[  ]", "zoom") not in help_rows({"pan_x": DialRange()})
    assert any("pan" in what for _, what in help_rows({"pan_x": DialRange()}))


@pytest.mark.parametrize(
    ("label", "scancode", "name"),
    [("Return", 40, "enter"), ("Keypad Enter", 88, "kp_enter"), ("A", 4, "a"), ("Left Shift", 225, "left_shift"),
     ("PageUp", 75, "pageup"), ("И", 5, "b"), ("é", 31, "é"), ("", 0, "")],
)  # fmt: skip
def test_keys_are_named_by_their_label_and_by_their_place_where_it_is_not_latin(label, scancode, name):
    assert key_name(label, scancode) == name


def written(tmp_path, *lines):
    path = tmp_path / "show.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_a_script_is_read_in_order_of_time(tmp_path):
    path = written(
        tmp_path,
        {"at_s": 4.0, "dial": "zoom", "value": 0.5},
        "",
        {"at_s": 3, "prompt": "a fox"},
        {"at_s": 5, "scene": "a city", "seed": 7},
    )
    assert read_script(path) == ((3.0, Prompt("a fox")), (4.0, Dial("zoom", 0.5)), (5.0, Scene("a city", 7)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[" * 10_000, "not a flat JSON object"),
        ("[1]", "got \\[1\\]"),
        ({"at_s": 1}, "expected"),
        ({"prompt": "x"}, "at_s is missing"),
        ({"at_s": -1, "prompt": "x"}, "at_s is -1"),
        ({"at_s": True, "prompt": "x"}, "at_s is true"),
        ({"at_s": 10**400, "prompt": "x"}, "at_s is 1000"),
        ({"at_s": float("inf"), "prompt": "x"}, "at_s is Infinity"),
        ({"at_s": 1, "prompt": " "}, "empty"),
        ({"at_s": 1, "prompt": 3}, "prompt is 3"),
        ({"at_s": 1, "prompt": "x", "speed": 2}, "unknown field 'speed'"),
        ({"at_s": 1, "prompt": "x", "dial": "zoom"}, "expected"),
        ({"at_s": 1, "dial": "zoom"}, "value is missing"),
        ({"at_s": 1, "dial": "zoom", "value": float("nan")}, "value is NaN"),
        ({"at_s": 1, "scene": "x", "seed": 1.5}, "seed is 1.5"),
    ],
)
def test_a_wrong_script_line_is_named_with_its_file_number_and_fault(tmp_path, line, said):
    path = written(tmp_path, {"at_s": 0, "prompt": "fine"}, line)
    with pytest.raises(ScriptError, match=rf"show\.jsonl, line 2: .*{said}"):
        read_script(path)


def test_a_script_that_is_not_there_says_so_in_one_line(tmp_path):
    with pytest.raises(ScriptError, match=r"nowhere\.jsonl cannot be read: No such file") as caught:
        read_script(tmp_path / "nowhere.jsonl")
    assert "\n" not in str(caught.value)


def test_a_script_sends_each_event_once_stamped_with_its_due_time():
    script = Script([(0.5, Prompt("late")), (0.25, Prompt("early"))])
    assert script.poll(10**12) == [], "nothing before the first shown frame"
    script.start(1_000)
    assert script.poll(250_000_999) == []
    assert script.poll(250_001_000) == [(Prompt("early"), 250_001_000)]
    assert script.poll(10**12) == [(Prompt("late"), 500_001_000)]
    assert script.poll(10**12) == []


DISPLAY = {
    "brightness": DialRange(0.0, 2.0, 1.0),
    "hue": DialRange(-180.0, 180.0, 0.0),
    "magnify": DialRange(1.0, 4.0, 1.0),
    "mirror": DialRange(0.0, 2.0, 0.0),
    "poster": DialRange(0.0, 2.0, 0.0),
    "guard": DialRange(0.0, 1.0, 0.0),
}


def test_the_display_is_turned_by_its_keys_and_shift_turns_back():
    board = keyboard(DIALS | DISPLAY)
    assert feed(board, ".", ",", ",") == [Dial("brightness", value) for value in (1.1, 1.0, 0.9)]
    assert feed(board, "z", KeyDown("z", SHIFT), KeyDown("z", SHIFT)) == [Dial("magnify", 1.15), Dial("magnify", 1.0)]
    assert feed(board, "n", KeyDown("n", repeat=True), KeyDown("n", SHIFT))[-2:] == [
        Dial("hue", 36.0),
        Dial("hue", 18.0),
    ]


def test_hues_go_round():
    board = keyboard(DIALS | DISPLAY)
    values = [dial.value for dial in feed(board, *["n"] * 20)]
    assert values[9:11] == [-180.0, -162.0] and values[-1] == 0.0


def test_mirror_poster_and_guard_go_through_their_numbers_and_a_held_key_does_not():
    board = keyboard(DIALS | DISPLAY)
    assert [dial.value for dial in feed(board, "m", "m", "m", KeyDown("m", repeat=True))] == [1.0, 2.0, 0.0]
    assert [dial.value for dial in feed(board, "p", "p", "p")] == [1.0, 2.0, 0.0]
    assert feed(board, "g", "g") == [Dial("guard", 1.0), Dial("guard", 0.0)]


def test_zero_brings_every_dial_to_rest_but_the_guard():
    board = keyboard(DIALS | DISPLAY)
    feed(board, ".", "n", "m", "g", "]", "-")
    rest = [Dial("zoom", 1.0), Dial("energy", 0.5), Dial("brightness", 1.0), Dial("hue", 0.0), Dial("mirror", 0.0)]
    assert feed(board, "0") == rest
    assert feed(board, "0") == []


def test_the_displays_keys_type_while_the_line_is_open_and_do_nothing_without_a_display():
    assert feed(opened(dials=DIALS | DISPLAY), ".", ",", "n", "z", "m", "g", "0") == []
    assert feed(keyboard(), ".", ",", "n", "z", "m", "g", "0") == []


def with_cues() -> Keyboard:
    return Keyboard(lambda: "the first words", DIALS, lambda: None, has_next=lambda: True)


def test_numbers_and_pages_fire_cues_where_there_are_any():
    assert feed(with_cues(), "3", "kp_9", KeyDown("2", SHIFT)) == [FireCue(2), FireCue(8), FireCue(1, only_arm=True)]
    assert feed(with_cues(), "pagedown", "pageup") == [Command.NEXT, Command.PREVIOUS]
    assert feed(keyboard(), "3") == [] and feed(keyboard(), "pageup") == [Dial("zoom", 1.1)]


def test_a_held_page_key_fires_one_cue():
    assert feed(with_cues(), KeyDown("pagedown", repeat=True)) == []


def test_enter_on_an_empty_line_is_the_next_cue_where_there_is_one():
    assert feed(with_cues(), "enter", "enter") == [Command.LINE_OPENED, Command.LINE_CLOSED, Command.NEXT]
    assert feed(keyboard(), "enter", "enter") == [Command.LINE_OPENED, Command.LINE_CLOSED]


def test_ctrl_enter_keeps_the_line_for_later():
    board = opened()
    assert feed(board, Text("blue rain"), KeyDown("enter", CTRL)) == [Command.LINE_CLOSED, StagePrompt("blue rain")]


def test_t_taps_the_beat_and_in_an_open_line_it_types():
    assert feed(keyboard(), "t", KeyDown("t", SHIFT)) == [Command.TAP, Command.RESYNC]
    assert feed(opened(), "t", "q", ";") == []


def test_f5_to_f8_are_bookmarks_also_while_the_line_is_open():
    board = keyboard()
    for _ in range(2):
        assert feed(board, KeyDown("f6", SHIFT)) == [Command.SET_F6]
        assert feed(board, KeyDown("f6")) == [Command.BACK_F6]
        assert feed(board, KeyDown("f6", frozenset({"ctrl"}))) == [Command.RECALL_F6]
        assert feed(board, KeyDown("f6", frozenset({"alt"}))) == []
        feed(board, KeyDown("enter"))
