"""What a sentence leaves out stays: slots, complete descriptions, and sessions of a world that has them."""

from dataclasses import replace

import pytest
import torch

from tests.compact.test_form import GARDEN
from tests.support.tiny import tiny_world
from world.block import Block
from world.compact.form import describe_form, form_in
from world.compact.language import MOST_PARTS
from world.compact.word_slots import WordSlots
from world.event import Prompt, Scene, from_json, said_of, to_json
from world.prompt_mix import PromptMix, parts_of

SLOTS = WordSlots(
    values={"plant": ("rose", "none"), "water": ("pond", "dry"), "colour": ("red", "white")},
    start={"plant": "none", "water": "dry", "colour": "red"},
    ended={"plant": "none", "water": "dry"},
    ending="gone",
    brings={"rose": {"colour": "white"}, "none": {"colour": "red"}},
)
WORDS = {word: (word,) for word in ("rose", "none", "pond", "dry", "gone", "white")} | {"red": ("red", "crimson")}
SPEECH = replace(
    GARDEN.language,
    synonyms=WORDS,
    groups=(("all", (*WORDS, "crimson")),),
    examples=("the pond",),
    showpiece="the rose pond",
    slots=SLOTS,
)


def told(*texts: str) -> str:
    """What is read after these were said, one after the other."""
    words = None
    for text in texts:
        words = SPEECH.complete(text, words)
    assert words is not None
    return words


def test_what_a_sentence_does_not_name_stays():
    assert told("a crimson rose") == "rose dry red"
    assert told("a crimson rose", "the pond") == "rose pond red"
    assert told("a crimson rose", "the pond", "white") == "rose pond white"


def test_what_is_complete_stays_as_it_is():
    whole = told("a red rose by the pond")
    assert SPEECH.complete(whole, None) == SPEECH.complete(whole, "none dry red") == whole


def test_what_comes_where_nothing_was_brings_its_own_colour_unless_told():
    assert told("a rose") == "rose dry white"
    assert told("a red rose") == "rose dry red"
    assert told("a red rose", "none") == "none dry red"


@pytest.mark.parametrize("text", ["the pond gone", "gone the pond", "the pond gone, a rose"])
def test_what_is_gone_leaves_its_slot_empty(text):
    assert told("a red rose by the pond", text) == "rose dry red"


def test_strangers_change_nothing_and_at_the_beginning_are_the_showpiece():
    assert told("a red rose", "the zebra") == "rose dry red"
    assert told("the zebra") == told("the rose pond")
    silent = replace(SPEECH, showpiece="the")
    assert silent.complete("zebra", None) == "none dry red"


def test_each_part_of_a_mix_is_made_complete():
    mixed = told("a red rose", "white:3 | pond:1")
    assert parts_of(mixed) == (("rose dry white", 0.75), ("rose pond red", 0.25))
    assert told("a red rose", "red | rose | zebra") == "rose dry red"  # all the same in the end


def test_a_transition_counts_as_the_words_that_it_leads_to():
    half = PromptMix((("rose dry red", 0.6), ("rose pond red", 0.4)))
    assert SPEECH.complete("white", half) == "rose pond white"


def test_a_mix_of_very_many_parts_still_fits_into_a_prompt():
    values = tuple(f"{first}{second}" for first in "abcdefgh" for second in "ijklmnop")
    many = replace(
        SPEECH,
        synonyms=WORDS | {value: (value,) for value in values},
        slots=WordSlots({"letter": values}, {"letter": values[0]}),
    )
    mixed = many.complete(" | ".join(values), None)
    assert len(parts_of(Prompt(mixed).text)) == MOST_PARTS


def test_a_language_without_slots_reads_every_text_as_it_is():
    assert GARDEN.language.complete("roses, strangers", "pond") == "roses, strangers"


def test_slots_lie_in_the_file_and_old_files_have_none():
    form = replace(GARDEN, language=SPEECH)
    (text,) = describe_form(form).values()
    assert form_in(text).language.complete("red", "rose dry white") == "rose dry red"
    (old,) = describe_form(GARDEN).values()
    assert '"slots": null' in old and form_in(old.replace(', "slots": null', "")).language.slots is None


@pytest.mark.parametrize(
    "slots",
    [
        WordSlots({"plant": ("fern",)}, {"plant": "fern"}),
        lambda: WordSlots({"plant": ("rose",)}, {"plant": "pond"}),
        lambda: WordSlots({"plant": ("rose",), "water": ("pond",)}, {"plant": "rose"}),
    ],
)
def test_slots_that_hold_what_they_cannot_are_refused(slots):
    with pytest.raises(ValueError, match="slot"):
        replace(SPEECH, slots=slots() if callable(slots) else slots)


def speaking_world():
    """The small world of the tests, with the slots above."""
    return replace(tiny_world(), complete=SPEECH.complete)


def words_of_block(block: Block) -> list[str | None]:
    return [said_of(event) for event in block.events]


def test_a_session_reads_complete_words_and_remembers_what_was_said():
    session = speaking_world().session(7, "a red rose")
    assert session.conditions.words == "rose dry red"
    block = session.step([Prompt("the pond")])
    assert session.conditions.words == "rose pond red"
    assert block.events == (Prompt("rose pond red", said="the pond"),) and words_of_block(block) == ["the pond"]


def test_words_that_change_nothing_cost_no_recache():
    session = speaking_world().session(7, "a red rose")
    session.step()
    assert session.step([Prompt("a crimson rose")]).cut is None
    assert session.step([Prompt("a white rose")]).cut == 2


def test_of_two_sentences_at_one_boundary_both_count():
    session = speaking_world().session(7, "a red rose")
    session.step([Prompt("the pond"), Prompt("white")])
    assert session.conditions.words == "rose pond white"


def test_a_hard_cut_keeps_what_is_not_named():
    session = speaking_world().session(7, "a red rose")
    session.step([Scene("the pond", 3)])
    assert session.conditions.words == "rose pond red"


def test_words_taken_ahead_and_taken_back_are_complete_too():
    session = speaking_world().session(7, "a red rose")
    for events in ((), (), (Prompt("the pond"),)):
        session.step(events)
    session.ahead([Prompt("white")])
    assert session.conditions.words == "rose pond white"
    session.step()
    session.take_back(1)
    assert session.conditions.words == "rose pond white"


def test_a_log_of_such_words_is_folded_bit_for_bit():
    world = speaking_world()
    session = world.session(7, "a red rose")
    log = [session.step([Prompt(text)] if text else []) for text in ("", "the pond", "", "", "white", "gone rose")]
    assert log[-1].events[0].text == "none pond red"
    folded = world.session(7, "a red rose")
    folded.fold(log)
    assert torch.equal(*(torch.as_tensor(one.step().latents) for one in (session, folded)))


def test_a_log_is_folded_from_the_words_in_its_header_as_they_were_typed():
    world = speaking_world()
    session = world.session(7, "a red rose")
    log = [session.step() for _ in range(4)]
    folded = world.session(7, "a red rose")
    folded.fold(log, "a red rose")
    assert torch.equal(*(torch.as_tensor(one.step().latents) for one in (session, folded)))


def test_what_was_said_goes_with_the_event_into_logs_and_over_the_wire():
    event = Prompt("rose pond red", said="the pond")
    assert from_json(to_json(event)) == event
    assert "said" not in to_json(Prompt("a")) and said_of(Prompt("a")) == "a"
    with pytest.raises(ValueError):
        from_json({"type": "prompt", "text": "a", "said": 7})
    with pytest.raises(ValueError, match="characters"):
        from_json({"type": "prompt", "text": "a", "said": "b" * 3000})
