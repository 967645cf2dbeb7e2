"""The ledger where a process died: the same event is taken twice, and seen once."""

from __future__ import annotations

import pytest

from loop.link.message import Taken
from loop.link.ring import FrameMark
from loop.output.ledger import Ledger
from loop.output.trace import Trace
from world.event import Dial, Prompt


@pytest.fixture
def ledger() -> Ledger:
    """Event 1, which the process had taken for block 2 before it died, and the next one takes for block 3."""
    ledger = Ledger(Trace(None))
    ledger.submitted(Prompt("rain"), "keys", 0, 1)
    ledger.taken(Taken(2, (1,), (), 2))
    ledger.taken(Taken(3, (1,), (), 3))
    return ledger


def flip(ledger: Ledger, block: int) -> tuple[int, ...]:
    return ledger.flipped(FrameMark(ordinal=0, number=block, block=block, epoch=0, written_ns=0), t_ns=10 + block)


def test_words_are_seen_in_frames_that_a_process_left_behind(ledger: Ledger):
    assert [flip(ledger, block) for block in (1, 2, 3)] == [(), (1,), ()]


def test_words_are_seen_in_the_next_process_if_the_first_has_left_no_frames(ledger: Ledger):
    assert [flip(ledger, block) for block in (1, 3)] == [(), (1,)]


def test_words_that_are_taken_again_for_an_earlier_block_do_not_replace_themselves():
    ledger = Ledger(Trace(None))
    ledger.submitted(Prompt("rain"), "keys", 0, 1)
    ledger.taken(Taken(4, (1,), (), 2))
    ledger.taken(Taken(3, (1,), (), 3))
    assert flip(ledger, 3) == (1,)


def test_words_of_blocks_that_a_dial_took_back_are_seen_in_what_was_begun_before_the_dial_came():
    ledger = Ledger(Trace(None))
    ledger.submitted(Prompt("rain"), "keys", 0, 1)
    ledger.taken(Taken(4, (1,), (), 2))
    dial = ledger.submitted(Dial("zoom", 1.0), "keys", 3, 4)
    ledger.taken_back(2, by=dial, for_words=False)
    ledger.made(5, parent=2)
    ledger.taken(Taken(6, (dial,), (), 5))
    assert [flip(ledger, block) for block in (2, 5, 6)] == [(), (1,), (dial,)]
