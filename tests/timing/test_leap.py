"""What a leap may do to due times, and what begins one."""

from dataclasses import replace

import pytest

from loop.link.cost import Cost
from loop.link.kept import Kept
from loop.link.message import BlockDone, BlockMade, Facts, Taken
from loop.link.ring import FrameMark
from loop.switching import Switching, Way
from loop.timing.clock import TICK_NS
from loop.timing.leap import GESTURE_NS, MOST_STOLEN_NS, WITHIN_NS, Change, Gestures, Leap
from loop.timing.pacer import Pacer
from loop.timing.playback import Playback
from tests.timing.test_playback import BLOCK
from world.block import Conditions
from world.event import Dial, Prompt, Rewind, Scene

MS = 1_000_000
PERIOD = int(1e9 / 24)
COST = Cost(recache_ns=12 * MS, first_frame_ns=40 * MS, clean_ns=6 * MS)


def frames_of(block, count=6):
    return [FrameMark(block * 6 + place, block * 6 + place, block, 0, 0) for place in range(count)]


def playing(frames):
    """A pacer that has shown the first of these frames at time 0."""
    pacer = Pacer(fps=24)
    for mark in frames:
        pacer.add(mark)
    pacer.tick(0)
    return pacer


def shown_by_tick(pacer, ticks, first=1):
    """(tick, frame number) of every new frame."""
    ticked = [(number, pacer.tick(number * TICK_NS + number)) for number in range(first, ticks)]
    return [(number, tick.frame.number) for number, tick in ticked if tick.frame]


def test_once_the_awaited_block_is_there_no_frame_before_it_is_held_for_what_its_work_might_have_taken():
    pacer = playing(frames_of(0))
    pacer.leap.begin(1, ready_ns=10 * PERIOD)
    assert shown_by_tick(pacer, 2) == [], "the five that are left would not last so long if they came early"
    pacer.add(frames_of(1)[0])
    assert shown_by_tick(pacer, 8, first=2) == [(2 + place, 1 + place) for place in range(6)]


def test_what_is_left_of_a_block_is_shown_one_frame_a_tick():
    pacer = playing(frames_of(0))
    pacer.leap.begin(1, ready_ns=0)
    assert shown_by_tick(pacer, 8) == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]


def test_after_the_awaited_block_has_come_its_frames_are_due_at_their_ordinary_pace():
    pacer = playing([*frames_of(0), *frames_of(1)])
    pacer.leap.begin(1, ready_ns=0)
    ticks = dict((number, tick) for tick, number in shown_by_tick(pacer, 22))
    assert [ticks[number] for number in range(1, 7)] == [1, 2, 3, 4, 5, 6]
    assert [ticks[number] for number in range(6, 12)] == [6, 9, 11, 14, 16, 19]
    assert pacer.leap.block is None


def test_the_rate_is_at_most_two_and_a_half_even_where_a_tick_would_be_faster():
    pacer = Pacer(fps=16)
    for mark in frames_of(0):
        pacer.add(mark)
    pacer.tick(0)
    pacer.leap.begin(1, ready_ns=0)
    assert shown_by_tick(pacer, 9) == [(2, 1), (3, 2), (5, 3), (6, 4), (8, 5)]


def test_a_frame_that_leaps_takes_all_later_due_times_along_and_says_by_how_much():
    pacer = playing(frames_of(0))
    before = pacer.schedule(6).due_ns
    pacer.leap.begin(1, ready_ns=0)
    leapt = pacer.tick(TICK_NS)
    assert leapt.leapt_ns == PERIOD - TICK_NS and leapt.due_ns == TICK_NS
    assert pacer.schedule(6).due_ns == before - leapt.leapt_ns


def test_no_frame_comes_so_early_that_the_last_one_might_stand_until_the_block_is_ready():
    for ready_ms in range(0, 300, 7):
        pacer = playing(frames_of(0))
        pacer.leap.begin(1, ready_ns=ready_ms * MS)
        ordinary_ns = pacer.schedule(6).due_ns
        for tick in range(1, 16):
            pacer.tick(tick * TICK_NS)
            assert pacer.schedule(6).due_ns >= min(ready_ms * MS, ordinary_ns)


