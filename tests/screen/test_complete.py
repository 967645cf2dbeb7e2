"""Known words that complete while typing, as a typist meets them."""

from __future__ import annotations

import random
import string
import time
from types import SimpleNamespace

import pytest

from input.complete import complete, word_before
from input.gesture import Composing, KeyDown, Text
from input.help import help_rows
from input.keys import Keyboard
from input.textline import LineView, TextLine
from loop.controls import ShowControls
from loop.screen.marks import DIM, GHOST, WHITE, Caret, Label
from loop.screen.overlay import OverlayState, layout
from loop.screen.screen import Headless
from tests.show.test_controls import FakeModel
from world.event import MAX_TEXT, Prompt

WORDS = ("plasma", "pink", "planets", "pond", "purple", "rain", "rainy", "ripple", "ripples")
SHIFT = frozenset({"shift"})


def typed(text: str, words=WORDS) -> TextLine:
    """A line that knows `words`, with `text` typed into it and the caret where `^` is, or at the end."""
    line = TextLine()
    line.know(words)
    before, _, after = text.partition("^")
    line.insert(before + after)
    line.caret = len(before)
    return line


def shown(line: TextLine) -> str:
    """The line with its caret as `^`."""
    return line.text[: line.caret] + "^" + line.text[line.caret :]


def tab(line: TextLine, *mods: str) -> str:
    assert line.press("tab", frozenset(mods))
    return shown(line)


def test_the_shortest_word_comes_first_and_then_the_alphabet_decides():
    assert complete("p", tuple(sorted(WORDS))) == ("pink", "pond", "plasma", "purple", "planets")
    assert complete("pl", tuple(sorted(WORDS))) == ("plasma", "planets")


def test_an_empty_prefix_and_a_whole_word_have_no_completion_of_their_own():
    assert complete("", WORDS) == ()
    assert complete("ripples", WORDS) == ()
    assert complete("ripple", WORDS) == ("ripples",)
    assert complete("q", WORDS) == ()


def test_the_case_of_what_is_typed_does_not_matter():
    assert complete("RIP", WORDS) == ("ripple", "ripples")


def test_ten_thousand_words_are_looked_through_within_a_tick():
    chance = random.Random(1)
    words = tuple(sorted({"".join(chance.choices(string.ascii_lowercase, k=8)) for _ in range(10_000)}))
    line = typed("p", words)
    line.view()
    start = time.process_time()
    for _ in range(100):
        line.view()
    for letter in string.ascii_lowercase:
        assert complete(letter, words)
    assert time.process_time() - start < 126 * 0.004, "a quarter of a tick each"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("purple rip^", "rip"),
        ("a:0.7 | rip^", "rip"),
        ("rip^:0.7 | blue:0.3", "rip"),
        ("rip^, blue", "rip"),
        ("(rip^", "rip"),
        ("purple ^", ""),
        ("pur^ple", ""),
        ("^purple", ""),
        ("it's^", ""),
        ("it^'s", ""),
        ("0.7p^", ""),
        ("big_p^", ""),
        ("", ""),
    ],
)
def test_the_word_at_the_caret_is_the_one_that_ends_there(line, word):
    before, _, after = line.partition("^")
    assert word_before(before + after, len(before)) == word


def test_the_ghost_is_what_the_best_word_adds():
    assert typed("purple rip").view() == LineView("purple rip", 10, ghost="ple")
    assert typed("ripple").view().ghost == "s"


@pytest.mark.parametrize("text", ["", "purple ", "ripples", "xy", "pur^ple"])
def test_there_is_no_ghost_without_a_beginning_of_a_known_word(text):
    assert typed(text).view().ghost == ""


def test_in_a_weighted_mix_the_word_at_the_caret_completes():
    assert typed("rain:0.7 | pu").view().ghost == "rple"
    assert tab(typed("pu^:0.7 | rain:0.3")) == "purple^:0.7 | rain:0.3"


def test_a_world_that_reads_any_words_completes_none_and_tab_does_nothing():
    line = typed("purple rip", words=())
    assert line.view().ghost == ""
    assert tab(line) == "purple rip^"


def test_tab_takes_the_ghost_and_a_space():
    assert tab(typed("purple rip")) == "purple ripple ^"
    assert tab(typed("Purple RIP")) == "Purple RIPple ^"


def test_before_other_words_tab_adds_no_space():
    assert tab(typed("pur^ ripples")) == "purple^ ripples"


def test_tab_again_at_once_tries_the_next_word_around_the_end():
    line = typed("pl")
    assert [tab(line) for _ in range(3)] == ["plasma ^", "planets ^", "plasma ^"]


