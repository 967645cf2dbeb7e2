"""Characters that nobody sees are dropped alike, wherever a text comes from."""

import json

import pytest

from input.characters import clean_typing
from input.gesture import KeyDown, Text
from input.keys import Keyboard
from input.script import read_script
from loop.cli.options import parse_command_line
from world.event import Prompt, Scene, clean_text, from_json
from world.info import split_words

INVISIBLE = {
    "soft hyphen": "\u00ad",
    "zero-width space": "\u200b",
    "byte order mark": "\ufeff",
    "word joiner": "\u2060",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "combining grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "Mongolian vowel separator": "\u180e",
    "escape": "\x1b",
    "variation selector": "\ufe0f",
    "ideographic variation selector": "\U000e0100",
    "joiner": "\u200d",
    "non-joiner": "\u200c",
    "tag": "\U000e0067",
}


@pytest.mark.parametrize("char", INVISIBLE.values(), ids=INVISIBLE)
def test_a_word_with_an_invisible_character_in_it_is_that_word_from_every_source(char, tmp_path):
    word = f"{char}pur{char}ple{char}"
    script = tmp_path / "a.jsonl"
    script.write_text(json.dumps({"at_s": 0, "prompt": word}) + "\n" + json.dumps({"at_s": 1, "scene": word}))
    board = Keyboard("", {}, str)
    typed = [out for g in (KeyDown("enter"), Text(word), KeyDown("enter")) for out in board.handle(g)]
    assert clean_text(word) == "purple"
    assert [event.text for _, event in read_script(script)] == ["purple", "purple"]
    assert typed[-1] == Prompt("purple") and typed[-1].text == "purple"
    assert parse_command_line(["--prompt", word]).prompt == "purple"
    assert from_json({"type": "scene", "text": word}) == Scene("purple")
    assert split_words(word) == ["purple"]  # a prompt that a program gave to `World.session` as it is


@pytest.mark.parametrize("char", INVISIBLE.values(), ids=INVISIBLE)
def test_a_text_of_invisible_characters_is_empty(char):
    with pytest.raises(ValueError, match="the prompt is empty"):
        clean_text(f" {char}{char} ")


@pytest.mark.parametrize(
    "text",
    [
        "a family \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "a heart \u2764\ufe0f and a healing one \u2764\ufe0f\u200d\U0001fa79",
        "key 1\ufe0f\u20e3",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "the flag \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "caf\u00e9 cafe\u0301 \u8fbb\U000e0100",
    ],
)
def test_what_joins_its_neighbours_is_kept(text):
    assert clean_text(text) == text
    assert clean_typing(text) == text


def test_white_space_of_every_kind_is_one_space():
    assert clean_text("a\u00a0b\u3000c\u2028d\te\r\nf") == "a b c d e f"
