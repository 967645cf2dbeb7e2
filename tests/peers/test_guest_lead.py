"""A host makes its blocks as much sooner as guests nearby need, to show them together with it."""

from __future__ import annotations

from itertools import pairwise

from loop.peer.guest_lead import FAR_NS, LEAST_NS, MOST_NS, PERIOD_NS, START_NS, GuestLead

MS = 1_000_000


def play(lead, delay_of, periods):
    """Let guests report `delay_of(lead)` four times in each period; the lead after each period."""
    after = []
    for period in range(periods):
        for quarter in range(4):
            lead.follow(delay_of(lead.ns), period * PERIOD_NS + quarter * PERIOD_NS // 4)
        after.append(lead.ns)
    return after


def test_a_guest_that_lags_makes_the_lead_longer_by_what_it_lags():
    lead = GuestLead()
    assert play(lead, lambda ns: [0, 9 * MS], 2) == [START_NS, START_NS + 9 * MS]


def test_the_lead_settles_at_what_the_slowest_guest_nearby_needs():
    needs = START_NS + 11 * MS
    settled = play(GuestLead(), lambda ns: [max(0, needs - ns)], 40)[5:]
    assert max(settled) <= needs + 3 * MS and min(settled) >= needs - 3 * MS


def test_the_lead_shrinks_slowly_to_its_least_while_nobody_lags():
    leads = play(GuestLead(), lambda ns: [0], 60)
    assert all(0 <= before - after <= 1 * MS for before, after in pairwise(leads))
    assert leads[-1] == LEAST_NS


def test_a_far_guest_is_not_waited_for():
    assert play(GuestLead(), lambda ns: [FAR_NS + 1], 4)[-1] < START_NS


def test_the_lead_has_a_limit():
    assert play(GuestLead(), lambda ns: [FAR_NS], 10)[-1] == MOST_NS


def test_a_guest_that_has_just_come_is_given_a_period_to_settle():
    lead = GuestLead()
    for now_ns in (0, PERIOD_NS, 2 * PERIOD_NS):
        lead.follow([], now_ns)
    lead.follow([9 * MS], 2 * PERIOD_NS + 1)
    assert lead.ns == START_NS
    lead.follow([9 * MS], 3 * PERIOD_NS)
    assert lead.ns == START_NS + 9 * MS
