"""A recall in a real session: the sink is made anew of the blocks that it names, and the stream goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tiny import tiny_world
from world.block import Block, Snapshot
from world.dit.config import CacheConfig
from world.event import Prompt, Rebuild, Recall, Scene, from_json, to_json
from world.past_block import PastBlock

WORDS = "first words"


def streamed(blocks: int, cache: CacheConfig | None = None):
    """A session, and the blocks that it has made."""
    session = tiny_world(cache).session(7, WORDS)
    return session, [session.step() for _ in range(blocks)]


def next_under(events: list, blocks: int = 8, cache: CacheConfig | None = None) -> str:
    """The digest of the block that a stream of so many makes under these events."""
    return streamed(blocks, cache)[0].step(events).digest


def test_the_block_that_a_rebuild_would_make_the_sink_of_is_recalled_as_a_rebuild():
    _, line = streamed(8)
    assert next_under([Recall((line[5].past,), WORDS)]) == next_under([Rebuild()])
    assert next_under([Recall((line[0].past,), WORDS)]) != next_under([Rebuild()])


def test_the_picture_goes_on_from_the_newest_blocks():
    session, line = streamed(8)
    block = session.step([Recall((line[0].past,), "b")])
    assert (block.parent, block.start, block.cut, block.seen) == (7, 16, 8, 8)
    assert session.conditions.words == "b"


@pytest.mark.parametrize("cache", [CacheConfig(6, 2, 2), CacheConfig(6, 3, 1), CacheConfig(7, 2, 2)])
def test_of_more_frames_than_the_sink_holds_the_newest_count(cache):
    _, line = streamed(8, cache)
    older, newer = line[1].past, tuple(block.past for block in line[2 : 2 + cache.sink])
    assert next_under([Recall((older, *newer), "b")], 8, cache) == next_under([Recall(newer, "b")], 8, cache)


def test_a_recalled_block_is_encoded_with_the_dials_that_it_was_made_under():
    _, line = streamed(8)
    turned = replace(line[2].past, dials={"zoom": 1.0, "energy": 0.0})
    assert next_under([Recall((turned,), "b")]) != next_under([Recall((line[2].past,), "b")])


def test_a_block_of_another_scene_can_be_recalled():
    session, line = streamed(4)
    session.step([Scene("elsewhere", seed=3)])
    for _ in range(5):
        session.step()
    plain = tiny_world().session(7, WORDS)
    for events in ([],) * 4 + ([Scene("elsewhere", seed=3)],) + ([],) * 5:
        plain.step(events)
    recalled, renewed = session.step([Recall((line[1].past,), "b")]), plain.step([Prompt("b"), Rebuild()])
    assert recalled.start == renewed.start and recalled.digest != renewed.digest


def test_what_was_just_shown_stays_even_where_little_was():
    """After a hard cut less has been made than the sink holds: the newest latent frame is never replaced."""
    digests = []
    for events in ("recall", "rebuild"):
        session, line = streamed(3, CacheConfig(6, 3, 1))
        session.step([Scene("elsewhere", seed=3)])
        recall = Recall(tuple(block.past for block in line), "b")
        digests.append(session.step([recall] if events == "recall" else [Prompt("b"), Rebuild()]).digest)
    assert digests[0] == digests[1]


def test_a_recall_outlives_the_model_that_did_not_make_it_yet():
    """Whoever asked for it asks again: with its latents, the event needs nothing of the process that died."""
    session, line = streamed(8)
    recall = Recall((line[1].past,), "b")
    other = tiny_world().session(7, WORDS)
    other.resume(Snapshot(7, 8, 16, WORDS, {}, tuple(line[-4:])))
    assert other.step([recall]).digest == session.step([recall]).digest


def test_a_log_names_the_numbers_and_two_recalls_of_the_same_numbers_are_equal():
    _, line = streamed(3)
    recall = Recall((line[1].past, line[2].past), "b")
    assert to_json(recall) == {"type": "recall", "blocks": [1, 2], "text": "b"}
    assert from_json(to_json(recall)) == recall == Recall((PastBlock(1), PastBlock(2)), "b")
    assert hash(from_json(to_json(recall))) == hash(recall)


@pytest.mark.parametrize(
    "fields", [{"blocks": [], "text": "b"}, {"blocks": [1]}, {"blocks": "x", "text": "b"}, {"blocks": 3, "text": "b"}]
)
def test_what_is_no_recall_is_refused(fields):
    with pytest.raises(ValueError):
        from_json({"type": "recall", **fields})


def test_latents_are_as_the_block_has_them():
    _, line = streamed(1)
    block: Block = line[0]
    assert block.past.latents is block.latents and block.past.dials == block.dials


def test_a_recall_without_latents_is_refused_before_anything_has_changed():
    session, twin = streamed(4)[0], streamed(4)[0]
    with pytest.raises(ValueError, match="block 2 is recalled, and its latents did not come"):
        session.step([Prompt("c"), Recall((PastBlock(2),), "b")])
    assert session.step().digest == twin.step().digest
