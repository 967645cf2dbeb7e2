"""How frames are moved so that a block begins with a beat, and whether whole shows meet their beats by it."""

import pytest

from loop.timing.slew import slew_to_meet
from tests.simulation.show import Plan, play

FRAME_MS = 62.5
FRAME_NS = 62_500_000
BLOCK = 4


def slew(away_frames, least=0.5, frames=0):
    """The slew for a beat so many frames away; least: the shortest period of the model, in frames of the world."""
    return slew_to_meet(round(away_frames * FRAME_NS), frames, BLOCK, FRAME_NS, round(least * FRAME_NS))


def errors_ms(block_ms, bpm, seconds=30):
    """By how much each launch of a show missed its bar: the beat is tapped, and words are typed now and then."""
    taps = [(2.0 + 60 / bpm * beat, "t") for beat in range(8)]
    waits_for_bars = [(7.0, "q"), (7.1, "q")]
    typed = [(8.0 + 3.3 * number, f"words {number}") for number in range(int((seconds - 13) / 3.3))]
    show = play(Plan(seconds=seconds, block_ms=block_ms, recache_ms=0, keys=(*taps, *waits_for_bars), typed=typed))
    return [line["error_ms"] for line in show.trace.of("launched")]


def test_the_nearest_block_is_brought_to_the_beat():
    assert slew(31) == pytest.approx(31 / 32)
    assert slew(33) == pytest.approx(33 / 32)


def test_a_model_without_time_to_spare_is_slowed_down_to_meet_the_beat_with_an_earlier_block():
    assert slew(31, least=1.0) == pytest.approx(31 / 28)


def test_what_cannot_be_met_is_brought_as_near_as_may_be():
    assert slew(5.5) == pytest.approx(1.12)
    assert slew(7) == pytest.approx(0.95)


@pytest.mark.parametrize("away_frames", [-3, 0, 0.1])
def test_a_beat_that_is_here_already_moves_nothing_by_more_than_it_may(away_frames):
    assert 0.95 <= slew(away_frames) <= 1.12


@pytest.mark.parametrize(("block_ms", "bpm"), [(100, 126), (235, 126), (245, 126), (245, 133), (262, 118)])
def test_launches_of_a_show_meet_their_bars_also_if_the_model_has_no_time_to_spare(block_ms, bpm):
    found = errors_ms(block_ms, bpm)
    assert len(found) >= 3
    assert max(map(abs, found)) < FRAME_MS