def test_shift_tab_goes_back():
    line = typed("p")
    tab(line)
    tab(line)
    assert tab(line, "shift") == "pink ^"
    assert tab(line, "shift") == "planets ^"


def test_shift_tab_without_a_completion_does_nothing():
    assert tab(typed("pl"), "shift") == "pl^"


def test_in_the_middle_of_the_line_the_next_word_takes_the_place_of_the_last():
    line = typed("rai^:0.7")
    assert [tab(line) for _ in range(2)] == ["rain^:0.7", "rainy^:0.7"]


def test_while_trying_words_no_other_ghost_is_shown():
    line = typed("rai^:0.7")
    tab(line)
    assert line.view().ghost == ""


def test_typing_on_keeps_the_word_that_was_tried():
    line = typed("pl")
    tab(line)
    line.insert("ri")
    assert tab(line) == "plasma ripple ^"


def test_a_cancelled_line_leaves_no_words_to_try():
    line = typed("pl")
    tab(line)
    line.cancel()
    line.insert("plasma ")
    assert tab(line) == "plasma ^"


@pytest.mark.parametrize("mod", ["ctrl", "alt", "meta"])
def test_tab_with_another_key_belongs_to_the_desktop(mod):
    line = typed("pl")
    line.press("tab", frozenset({mod}))
    assert shown(line) == "pl^"


def test_while_composing_there_is_no_ghost_and_tab_belongs_to_the_input_method():
    line = typed("pl")
    line.compose("に", 1)
    assert line.view() == LineView("pl", 2, "に", 1)
    assert tab(line) == "pl^"
    line.compose("", 0)
    assert line.view().ghost == "asma"


def test_a_word_is_never_completed_by_half():
    line = typed("x" * (MAX_TEXT - 4) + " pl")
    assert line.view().ghost == ""
    assert tab(line).endswith(" pl^")


def test_words_are_known_from_when_the_world_is_met():
    words: list[str] = []
    board = Keyboard(str, {}, str, lambda: words)
    board.handle(KeyDown("enter"))
    board.handle(Text("rip"))
    assert board.view().ghost == ""
    words += WORDS
    board.meet({})
    assert board.view().ghost == "ple"


def test_enter_submits_what_was_typed_and_not_the_ghost():
    board = Keyboard(str, {}, str, lambda: WORDS)
    for gesture in (KeyDown("enter"), Text("purple rip")):
        board.handle(gesture)
    assert Prompt("purple rip") in board.handle(KeyDown("enter"))


def test_what_tab_completed_is_submitted():
    model = FakeModel()
    model.info = SimpleNamespace(vocabulary=WORDS)
    board = ShowControls(Headless(), None, model).keyboard
    gestures = [KeyDown("enter"), Text("pur"), KeyDown("tab"), Text("rip"), KeyDown("tab"), KeyDown("tab")]
    gestures += [KeyDown("tab", SHIFT), Composing("", 0), KeyDown("enter")]
    assert Prompt("purple ripple") in [asked for gesture in gestures for asked in board.handle(gesture)]


def test_help_names_tab_where_words_are_known():
    assert "Tab  Shift+Tab" in dict(help_rows({}, WORDS))
    assert "Tab  Shift+Tab" not in dict(help_rows({}))


def labels(view: LineView, size=(1280, 720)) -> dict[str, Label]:
    marks = layout(OverlayState(line=view), size, lambda text, size: len(text) * size // 2)
    return {mark.text: mark for mark in marks if isinstance(mark, Label)}


def test_the_ghost_is_drawn_after_the_caret_in_a_dimmer_colour_and_moves_the_rest():
    view = typed("pu^:0.7").view()
    found = labels(view)
    assert (found["pu"].color, found["rple"].color, found[":0.7"].color) == (WHITE, GHOST, WHITE)
    assert found["pu"].x < found["rple"].x < found[":0.7"].x
    assert max(GHOST) < min(DIM)
    marks = layout(OverlayState(line=view), (1280, 720), lambda text, size: len(text) * size // 2)
    (caret,) = [mark for mark in marks if isinstance(mark, Caret)]
    assert caret.x == found["rple"].x


def test_the_line_says_that_tab_completes_while_it_would_and_where_there_is_room():
    assert any("Tab" in text for text in labels(typed("pu").view()))
    assert not any("Tab" in text for text in labels(typed("pu", words=()).view()))
    narrow = labels(typed("pu").view(), (520, 900))
    assert any("Esc" in text for text in narrow)
    assert not any("Tab" in text for text in narrow)
