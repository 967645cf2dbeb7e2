"""Going back live, in simulated shows: stepping, scrubbing, another turn, bookmarks; and what is in the log of it."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from loop.archive.reading import read_session
from loop.link.kept import Kept
from loop.link.message import BlockMade
from loop.replay.check import compare
from loop.replay.listing import branches, describe_session
from loop.supervise.past import ShowPast
from tests.session.test_replay import card_world, quiet
from tests.simulation.calm import no_warnings, one_core  # noqa: F401  each test runs under them
from tests.simulation.invariants import complaints
from tests.simulation.process import Mishap
from tests.simulation.show import Plan, Show, play
from world.block import Block, Conditions
from world.event import Prompt, Recall, Scene, from_json
from world.options import ProbeOptions
from world.probe import ProbeWorld

NOT_BACKWARDS = ("frames_stay_in_order", "repeats_are_counted", "new_frames_are_shown", "dropped_frames_are_not_shown")
NOT_BACKWARDS += ("the_ledger_names_the_first_frame", "overtaken_words_are_replaced", "the_first_block_is_shown_once")
NOT_BACKWARDS += ("no_frame_is_skipped",)  # frames are shown again on the way back


def frames_shown(show: Show) -> list[int]:
    """The frames in the order in which they were shown."""
    frames = [line["frame"] for line in show.trace.of("flip")]
    return [frame for before, frame in zip([None, *frames], frames, strict=False) if frame != before]


def rewinds(show: Show) -> list[int]:
    """The blocks that were gone back to."""
    return [line["event"]["block"] for line in show.trace.of("event") if line["event"]["type"] == "rewind"]


def first_after(show: Show, block: int, later_than: int):
    """The first block that was made after `block` and has a higher number than this."""
    return next(c.block for c in show.story.cards if c.block.parent == block and c.block.index > later_than)


def test_a_short_press_goes_back_one_block_and_the_world_goes_on_from_there():
    show = play(Plan(seconds=8.0, keys=((3.0, "backspace"), (3.05, "^backspace"))))
    assert complaints(show, NOT_BACKWARDS) == []
    (to,) = rewinds(show)
    at = [line for line in show.trace.of("flip") if line["t_ns"] <= 4_000_000_000][-1]["block"]
    assert to == at - 2
    frames = frames_shown(show)
    turn = next(place for place, (a, b) in enumerate(pairwise(frames)) if b < a)
    back = frames[turn : turn + 8]
    assert back == sorted(back, reverse=True) and min(back) == (at - 1) * 4
    assert first_after(show, to, at).events[0].__class__.__name__ == "Rebuild"


def test_what_was_cut_away_does_not_come_on_the_way_back_and_the_world_goes_on_where_the_cut_was(tmp_path):
    script = ((1.0, Prompt("green")), (2.8, Prompt("red")))
    plan = Plan(seconds=10.0, frames=12, latents=3, block_ms=120, recache_ms=60, script=script)
    plan = replace(plan, keys=((5.0, "backspace"), (7.1, "^backspace")))
    show = play(plan, folder=tmp_path / "one")
    (cut,) = show.trace.of("cut")
    left = range(12 * cut["block"], 12 * cut["block"] + 4 * cut["latents"])
    seen = [number for number in frames_shown(show) if number // 12 == cut["block"]]
    assert seen == [*left, *reversed(left)], "forwards, and then backwards"
    (to,) = rewinds(show)
    assert to <= cut["block"] and complaints(show, NOT_BACKWARDS) == []
    saved = read_session(tmp_path / "one")
    world = ProbeWorld(ProbeOptions(plan.fps, plan.frames, latents=3), None, lambda seconds: None)
    assert compare(world, saved, True, quiet).is_whole


def test_the_past_knows_what_is_left_of_a_block_and_how_many_blocks_a_model_needs():
    past = ShowPast()
    past.memory_blocks = 2
    starts = [0, 3, 6, 7, 8, 9, 12]
    for index, start in enumerate(starts):
        block = Block(index, index - 1, start, np.zeros((1, 3, 1, 1, 1), np.float32))
        past.add(BlockMade(block, Conditions("words", 7), 0, 0))
    assert [past.end(index) for index in range(7)] == [3, 6, 7, 8, 9, 12, 15]
    assert [made.block.index for made in past.line(4)] == [1, 2, 3, 4], "six latent frames, and no fewer"
    past.cut(Kept(6, 1))
    assert past.end(6) == 13 and [made.block.index for made in past.line(6)] == [3, 4, 5, 6]
    assert all(block.latents.shape[1] == 3 for block in past.recalled(4, 2)), "what comes back comes back whole"


def test_a_key_that_is_held_scrubs_back_at_video_rate_until_it_is_released():
    show = play(Plan(seconds=12.0, block_ms=60, keys=((6.0, "backspace"), (8.5, "^backspace"))))
    assert complaints(show, NOT_BACKWARDS) == []
    held = [line for line in show.trace.of("flip") if line.get("held") == "rewind" and line["t_ns"] < 9_500_000_000]
    frames = list(dict.fromkeys(line["frame"] for line in held))
    assert frames == sorted(frames, reverse=True)
    assert len(frames) == pytest.approx(2.5 * 16, abs=4)
    (to,) = rewinds(show)
    assert to == frames[-1] // 4 - 1


def test_the_world_goes_on_under_the_present_words_and_numbers_are_not_used_again():
    script = ((2.0, Prompt("red")), (4.0, Prompt("blue")))
    show = play(Plan(seconds=12.0, script=script, keys=((6.0, "backspace"), (10.0, "^backspace"))))
    assert complaints(show, NOT_BACKWARDS) == []
    (to,) = rewinds(show)
    made = first_after(show, to, to + 1)
    assert next(card.words for card in show.story.cards if card.block.index == made.index) == "blue"
    assert Prompt("blue") in made.events and made.cut == made.index
    indices = [card.block.index for card in show.story.cards]
    assert len(indices) == len(set(indices))


def test_nobody_goes_back_behind_the_beginning():
    show = play(Plan(seconds=8.0, keys=((2.0, "backspace"), (6.0, "^backspace"))))
    assert complaints(show, NOT_BACKWARDS) == []
    (to,) = rewinds(show)
    assert to == 0 and show.story.cards[-1].block.index > 8


def test_another_turn_begins_where_the_words_began_and_makes_other_blocks():
    show = play(Plan(seconds=9.0, script=((2.0, Prompt("red")),), keys=((5.0, "r"), (5.1, "^r"))))
    assert complaints(show, NOT_BACKWARDS) == []
    (to,) = rewinds(show)
    words = {card.block.index: card.words for card in show.story.cards}
    first = next(index for index in sorted(words) if words[index] == "red")
    assert to == next(c.block.parent for c in show.story.cards if c.block.index == first)
    assert show.story.cards[-1].words == "red"


def test_another_turn_of_a_scene_is_a_new_scene():
    show = play(Plan(seconds=8.0, script=((2.0, Scene("red")),), keys=((5.0, "r"), (5.1, "^r"))))
    assert complaints(show, NOT_BACKWARDS) == []
    scenes = [event for card in show.story.cards for event in card.block.events if isinstance(event, Scene)]
    assert scenes == [Scene("red"), Scene("red")]


def test_a_bookmark_brings_back_its_place_and_its_words(tmp_path):
    script = ((1.0, Prompt("red")), (3.0, Scene("blue")), (4.0, Prompt("green")))
    show = play(Plan(seconds=9.0, script=script, keys=((2.5, "shift+f5"), (6.0, "f5"))), folder=tmp_path / "one")
    assert complaints(show, NOT_BACKWARDS) == []
    (to,) = rewinds(show)
    at = [line for line in show.trace.of("flip") if line["t_ns"] <= 3_500_000_000][-1]["block"]
    assert to == at and show.story.cards[-1].words == "red" and show.model.words == "red"
    saved = read_session(tmp_path / "one")
    assert saved.bookmarks == {"F5": at} and f"  bookmark F5: block {at}" in describe_session(saved)


def test_a_bookmark_that_was_never_set_does_nothing_but_says_so():
    show = play(Plan(seconds=4.0, keys=((2.5, "f7"),)))
    assert complaints(show) == [] and rewinds(show) == []
    assert "Shift+F7" in show.engine.past.told


def recalls(show: Show) -> list[Recall]:
    """What was recalled."""
    asked = [line["event"] for line in show.trace.of("event") if line["event"]["type"] == "recall"]
    return [from_json(event) for event in asked]


def test_a_bookmark_comes_back_as_memory_and_the_picture_goes_on(tmp_path):
    script = ((1.0, Prompt("red")), (4.0, Prompt("green")))
    show = play(Plan(seconds=9.0, script=script, keys=((2.5, "shift+f5"), (6.0, "ctrl+f5"))), folder=tmp_path / "one")
    assert complaints(show) == [] and rewinds(show) == []
    (recall,) = recalls(show)
    at = [line for line in show.trace.of("flip") if line["t_ns"] <= 3_500_000_000][-1]["block"]
    assert [block.index for block in recall.blocks] == [at] and recall.text == show.model.words == "red"
    taken = next(card.block for card in show.story.cards if recall in card.block.events)
    assert taken.parent == taken.index - 1 and taken.seen == taken.index and taken.start
    assert show.engine.past.told == "F5 comes back into the picture"
    saved = read_session(tmp_path / "one")
    assert saved.words == "red" and recall in saved.blocks[taken.index].events
    assert compare(card_world(show.plan), saved, True, quiet).is_whole


def test_a_recall_ends_a_transition():
    script = ((1.0, Prompt("red")), (4.0, Prompt("green")))
    show = play(Plan(seconds=9.0, transition=12, script=script, keys=((3.9, "shift+f5"), (5.5, "ctrl+f5"))))
    assert complaints(show) == [] and len(recalls(show)) == 1
    assert show.story.cards[-1].words == show.model.words == recalls(show)[0].text


@pytest.mark.parametrize("at_s", [4.9, 5.0, 5.05, 5.1, 5.2])
def test_a_recall_survives_the_death_of_the_model(at_s):
    script, keys = ((1.0, Prompt("red")), (3.0, Prompt("green"))), ((2.5, "shift+f5"), (5.0, "ctrl+f5"))
    show = play(Plan(seconds=9.0, script=script, keys=keys, mishaps=(Mishap(0, "death", at_s=at_s),)))
    assert complaints(show) == [] and len(show.lives) == 2 and len(recalls(show)) == 1
    assert show.story.cards[-1].words == "red"


def test_a_bookmark_that_was_never_set_is_not_recalled():
    show = play(Plan(seconds=4.0, keys=((2.5, "ctrl+f7"),)))
    assert complaints(show) == [] and recalls(show) == []
    assert "Shift+F7" in show.engine.past.told


def test_the_time_from_the_release_to_the_first_new_frame_is_about_that_of_a_switch():
    show = play(Plan(seconds=12.0, block_ms=60, keys=((6.0, "backspace"), (8.5, "^backspace"))))
    number = next(line["id"] for line in show.trace.of("event") if line["event"]["type"] == "rewind")
    stamps = {line["stage"]: line["t_ns"] for line in show.trace.of("stage") if line["id"] == number}
    took_ms = (stamps["flip"] - stamps["pump"]) / 1e6
    assert took_ms < 60 + 60 + 40  # a recache, a block, and two ticks


@pytest.mark.parametrize("kind", ["death", "hang"])
@pytest.mark.parametrize("at_s", [3.1, 3.4, 4.9, 5.02, 5.1])
def test_a_model_that_dies_while_somebody_is_in_the_past_goes_on_from_there(kind, at_s):
    keys = ((3.0, "backspace"), (5.0, "^backspace"))
    show = play(Plan(seconds=14.0, keys=keys, mishaps=(Mishap(0, kind, at_s=at_s),)))
    assert complaints(show, NOT_BACKWARDS) == []
    assert len(show.lives) == 2 and len(rewinds(show)) == 1
    assert show.story.cards[-1].block.index > 20


def random_rewinds(seed: int) -> Plan:
    """A show with prompts, hard cuts, bookmarks, recalls, presses short and long, and now and then a death."""
    chance = random.Random(seed)
    keys, at = [], 1.5
    while at < 9.0:
        kind = chance.choice(("tap", "tap", "hold", "r", "set", "back", "recall", "f2"))
        if kind in ("tap", "hold"):
            length = chance.uniform(0.02, 0.2) if kind == "tap" else chance.uniform(0.4, 1.5)
            keys += [(at, "backspace"), (at + length, "^backspace")]
            at += length
        else:
            keys.append((at, {"r": "r", "set": "shift+f5", "back": "f5", "recall": "ctrl+f5", "f2": "f2"}[kind]))
        at += chance.choice((0.05, 0.3, 1.0))
    kinds = (Prompt, Prompt, Scene)
    script = tuple((chance.uniform(0, 8), chance.choice(kinds)(f"words {number}")) for number in range(6))
    mishaps = (Mishap(0, "death", at_s=chance.uniform(2, 9)),) if chance.random() < 0.4 else ()
    return Plan(
        seed=seed,
        seconds=14.0,
        quiet_s=2.0,
        block_ms=chance.uniform(10, 200),
        recache_ms=chance.uniform(5, 100),
        reserve=chance.choice((0, 0, 2)),
        transition=chance.choice((1, 1, 3)),
        script=tuple(sorted(script, key=lambda timed: timed[0])),
        keys=tuple(keys),
        mishaps=mishaps,
        to_window_ms=chance.choice((0.0, 200.0)),
        to_model_ms=chance.choice((0.0, 200.0)),
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_shows_that_go_back_keep_their_past_and_replay_to_the_same_blocks(tmp_path, seed):
    plan = random_rewinds(seed)
    show = play(plan, folder=tmp_path / "one")
    assert complaints(show, NOT_BACKWARDS) == [], plan.to_line()
    saved = read_session(tmp_path / "one")
    known = {card.block.index: card.block.digest for card in show.story.cards}
    stored = {index: record.block(saved.latents(index)).digest for index, record in saved.blocks.items()}
    assert stored.items() <= known.items()
    found = compare(card_world(plan), saved, True, quiet)
    assert found.is_whole, (plan.to_line(), found)
    newest = [line["block"] for line in show.trace.of("flip")][-1]
    assert newest in {record.index for record in saved.line()}
    assert len(branches(saved)) <= len(saved.left)
