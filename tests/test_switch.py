import pytest

from loop.clock import TICK_NS
from loop.ring import Schedule
from loop.switch import Cost, Costs, Waiting, block_begins_at, fits, keep, lead_ns

MS = 1_000_000
PROBE = Cost(recache_ns=120 * MS, first_frame_ns=120 * MS, clean_ns=30 * MS)
PLAY = 250 * MS


def test_a_block_begins_its_lead_and_the_reserve_before_its_first_frame_is_due():
    schedule = Schedule(ordinal=10, due_ns=1_000 * MS, period_ns=50 * MS)
    assert block_begins_at(schedule, 14, lead=120 * MS, reserve_ns=0) == 1_080 * MS
    assert block_begins_at(schedule, 14, lead=120 * MS, reserve_ns=200 * MS) == 880 * MS


def test_the_first_block_begins_at_once_and_none_begins_while_frozen():
    assert block_begins_at(None, 0, lead=1, reserve_ns=0) == 0
    assert block_begins_at(Schedule(0, 5, 1, held=True), 0, lead=1, reserve_ns=0) is None


def test_before_anything_was_measured_a_whole_block_is_the_lead():
    assert Costs().worst is None
    assert lead_ns(None, "inline", PLAY) == PLAY


def test_a_recache_that_was_never_measured_is_taken_to_cost_a_block():
    costs = Costs()
    costs.note_block(100 * MS, 20 * MS)
    assert costs.worst == Cost(100 * MS, 100 * MS, 20 * MS)


def test_in_line_the_lead_is_the_worst_recache_and_block_and_a_tick():
    costs = Costs()
    costs.note_recache(40 * MS)
    costs.note_recache(30 * MS)
    costs.note_block(90 * MS, 0)
    costs.note_block(110 * MS, 0)
    assert lead_ns(costs.worst, "inline", PLAY) == 150 * MS + TICK_NS


def test_behind_a_second_bank_the_lead_holds_only_what_does_not_fit_beside_a_block():
    assert lead_ns(PROBE, "overlap", PLAY) == 120 * MS + 20 * MS + TICK_NS
    assert lead_ns(Cost(60 * MS, 120 * MS, 30 * MS), "auto", PLAY) == 120 * MS + TICK_NS


def test_a_slow_block_is_forgotten_after_a_thousand():
    costs = Costs()
    costs.note_recache(10 * MS)
    costs.note_block(900 * MS, 0)
    for _ in range(1000):
        costs.note_block(50 * MS, 0)
    assert lead_ns(costs.worst, "inline", PLAY) == 60 * MS + TICK_NS


def test_a_recache_fits_when_the_block_after_it_is_still_in_time():
    due = 240 * MS + TICK_NS
    assert fits(PROBE, 0, due) and not fits(PROBE, 1, due)


@pytest.mark.parametrize(
    ("queue", "kept"),
    [
        ([], None),
        ([Waiting(4, 60 * MS, True)], None),  # nothing unseen
        ([Waiting(4, 60 * MS, True), Waiting(5, 200 * MS, False)], None),  # due before new words can be ready
        ([Waiting(4, 60 * MS, True), Waiting(5, 300 * MS, False)], 4),
        ([Waiting(4, 60 * MS, True), Waiting(5, 200 * MS, False), Waiting(6, 450 * MS, False)], 5),
    ],
)
def test_whole_blocks_that_nobody_saw_are_taken_back_if_new_ones_come_in_time(queue, kept):
    assert keep(queue, PROBE, now_ns=0) == kept
