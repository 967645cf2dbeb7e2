from dataclasses import replace

from loop.screen.operator.hint import hint
from world.info import WorldInfo

SIZES = ("w", 24.0, 6, (8, 8), "red", 1)
KNOWS = WorldInfo(*SIZES, vocabulary=("red", "stripes", "spiral"), silent=("a", "the"))


def test_known_and_silent_words_need_no_remark():
    assert hint("A red spiral, the stripes!", KNOWS) == ""


def test_an_unknown_word_is_named_with_the_nearest_known_one():
    assert hint("red spirals", KNOWS) == "unknown here: spirals (try spiral)"
    assert hint("a zebra", KNOWS) == "unknown here: zebra"


def test_only_the_first_strangers_are_named_and_each_once():
    assert hint("dog dog cat cow hen", KNOWS) == "unknown here: dog, cat, cow ..."


def test_a_world_that_reads_any_words_knows_no_strangers():
    assert hint("zebra", WorldInfo(*SIZES)) == ""


FEW = replace(KNOWS, most_words=2, fallback="red spiral")


def test_known_words_past_the_last_that_is_read_are_named():
    assert hint("red stripes", FEW) == ""
    assert hint("a red zebra, the red spiral", FEW) == "unknown here: zebra; only 2 words count, left out: spiral"


def test_each_part_of_a_mix_is_read_by_itself():
    assert hint("red stripes:0.5 | red spiral", FEW) == ""


def test_a_text_without_a_known_word_is_told_what_plays_instead_once_it_is_finished():
    assert hint("a zebra", FEW) == "unknown here: zebra; without a known word it plays 'red spiral'"
    assert hint("the 7", FEW) == "without a known word it plays 'red spiral'"
    assert hint("a", FEW, is_finished=False) == ""
    assert hint("", FEW) == ""


def test_a_weight_that_cannot_be_is_told_while_it_is_typed():
    assert "weight 1e9 of 'red': give a number" in hint("red:1e9 | spiral", KNOWS, is_finished=False)


def test_a_pasted_page_of_unknown_words_is_looked_at_only_as_far_as_it_is_told(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "loop.screen.operator.hint.get_close_matches", lambda word, words, most: asked.append(word) or []
    )
    page = " ".join(f"{a}{b}x" for a in "abcdefgh" for b in "abcdefgh")
    assert hint(page, KNOWS) == "unknown here: aax, abx, acx ..."
    assert len(asked) == 3
    assert hint("x" * 1000, KNOWS) == f"unknown here: {'x' * 29}…"