def test_while_nobody_knows_when_the_block_is_ready_nothing_comes_early():
    pacer = playing(frames_of(0))
    pacer.leap.begin(1, ready_ns=None)
    assert shown_by_tick(pacer, 6) == [(3, 1), (5, 2)]


def test_so_much_time_is_stolen_in_a_second_and_no_more():
    leap, stolen = Leap(PERIOD), []
    leap.begin(10_000, ready_ns=0)
    due = last = 0
    for tick in range(1, 600):
        now = tick * TICK_NS
        due = last + PERIOD
        early = leap.early_ns(0, last, due, 1 << 60, now)
        stolen.append((now, early))
        if early or due <= now:
            last = due - early
    for now, _ in stolen:
        assert sum(early for at, early in stolen if now - WITHIN_NS < at <= now) <= MOST_STOLEN_NS
    assert sum(early for _, early in stolen) > 8 * MOST_STOLEN_NS, "it is used up again and again"


def test_a_leap_ends_when_blocks_are_dropped_or_the_picture_is_frozen():
    for end in (lambda pacer: pacer.drop_after(Kept(0)), lambda pacer: pacer.tick(1, is_frozen=True)):
        pacer = playing(frames_of(0))
        pacer.leap.begin(1, ready_ns=0)
        end(pacer)
        assert pacer.leap.block is None and pacer.tick(TICK_NS).frame is None


def test_only_the_first_change_of_a_gesture_begins_it():
    gestures = Gestures()
    at = [0, *range(400 * MS, 2_000 * MS, 33 * MS), 1_984 * MS + GESTURE_NS]  # a key that is held, and pressed again
    assert [now for now in at if gestures.begins(False, now)] == [at[0], at[-1]]
    assert gestures.begins(True, 100 * MS), "words are a gesture of their own"


# -- the playback --


def playback(cost=COST):
    """A show in the midst of its block 0, of which frame 0 was shown at time 0."""
    playing = Playback(fps=24, block_frames=6)
    playing.block_made(BlockMade(BLOCK, Conditions("", 0), 0, 40 * MS), now_ns=0)
    playing.block_done(BlockDone(Facts(0, 0, None, None), 0, 50 * MS, 0, cost))
    for mark in frames_of(0):
        playing.pacer.add(mark)
    playing.pacer.tick(0)
    return playing


def test_an_event_leaps_once_it_is_taken_for_a_block():
    playing = playback()
    assert playing.leaps(Change(7, True, True), None, MS, is_asked=False)
    assert playing.pacer.tick(TICK_NS).frame is None
    playing.taken(Taken(1, (7,), (), TICK_NS))
    assert playing.pacer.tick(2 * TICK_NS).frame.number == 1


def test_a_dial_that_enters_a_block_in_flight_is_reckoned_from_when_that_block_was_begun():
    shown = {}
    for name, taken in (
        ("at its begin", Taken(1, (7,), (), 0)),
        ("in flight", Taken(1, (7,), (), 150 * MS, spent_ns=150 * MS)),
        ("at a later begin", Taken(1, (7,), (), 150 * MS)),
    ):
        playing = playback(replace(COST, first_frame_ns=190 * MS))
        playing.leaps(Change(7, False, False), None, MS, is_asked=True)
        playing.taken(taken)
        shown[name] = shown_by_tick(playing.pacer, 12)
    assert shown["at its begin"] == shown["in flight"] != shown["at a later begin"]


def test_an_event_that_was_replaced_before_it_was_taken_leaps_nowhere():
    playing = playback()
    playing.leaps(Change(7, True, True), None, MS, is_asked=False)
    playing.taken(Taken(1, (), (7,), TICK_NS))
    playing.taken(Taken(2, (7,), (), TICK_NS))
    assert playing.pacer.leap.block is None


def test_behind_a_block_in_flight_nothing_comes_early_before_that_one_is_there():
    playing = playback()
    playing.leaps(Change(7, False, False), None, MS, is_asked=False)
    playing.taken(Taken(2, (7,), (), TICK_NS))
    assert playing.pacer.tick(2 * TICK_NS).frame is None
    made = BlockMade(replace(BLOCK, index=1, parent=0, start=1), Conditions("", 0), 0, 40 * MS)
    playing.block_made(made, now_ns=2 * TICK_NS)
    for mark in frames_of(1):
        playing.pacer.add(mark)
    assert playing.pacer.tick(3 * TICK_NS).frame.number == 1


