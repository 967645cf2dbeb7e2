from dataclasses import replace

import pytest

from loop.link.cost import Cost
from loop.link.kept import Kept
from loop.timing.clock import TICK_NS
from loop.timing.costs import Costs
from loop.timing.switch import Waiting, fits, keep, lead_ns, ready_ns

MS = 1_000_000
PROBE = Cost(recache_ns=120 * MS, first_frame_ns=120 * MS, clean_ns=30 * MS)
PLAY = 250 * MS


def test_before_anything_was_measured_a_whole_block_is_the_lead():
    assert Costs().worst is None
    assert lead_ns(None, "inline", PLAY) == PLAY


def test_in_line_the_lead_is_the_worst_recache_and_block_and_a_tick():
    costs = Costs()
    costs.note_block(90 * MS, 0)
    costs.note_recache(30 * MS)
    costs.note_recache(40 * MS)
    costs.note_block(110 * MS, 0)
    assert lead_ns(replace(costs.worst, unseen_ns=0), "inline", PLAY) == 150 * MS + TICK_NS


@pytest.mark.parametrize("mode", ["plain", "inline", "snap", "overlap", "auto"])
def test_what_few_blocks_have_not_shown_yet_is_in_every_lead(mode):
    assert lead_ns(replace(PROBE, unseen_ns=7 * MS), mode, PLAY) == lead_ns(PROBE, mode, PLAY) + 7 * MS


def test_the_plain_engine_plans_for_no_recache():
    assert lead_ns(PROBE, "plain", PLAY) == 120 * MS + TICK_NS


def test_behind_a_second_bank_the_lead_holds_only_what_does_not_fit_beside_a_block():
    assert lead_ns(PROBE, "overlap", PLAY) == 120 * MS + 20 * MS + TICK_NS
    assert lead_ns(Cost(60 * MS, 120 * MS, 30 * MS), "auto", PLAY) == 120 * MS + TICK_NS


def test_a_recache_fits_when_the_block_after_it_is_still_in_time():
    due = 240 * MS + TICK_NS
    assert fits(PROBE, 0, due) and not fits(PROBE, 1, due)


def test_a_hard_cut_needs_no_recache_and_what_is_not_due_fits():
    due = 120 * MS + TICK_NS
    assert fits(PROBE, 0, due, no_recache=True) and not fits(PROBE, 0, due)
    assert fits(PROBE, 0, None) and fits(None, 0, 0)


@pytest.mark.parametrize(
    ("queue", "kept"),
    [
        ([], None),
        ([Waiting(4, 60 * MS, True)], None),  # nothing unseen
        ([Waiting(4, 60 * MS, True), Waiting(5, 200 * MS, False)], None),  # due before new words can be ready
        ([Waiting(4, 60 * MS, True), Waiting(5, 300 * MS, False)], Kept(4)),
        ([Waiting(4, 60 * MS, True), Waiting(5, 200 * MS, False), Waiting(6, 450 * MS, False)], Kept(5)),
    ],
)
def test_whole_blocks_that_nobody_saw_are_taken_back_if_new_ones_come_in_time(queue, kept):
    assert keep(queue, ready_ns(PROBE, 0)) == kept


def latent_frames(block, *due_ms):
    """Latent frames of a block that are due at these times; one that was shown comes first."""
    return [Waiting(block, due * MS, due <= 0, latent) for latent, due in enumerate(due_ms)]


@pytest.mark.parametrize(
    ("queue", "kept"),
    [
        (latent_frames(4, 0, 250, 500), Kept(4, 1)),
        (latent_frames(4, 0, 200, 450), Kept(4, 2)),
        (latent_frames(4, 0, 100, 200), None),  # all of it is due before new words can be ready
        ([*latent_frames(4, 0, 100, 200), *latent_frames(5, 300, 550, 800)], Kept(4)),
        ([*latent_frames(4, -9, 0), *latent_frames(5, 250, 500, 750)], Kept(5, 1)),
    ],
)
def test_a_block_is_cut_where_nobody_saw_the_rest_of_it(queue, kept):
    ready = 249 * MS if queue[-1].due_ns < 600 * MS else 251 * MS
    assert keep(queue, ready, can_cut=True) == kept


def test_a_block_that_cannot_be_cut_stays_whole():
    queue = latent_frames(4, 0, 250, 500)
    assert keep(queue, 240 * MS) is None
    assert keep([*queue, *latent_frames(5, 750, 1000)], 240 * MS) == Kept(4)
    assert keep([*queue, *latent_frames(5, 750, 1000)], 800 * MS) is None, "its first frame is due too soon"


def test_a_hard_cut_can_be_ready_sooner_by_a_recache():
    assert ready_ns(PROBE, 0) - ready_ns(PROBE, 0, no_recache=True) == PROBE.recache_ns


def test_of_two_places_to_keep_a_stream_to_the_earlier_one_counts():
    assert Kept(4).at_most(None) == Kept(4).at_most(Kept(5, 1)) == Kept(5).at_most(Kept(4)) == Kept(4)
    assert Kept(4, 1).at_most(Kept(4)) == Kept(4).at_most(Kept(4, 1)) == Kept(4, 2).at_most(Kept(4, 1)) == Kept(4, 1)


def test_a_block_that_is_due_before_the_pass_in_flight_and_new_words_can_end_is_kept():
    queue = [Waiting(4, 60 * MS, True), Waiting(5, 280 * MS, False)]
    assert keep(queue, ready_ns(PROBE, 0)) == Kept(4)
    assert keep(queue, ready_ns(replace(PROBE, pass_ns=30 * MS), 0)) is None


def test_while_other_words_are_on_their_way_their_recache_is_waited_for():
    queue = [Waiting(4, 60 * MS, True), Waiting(5, 300 * MS, False)]
    assert keep(queue, ready_ns(PROBE, 0)) == Kept(4)
    assert keep(queue, ready_ns(PROBE, 0, is_switching=True)) is None
