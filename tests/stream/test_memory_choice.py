"""What comes back as memory when the words change, by each rule, held against the rule said literally."""

from __future__ import annotations

import logging
import math
import random
from itertools import pairwise

import numpy as np
import pytest

from loop.link.message import BlockMade
from loop.supervise.memory_choice import MEMORIES, recall_for
from loop.supervise.past import ShowPast
from tests.simulation.invariants import complaints
from tests.simulation.show import Plan, play
from world.block import Block, Conditions
from world.compact.small import SMALL
from world.event import Prompt, Recall

INFO = SMALL.info("small")
WORDS = ("slow blue plasma", "slow green rain", "slow red stripes moving left", "slow blue ripples")


def past_of(words: list[str], seed: int = 0, memory_blocks: int = 3) -> ShowPast:
    """A line of blocks under these words, with latents at random, and a branch that was left after the second."""
    chance, past = np.random.default_rng(seed), ShowPast()
    past.memory_blocks = memory_blocks
    numbers = [0, 1, *range(4, len(words) + 2)]
    for place, (index, under) in enumerate(zip(numbers, words, strict=True)):
        latents = chance.normal(size=(1, 1, 4, 2, 3)).astype(np.float16)
        block = Block(index, numbers[place - 1] if place else -1, place, latents)
        past.add(BlockMade(block, Conditions(under, 3), 0, 0))
    for index, parent in ((2, 1), (3, 2)):
        block = Block(index, parent, index, np.ones((1, 1, 4, 2, 3), np.float16))
        past.add(BlockMade(block, Conditions("a branch", 3), 0, 0))
    return past


def line_of(past: ShowPast, newest: int) -> list[int]:
    found = [newest]
    while past.parent(found[0]) >= 0:
        found.insert(0, past.parent(found[0]))
    return found


def most_like(past: ShowPast, older: list[int], newest: int) -> int:
    """The cosine of pooled latents, number by number."""

    def pooled(index: int) -> list[float]:
        latents = past.line(index)[-1].block.latents.astype(float)
        return [float(latents[0, :, channel].mean()) for channel in range(latents.shape[2])]

    def cosine(one: list[float], other: list[float]) -> float:
        dot = sum(a * b for a, b in zip(one, other, strict=True))
        return dot / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other))

    return max(reversed(older), key=lambda index: cosine(pooled(index), pooled(newest)))


@pytest.mark.parametrize("seed", range(8))
def test_each_rule_chooses_what_it_says(seed):
    chance = random.Random(seed)
    words = [WORDS[0]] * 3
    while len(words) < 14:
        words += [chance.choice(WORDS)] * chance.randint(1, 5)
    past, newest = past_of(words, seed), len(words) + 1
    line = line_of(past, newest)
    older, asked = line[:-3], chance.choice(WORDS)

    def chosen(rule: str) -> int:
        recall = recall_for(rule, past, newest, asked, INFO)
        assert recall is not None and recall.text == asked and len(recall.blocks) == INFO.sink_blocks
        return recall.blocks[-1].index

    assert chosen("like") == most_like(past, older, newest)
    shared = {w: len(set(w.split()) & set(asked.split())) / len(set(w.split()) | set(asked.split())) for w in WORDS}
    assert chosen("words") == max(reversed(older), key=lambda index: shared[past.words(index)])
    stretches = [line[0], *(b for a, b in pairwise(line) if past.words(a) != past.words(b))]
    assert chosen("switch") == max(first for first in stretches if first in older)


def test_nothing_comes_back_by_itself_unless_it_is_asked_for():
    past = past_of([WORDS[0]] * 12)
    assert recall_for("named", past, 13, WORDS[1], INFO) is None


@pytest.mark.parametrize("rule", ["like", "words", "switch"])
def test_what_is_still_in_the_window_needs_no_bringing_back(rule):
    past = past_of([WORDS[0]] * 3, memory_blocks=3)
    assert recall_for(rule, past, 4, WORDS[0], INFO) is None


def test_words_that_share_nothing_with_any_before_bring_nothing():
    past = past_of(["slow blue plasma"] * 12)
    assert recall_for("words", past, 13, "green rain", INFO) is None


def test_a_block_that_was_forgotten_is_not_chosen():
    past = ShowPast(room_bytes=10 * 48)
    past.memory_blocks = 3
    for index in range(30):
        block = Block(index, index - 1, index, np.full((1, 1, 4, 2, 3), index % 7 + 1, np.float16))
        past.add(BlockMade(block, Conditions(WORDS[0], 3), 0, 0))
    assert past.ancestors(29) == list(range(20, 30))
    for rule in ("like", "words", "switch"):
        recall = recall_for(rule, past, 29, WORDS[0], INFO)
        assert recall is not None and 20 <= recall.blocks[-1].index < 27


@pytest.mark.parametrize("rule", MEMORIES)
def test_a_show_brings_back_with_each_prompt_what_its_rule_says(caplog, rule):
    caplog.set_level(logging.CRITICAL)
    script = ((1.0, Prompt("red moon")), (3.0, Prompt("green")), (5.0, Prompt("blue moon")))
    show = play(Plan(seconds=9.0, memory=rule, script=script))
    assert complaints(show) == []
    recalls = [event for card in show.story.cards for event in card.block.events if isinstance(event, Recall)]
    words = {card.block.index: card.words for card in show.story.cards}
    assert (
        show.model.words == "blue moon"
        and [event.text for event in recalls]
        == {
            "named": [],
            "like": ["red moon", "green", "blue moon"],
            "words": ["blue moon"],
            "switch": ["red moon", "green", "blue moon"],
        }[rule]
    )
    if rule == "words":
        assert words[recalls[0].blocks[0].index] == "red moon"


def test_words_that_come_in_over_several_blocks_bring_nothing(caplog):
    caplog.set_level(logging.CRITICAL)
    show = play(Plan(seconds=8.0, memory="switch", transition=4, script=((3.0, Prompt("green")),)))
    assert not any(isinstance(event, Recall) for card in show.story.cards for event in card.block.events)
