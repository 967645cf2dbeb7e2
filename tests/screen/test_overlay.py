"""Where the overlay puts things, with a font whose every character is half as wide as high."""

from __future__ import annotations

import pytest

from input.characters import clean_typing
from input.help import help_rows
from input.textline import LineView
from loop.screen.fonts import FontFallback
from loop.screen.marks import AMBER, Bar, Caret, Label, Panel
from loop.screen.overlay import OverlayState, layout
from loop.screen.text_fit import elide, visible, wrap

SIZES = [(640, 360), (1280, 720), (3840, 2160), (400, 900), (2000, 200)]
HD = (1280, 720)


def measure(text: str, size: int) -> int:
    return len(text) * size // 2


def marks(size=HD, **state):
    return layout(OverlayState(**state), size, measure)


def texts(found) -> list[str]:
    return [mark.text for mark in found if isinstance(mark, Label)]


def label(found, text: str) -> Label:
    return next(mark for mark in found if isinstance(mark, Label) and mark.text == text)


def the(kind, found):
    (mark,) = [mark for mark in found if isinstance(mark, kind)]
    return mark


def test_nothing_to_say_draws_nothing():
    assert marks() == ()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "state",
    [
        {"line": LineView("words " * 300, 900), "hint": "unknown words: " + "fox " * 50},
        {"line": LineView("a", 1, "にほん" * 40, 100), "statistics": (("queue age", "184 ms"),) * 12},
        {"toast": "a lighthouse in a storm " * 20, "hint": "unknown words: storm", "status": "restarting " * 20},
        {"status": "loading the world small ... " * 5, "has_picture": False},
        {"help": help_rows({}), "statistics": (("frames a second", "16.0"),), "line": LineView("a", 1)},
    ],
)
def test_everything_stays_inside_the_window(size, state):
    for mark in marks(size, **state):
        width = measure(mark.text, mark.size) if isinstance(mark, Label) else mark.w
        height = mark.size if isinstance(mark, Label) else mark.h
        assert 0 <= mark.x <= mark.x + width <= size[0], mark
        assert 0 <= mark.y <= mark.y + height <= size[1], mark


def test_type_grows_with_the_window_and_never_gets_illegible():
    heights = [label(marks(size, line=LineView("fox", 3)), "fox").size for size in ((640, 360), HD, (3840, 2160))]
    assert heights == [14, 26, 78]


def test_the_caret_stands_behind_the_character_it_follows():
    found = marks(line=LineView("a fox", 1))
    words = label(found, "a fox")
    assert the(Caret, found).x == words.x + measure("a", words.size)


def test_an_unlit_caret_keeps_its_place_for_the_input_method():
    found = marks(line=LineView("a", 1), caret_lit=False)
    assert not the(Caret, found).lit
    assert the(Caret, found).x == the(Caret, marks(line=LineView("a", 1))).x


def test_a_composition_is_underlined_in_its_place_with_its_own_caret():
    found = marks(line=LineView("ab", 1, "にほん", 2))
    composed, after = label(found, "にほん"), label(found, "b")
    line = the(Bar, found)
    assert (line.x, line.w) == (composed.x, measure("にほん", composed.size))
    assert after.x == composed.x + line.w
    assert the(Caret, found).x == composed.x + measure("にほ", composed.size)


def test_a_long_line_scrolls_so_that_the_caret_and_its_neighbours_are_seen():
    text = "".join(chr(ord("a") + i % 26) for i in range(2_000))
    for caret in (0, 1, 500, 1_000, 1_990, 2_000):
        first, last = visible(text, caret, 10, 300, measure)
        assert first <= caret <= last
        assert measure(text[first:last], 10) == 300, "the width is used"
        assert caret == 0 or first < caret
        assert caret == 2_000 or last > caret


def test_an_empty_line_says_what_to_write():
    assert "what comes next?" in texts(marks(line=LineView()))
    assert "what comes next?" not in texts(marks(line=LineView("", 0, "に", 1)))


def test_a_hint_about_words_stands_above_the_line():
    found = marks(line=LineView("a fox", 5), hint="unknown words: fox")
    hint = label(found, "unknown words: fox")
    assert hint.color == AMBER
    assert hint.y < label(found, "a fox").y


def test_the_submitted_words_show_until_a_line_is_open_again():
    assert texts(marks(toast="a fox")) == ["a fox"]
    assert "a fox" not in texts(marks(toast="a fox", line=LineView()))


def test_help_is_drawn_last_and_silences_the_messages():
    found = marks(help=(("H", "these keys"),), toast="a fox", statistics=(("rate", "16"),))
    assert texts(found) == ["rate", "16", "H", "these keys"]


def test_status_waits_in_the_middle_until_there_is_a_picture_and_then_keeps_to_the_top():
    waiting = label(marks(status="loading", has_picture=False), "loading")
    playing = label(marks(status="restarting"), "restarting")
    assert abs(waiting.y + waiting.size / 2 - HD[1] / 2) <= 1
    assert playing.y < HD[1] / 10


def test_blackout_shows_only_what_the_performer_opened():
    hidden = marks(blackout=True, status="restarting", toast="a fox", hint="unknown words: fox")
    assert hidden == ()
    opened = marks(blackout=True, line=LineView("a fox", 5), statistics=(("rate", "16"),), help=(("H", "keys"),))
    assert {"a fox", "rate", "H"} <= set(texts(opened))


def test_statistics_have_their_values_flush_right():
    found = marks(statistics=(("queue age", "184 ms"), ("rate", "16")))
    panel = the(Panel, found)
    ends = {mark.x + measure(mark.text, mark.size) for mark in map(lambda t: label(found, t), ("184 ms", "16"))}
    assert len(ends) == 1
    assert ends.pop() < panel.x + panel.w


def test_too_much_text_is_elided_between_characters():
    assert elide("a fox", 10, 25, measure) == "a fox"
    assert elide("a foxes", 10, 25, measure) == "a fo…"
    assert elide("👨\u200d👩\u200d👧abc", 10, 25, measure) == "…", "half a family is no character"


def test_wrapping_keeps_words_whole_and_elides_the_last_line():
    assert wrap("aa bb cc dd", 10, 25, measure, 3) == ["aa bb", "cc dd"]
    assert wrap("aa bb cc dd ee", 10, 25, measure, 2) == ["aa bb", "cc d…"]
    assert wrap("", 10, 25, measure, 2) == []


def test_text_is_drawn_by_the_first_font_that_has_all_of_a_character():
    glyphs = {"latin": set("abc👩"), "emoji": set("👩👧")}
    found = {"notoemoji": "emoji"}
    fonts = FontFallback("latin", found.get, lambda font, char: char in glyphs[font])
    assert fonts.split("a👩b") == [("latin", "a👩b")]
    assert fonts.split("a👩\u200d👧b") == [("latin", "a"), ("emoji", "👩\u200d👧"), ("latin", "b")]


def test_what_no_font_has_is_left_to_the_bundled_one():
    fonts = FontFallback("latin", lambda name: None, lambda font, char: False)
    assert fonts.split("x\n" + clean_typing("中")) == [("latin", "x 中")]


def test_system_fonts_are_looked_for_only_when_the_bundled_one_lacks_a_character():
    asked = []
    fonts = FontFallback("latin", asked.append, lambda font, char: char.isascii())
    fonts.split("plain words")
    assert asked == []
    fonts.split("中")
    assert asked
