from loop.screen.hint import hint
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