def test_what_is_gained_must_be_two_ticks_unless_a_leap_is_asked_for():
    late_ns = 6 * PERIOD - 95 * MS  # the block is due 95 ms later, and 52 are needed
    early, late, asked = playback(), playback(), playback()
    assert early.leaps(Change(7, True, True), None, MS, is_asked=False)
    for show in (late, asked):
        for tick in range(1, 10):
            show.pacer.tick(tick * TICK_NS)
    assert not late.leaps(Change(7, True, True), None, late_ns + 15 * MS, is_asked=False)
    assert asked.leaps(Change(7, True, True), None, late_ns + 15 * MS, is_asked=True)


def test_a_model_that_does_not_rest_between_blocks_is_not_hurried():
    busy = playback(Cost(12 * MS, 200 * MS, 40 * MS))
    assert not busy.leaps(Change(7, True, True), None, MS, is_asked=True)


def test_a_beat_to_meet_ends_a_leap():
    playing = playback()
    playing.leaps(Change(7, True, True), None, MS, is_asked=False)
    playing.taken(Taken(1, (7,), (), TICK_NS))
    playing.align(2_000 * MS)
    assert playing.pacer.leap.block is None


# -- who leaps --


class Model:
    words, is_switching = "red", False

    def __init__(self, mode, can_cut=True):
        self.mode, self.can_cut = mode, can_cut

    def can_take_back(self, kept):
        return self.can_cut or kept.latents is None


class Peers:
    horizon_ns = 0

    def __init__(self, can_go_back, lead_ns):
        self.can_go_back, self.lead_ns = can_go_back, lead_ns


def way(mode="auto", event=None, peers=None, can_leap=True):
    event = event or Scene("blue")
    return Switching(Model(mode), peers).way_for(7, event, playback(), MS, can_leap)


@pytest.mark.parametrize("event", [Prompt("blue"), Scene("red"), Dial("zoom", 1.0)])
def test_new_words_hard_cuts_and_dials_leap_in_two_modes(event):
    leaping = {mode for mode in ("auto", "leap", "snap", "inline", "overlap", "whole") if way(mode, event).leaps}
    assert leaping == {"auto", "leap"}


def long_block():
    """A player in whose queue three latent frames lie, of four pixel frames each, of the block on the screen."""
    playing = playback()
    for place in range(12):
        playing.pacer.add(FrameMark(place, place, 0, 0, 0, latent=place // 4))
    playing.pacer.tick(0)
    return playing


def cut(mode="auto", event=None, peers=None, can_cut=True):
    switching = Switching(Model(mode, can_cut), peers)
    return switching.way_for(7, event or Prompt("blue"), long_block(), MS, can_leap=False).kept


@pytest.mark.parametrize("event", [Prompt("blue"), Scene("red")])
def test_the_block_on_the_screen_is_cut_for_words_in_three_modes(event):
    cutting = {mode for mode in ("auto", "leap", "snap", "inline", "overlap", "whole") if cut(mode, event)}
    assert cutting == {"auto", "leap", "snap"} and cut(event=event) == Kept(0, 1)


def test_no_block_is_cut_for_a_dial_or_while_a_guest_follows_or_where_it_cannot_be():
    assert cut(event=Dial("zoom", 1.0)) is None
    assert cut(peers=Peers(can_go_back=True, lead_ns=0)) and not cut(peers=Peers(can_go_back=True, lead_ns=TICK_NS))
    assert cut(can_cut=False) is None


@pytest.mark.parametrize("event", [Prompt("red"), Rewind(3)])
def test_what_changes_no_words_and_no_dial_goes_its_ordinary_way(event):
    assert way(event=event) == Way()


def test_nothing_leaps_while_a_guest_follows_or_on_its_screen_or_against_a_beat():
    assert way(peers=Peers(can_go_back=True, lead_ns=0)).leaps
    assert not way(peers=Peers(can_go_back=True, lead_ns=TICK_NS)).leaps
    assert not way(peers=Peers(can_go_back=False, lead_ns=0)).leaps
    assert not way(can_leap=False).leaps
