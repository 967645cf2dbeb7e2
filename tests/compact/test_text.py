import torch

from world.compact.small import SMALL
from world.compact.text import UNKNOWN, TextEncoder, tokenize

SPOKEN = SMALL.language


def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder(16)


def test_synonyms_become_the_same_tokens():
    assert torch.equal(*tokenize(["slow crimson balls", "gently a red orbs".replace("gently", "gentle")]).split(1))


def test_words_that_say_nothing_leave_no_token():
    assert torch.equal(*tokenize(["a blue world", "blue"]).split(1))


def test_unknown_words_become_one_token_and_are_reported():
    text = "A Zebra in the blue castle!"
    assert SPOKEN.unknown_words(text) == ["zebra", "castle"]
    assert tokenize([text])[0, :3].tolist() == [UNKNOWN, tokenize(["blue"])[0, 0], UNKNOWN]


def test_known_concepts_are_found_among_strangers():
    assert SPOKEN.concepts("my zebra dreams of azure rings, growing") == ["blue", "ripples", "outwards"]


def test_a_long_prompt_is_cut_to_what_is_read():
    assert tokenize([" ".join(["red"] * 40)]).shape == (1, SPOKEN.most_words)


def test_padding_is_zero_and_words_are_not():
    embedding, _ = encoder()(tokenize(["red stripes"]))
    assert embedding.shape == (1, SPOKEN.most_words, 16)
    assert embedding[0, :2].abs().min() > 0
    assert embedding[0, 2:].abs().max() == 0


def test_a_prompt_without_words_gives_zeros_and_no_nan():
    embedding, pooled = encoder()(tokenize(["", "red"]))
    assert embedding[0].abs().max() == 0 and pooled[0].abs().max() == 0
    assert pooled[1].abs().max() > 0


def test_a_prompt_encodes_alike_alone_and_in_company():
    model = encoder().eval()
    alone, _ = model(tokenize(["red stripes"]))
    together, _ = model(tokenize(["slow blue plasma on pink", "red stripes"]))
    torch.testing.assert_close(together[1:], alone)


def test_every_concept_is_a_word_of_its_own():
    assert all(SPOKEN.concepts(concept) == [concept] for concept in SPOKEN.synonyms)


def test_only_the_known_words_of_a_prompt_are_left_for_a_show():
    assert SPOKEN.known_words("A purple elephant, the spiral!") == "purple spiral"
    assert SPOKEN.known_words("my zebra") == ""


def test_every_known_word_stands_under_one_heading():
    grouped = [word for _, words in SPOKEN.groups for word in words]
    assert sorted(grouped) == sorted(SPOKEN.thesaurus)
