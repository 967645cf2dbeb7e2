import pytest
import torch

from world.diffusion.encoded_prompts import mix_texts
from world.diffusion.model import TextEncoding
from world.prompt_mix import blend_prompts, parse, steps


def test_weights_are_read_and_add_up_to_one():
    assert parse("a neon tunnel:0.7 | blue rain:0.3") == (("a neon tunnel", 0.7), ("blue rain", pytest.approx(0.3)))
    assert parse("red:3|blue") == (("red", 0.75), ("blue", 0.25))


def test_a_prompt_without_a_bar_is_one_part_whatever_its_colons():
    assert parse("chapter 2: 1984") == (("chapter 2: 1984", 1.0),)


@pytest.mark.parametrize("text", ["|", " | | ", "a:0 | b:0"])
def test_a_mix_of_nothing_is_plain_words(text):
    assert parse(text) == ((text, 1.0),)


def test_a_part_of_no_weight_is_left_out():
    assert parse("a:0 | b:2") == (("b", 1.0),)


def test_a_transition_goes_in_even_steps_and_ends_in_the_new_words():
    assert steps("red", "blue", 4) == ["red:0.75 | blue:0.25", "red:0.5 | blue:0.5", "red:0.25 | blue:0.75", "blue"]
    assert steps("red", "blue", 1) == ["blue"]


def test_a_transition_from_within_another_starts_at_its_mix():
    assert blend_prompts("red:0.5 | blue:0.5", "blue", 0.5) == "red:0.25 | blue:0.75"
    assert parse(blend_prompts("red:0.5 | blue:0.5", "green", 0.5)) == (("red", 0.25), ("blue", 0.25), ("green", 0.5))


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
