"""UMT5: the published numbers, the words it is given, and the form of what it gives."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.conformance import load
from tests.conformance import umt5 as conformance
from tests.wan.wan_folder import write_tokenizer
from world.info import WorldError
from world.wan.umt5 import TEXT_LENGTH, UMT5, PromptEncoder, Tokenizer, UMT5Config, relative_buckets

GOLDEN = Path(__file__).parent.parent / "golden" / "g_umt5.json"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("umt5")
    write_tokenizer(folder)
    return Tokenizer(folder)


def tiny() -> UMT5:
    torch.manual_seed(0)
    return UMT5(UMT5Config(vocabulary=80, dim=8, attention_dim=8, ffn_dim=12, heads=2, layers=2))


def test_the_golden_vectors_are_reproduced():
    tensors, about = load(GOLDEN)
    errors = conformance.check(tensors, about)
    assert max(errors.values()) < about["tolerance"]["abs"]


def test_the_released_sizes_have_the_released_parameters():
    with torch.device("meta"):
        model = UMT5()
    assert len(model.state_dict()) == 242
    assert model.state_dict()["blocks.23.ffn.gate.0.weight"].shape == (10_240, 4096)
    assert model.state_dict()["blocks.0.pos_embedding.embedding.weight"].shape == (32, 64)


def test_positions_ahead_and_behind_read_different_rows():
    buckets = relative_buckets(200, 32, 128)
    assert buckets[0, 0] == 0
    assert buckets[5, 2] == 3 and buckets[2, 5] == 19
    assert buckets[199, 0] == 15 and buckets[0, 199] == 31
    # 8 and more share rows that grow with the distance: 16 is the first of its row
    assert buckets[8, 0] == 8 and buckets[16, 0] == 10 and buckets[15, 0] == 9


def test_words_past_the_end_of_a_prompt_are_zero_rows(tokenizer):
    embedding = PromptEncoder(tiny(), tokenizer)("a red fox")
    length = len(tokenizer("a red fox"))
    assert embedding.shape == (1, TEXT_LENGTH, 8)
    assert embedding[0, :length].abs().sum(1).min() > 0
    assert embedding[0, length:].abs().max() == 0


def test_a_prompt_is_encoded_as_if_it_had_been_padded(tokenizer):
    model = tiny()
    ids = torch.zeros(1, TEXT_LENGTH, dtype=torch.long)
    tokens = tokenizer("rain falls on roofs")
    ids[0, : len(tokens)] = torch.tensor(tokens)
    padded = model.embed(ids, (torch.arange(TEXT_LENGTH) < len(tokens))[None])
    assert torch.allclose(PromptEncoder(model, tokenizer)("rain falls on roofs"), padded, atol=1e-5)


def test_a_prompt_is_encoded_once_while_it_is_among_the_newest(tokenizer):
    model = tiny()
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    encode = PromptEncoder(model, tokenizer, keep=2)
    first = encode("a red fox")
    assert torch.equal(encode("a red fox"), first) and len(calls) == 1
    encode("green hill")
    encode("blue night")
    encode("a red fox")
    assert len(calls) == 4


def test_a_prompt_ends_with_the_end_mark_and_a_long_one_is_cut(tokenizer):
    assert tokenizer("a red fox")[-1] == 1
    long = tokenizer("a red fox runs " * 300)
    assert len(long) == TEXT_LENGTH and long[-1] == 1


def test_broken_text_is_repaired_before_it_is_read(tokenizer):
    assert tokenizer.clean("  Tom &amp;amp; Jerry\n  waitâ€™s ") == "Tom & Jerry wait's"
    assert tokenizer("Tom &amp; Jerry") == tokenizer("Tom & Jerry")


def test_half_a_character_is_left_out(tokenizer):
    assert tokenizer.clean("a red \ud83e fox") == "a red fox"
    assert tokenizer("a red \ud83e fox") == tokenizer("a red fox")
    assert tokenizer("a red &#xd83e; fox")[-1] == 1


def test_a_tokenizer_that_fails_at_an_unknown_word_is_refused(tmp_path):
    model = {"type": "Unigram", "unk_id": None, "vocab": [["a", -1.0], ["</s>", -1.0]], "byte_fallback": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(WorldError, match=r"tokenizer\.json cannot be read as a tokenizer") as caught:
        Tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_size_follows_from_the_highest_number_of_a_token(tmp_path):
    model = {"type": "WordLevel", "unk_token": "</s>", "vocab": {"</s>": 1, "fox": 900}}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    assert Tokenizer(tmp_path).size == 901


def test_a_folder_without_a_tokenizer_says_which_file_is_missing(tmp_path):
    with pytest.raises(WorldError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        Tokenizer(tmp_path)


def test_a_missing_library_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(WorldError, match=r"pip install 'neverblink\[wan\]'"):
        Tokenizer(tmp_path)
