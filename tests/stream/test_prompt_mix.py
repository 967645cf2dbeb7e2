import json
import math

import pytest
import torch

from world.diffusion.encoded_prompts import mix_texts
from world.diffusion.model import TextEncoding
from world.event import Prompt, Scene, event_of, from_json, to_json, words_of
from world.prompt_mix import blend_prompts, parse_mix, parts_of, transition_steps


def test_weights_are_read_and_add_up_to_one():
    assert parse_mix("a neon tunnel:0.7 | blue rain:0.3") == (("a neon tunnel", 0.7), ("blue rain", pytest.approx(0.3)))
    assert parse_mix("red:3|blue") == (("red", 0.75), ("blue", 0.25))


def test_a_prompt_without_a_bar_is_one_part_whatever_its_colons():
    assert parse_mix("chapter 2: 1984") == (("chapter 2: 1984", 1.0),)


@pytest.mark.parametrize("text", ["|", " | | ", "a:0 | b:0"])
def test_a_mix_of_nothing_is_plain_words(text):
    assert parse_mix(text) == ((text, 1.0),)


def test_a_part_of_no_weight_is_left_out():
    assert parse_mix("a:0 | b:2") == (("b", 1.0),)


@pytest.mark.parametrize("weight", ["9" * 400, "1e999", "inf", "-INFINITY", "nan", "-1", "1001", "1e4"])
def test_a_weight_that_is_no_usable_number_is_refused_where_it_comes_in(weight):
    for kind in (Prompt, Scene):
        with pytest.raises(ValueError, match=r"the weight .* of 'red ripples': give a number from 0 to 1000") as error:
            kind(f"red ripples:{weight} | blue rain")
        assert len(str(error.value)) < 100


def test_a_transition_goes_in_even_steps_and_ends_in_the_new_words():
    first, half, last, end = transition_steps("red", "blue", 4)
    assert first.parts == (("red", 0.75), ("blue", 0.25)) and half.parts == (("red", 0.5), ("blue", 0.5))
    assert last.parts == (("red", 0.25), ("blue", 0.75)) and end == "blue"
    assert transition_steps("red", "blue", 1) == ["blue"]


def test_a_transition_from_within_another_starts_at_its_mix():
    half = blend_prompts("red", "blue", 0.5)
    assert blend_prompts(half, "blue", 0.5).parts == (("red", 0.25), ("blue", 0.75))
    assert blend_prompts(half, "green", 0.5).parts == (("red", 0.25), ("blue", 0.25), ("green", 0.5))
    assert blend_prompts("red:0.5 | blue:0.5", "green", 0.5).parts == (("red", 0.25), ("blue", 0.25), ("green", 0.5))


@pytest.mark.parametrize("blocks", [2, 8, 51, 64])
@pytest.mark.parametrize("old", ["red", "x" * 2000, " | ".join(f"{n} balloons" for n in range(60)), "a: 1 b | c:0.5"])
def test_a_transition_of_any_length_between_any_words_is_made_of_usable_mixes(blocks, old):
    new = "y" * 1999
    steps = transition_steps(old, new, blocks)
    assert len(steps) == blocks and steps[-1] == new
    for words in steps:
        assert sum(weight for _, weight in parts_of(words)) == pytest.approx(1)
        assert words_of(event_of(words)) == words and from_json(json.loads(json.dumps(to_json(event_of(words)))))


def test_words_whose_share_would_not_be_seen_are_left_out():
    assert blend_prompts("red", "blue", 0.01) == "red"


def test_a_blend_in_a_log_must_add_up_to_one():
    for parts in ([], [["red", 0.5]], [["red", 2.0], ["blue", -1.0]], [["red", math.nan]]):
        with pytest.raises(ValueError, match="expected numbers above 0 that add up to 1"):
            from_json({"type": "blend", "parts": parts})


def test_encoded_prompts_are_mixed_by_weight_and_padded_to_the_longest():
    one, two = (
        TextEncoding(torch.ones(1, 1, 2), torch.ones(1, 3)),
        TextEncoding(3 * torch.ones(1, 2, 2), 5 * torch.ones(1, 3)),
    )
    result = mix_texts([(one, 0.25), (two, 0.75)])
    assert result.embedding.tolist() == [[[2.5, 2.5], [2.25, 2.25]]]
    assert result.pooled.tolist() == [[4.0, 4.0, 4.0]]


def test_a_mix_of_one_is_that_prompt_bit_for_bit():
    text = TextEncoding(torch.randn(1, 3, 2), None)
    assert mix_texts([(text, 1.0)]) is text
