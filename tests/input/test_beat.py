"""The beat clock, and launches that wait for a beat."""

import random

import pytest

from input.action import Command, FireCue
from input.beat import BeatClock, bar_text
from input.set_list import SetList
from loop.link.cost import Cost
from loop.link.message import BlockDone, Facts
from loop.link.ring import FrameMark
from loop.stage.desk import NUDGE_NS, CueDesk
from loop.timing.clock import TICK_NS
from loop.timing.pacer import Pacer, Shown
from loop.timing.playback import Playback
from tests.show.test_controls import FakeModel
from world.event import Prompt

SECOND = 10**9
BEAT = SECOND // 2  # 120 a minute


def tapped(*times):
    clock = BeatClock()
    for t_ns in times:
        clock.tap(round(t_ns))
    return clock


def running_desk(tmp_path, lines="one | red ripples\n", quantise="bar"):
    """A desk whose clock has beat 0 at 0, at 120 beats a minute."""
    (tmp_path / "set.txt").write_text(lines)
    desk = CueDesk(FakeModel(), SetList(tmp_path / "set.txt"), quantise, 120.0)
    list(desk.poll(0, 0))
    return desk


def test_taps_give_a_tempo_and_the_first_is_beat_0():
    clock = tapped(*(SECOND + n * BEAT for n in range(5)))
    assert clock.bpm == pytest.approx(120) and clock.source == "tap"
    assert clock.position(SECOND + 4 * BEAT) == pytest.approx(4)


def test_an_unsteady_hand_gives_the_mean_tempo_also_with_a_tap_left_out():
    chance = random.Random(3)
    clock = tapped(*(n * BEAT + chance.gauss(0, 15e6) for n in range(12) if n != 7))
    assert clock.bpm == pytest.approx(120, rel=0.01)


def test_one_tap_is_no_tempo_and_a_long_pause_begins_anew():
    assert not tapped(0).is_running
    assert tapped(0, 5 * SECOND, 5 * SECOND + BEAT).bpm == pytest.approx(120)


def test_taps_while_the_clock_runs_keep_the_count_of_beats():
    clock = BeatClock()
    clock.fix(120, 0)
    for n in range(8, 13):
        clock.tap(n * BEAT + 30_000_000)
    assert clock.position(12 * BEAT + 30_000_000) == pytest.approx(12, abs=0.01)


def test_a_resync_makes_this_the_first_of_the_first_bar():
    clock = tapped(0, BEAT, 2 * BEAT)
    clock.resync(7 * BEAT + 20_000_000)
    assert bar_text(clock.position(7 * BEAT + 21_000_000)) == "1.1"
    assert clock.bpm == pytest.approx(120)


def test_the_pulses_of_a_midi_clock_count_from_its_start_and_rule_over_taps():
    clock = BeatClock()
    clock.start()
    for pulse in range(48):
        clock.pulse(pulse * BEAT // 24)
    assert clock.source == "midi" and clock.bpm == pytest.approx(120)
    clock.tap(47 * BEAT // 24)
    assert clock.source == "midi" and clock.position(2 * BEAT) == pytest.approx(2, abs=0.01)


def test_music_is_followed_with_confidence_only_and_never_against_a_hand():
    clock = BeatClock()
    clock.hear(126, 0, 0.2)
    assert not clock.is_running
    clock.hear(126, 0, 0.9)
    assert (clock.source, clock.bpm) == ("audio", 126)
    clock.tap(0)
    clock.tap(BEAT)
    clock.hear(126, 0, 0.9)
    assert clock.source == "tap"


def test_a_tempo_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="expected 30 to 300"):
        BeatClock().fix(400, 0)


def test_bars_are_counted_from_one():
    assert [bar_text(beat) for beat in (0, 3.9, 4, 130.5, -1)] == ["1.1", "1.4", "2.1", "33.3", "0.4"]


def test_without_a_beat_words_are_sent_at_once(tmp_path):
    desk = CueDesk(FakeModel(), None, "bar")
    assert desk.words(Prompt("red"), "keys", 5) == [(Prompt("red"), "keys", 5)]


def test_words_wait_for_the_next_bar_and_are_sent_ahead_of_it(tmp_path):
    desk = running_desk(tmp_path)
    desk.launches.ahead_ns, desk.launches.early_ns = 400_000_000, 250_000_000
    assert desk.words(Prompt("red"), "keys", SECOND) == []
    assert desk.text(SECOND) == "fixed 120.0 · 1.3 · waits for bar · armed: red at 2.1 · next: 1 one"
    assert list(desk.poll(1_340_000_000, 0)) == []
    assert list(desk.poll(1_360_000_000, 0)) == [(Prompt("red"), "keys", 1_360_000_000)]
    assert list(desk.poll(1_370_000_000, 0)) == []


def test_words_too_late_for_a_bar_wait_for_the_one_after_it(tmp_path):
    desk = running_desk(tmp_path)
    desk.launches.ahead_ns = 400_000_000
    desk.words(Prompt("red"), "keys", 1_700_000_000)
    assert desk.launches.armed[0].beat == 8


def test_what_waits_for_a_beat_can_be_taken_back(tmp_path):
    desk = running_desk(tmp_path)
    desk.words(Prompt("red"), "keys", SECOND)
    desk.obey(Command.CANCEL, SECOND)
    assert list(desk.poll(10 * SECOND, 0)) == []


def test_the_newest_words_for_a_beat_take_the_place_of_those_before(tmp_path):
    desk = running_desk(tmp_path)
    desk.words(Prompt("red"), "keys", SECOND)
    desk.words(Prompt("blue"), "keys", SECOND)
    assert [event for event, _, _ in desk.poll(3 * SECOND, 0)] == [Prompt("blue")]


def test_a_nudge_moves_what_waits(tmp_path):
    desk = running_desk(tmp_path)
    desk.fire(FireCue(0), SECOND)
    desk.obey(Command.NUDGE_LATER, SECOND)
    assert desk.launches.next_target_ns == 2 * SECOND + NUDGE_NS


def test_blocks_are_kept_on_the_bars_before_anything_waits_for_one(tmp_path):
    assert running_desk(tmp_path).beat_to_meet(SECOND) == 2 * SECOND
    assert running_desk(tmp_path, quantise="off").beat_to_meet(SECOND) is None
    desk = running_desk(tmp_path)
    desk.words(Prompt("red"), "keys", 3 * SECOND)
    assert desk.beat_to_meet(SECOND) == 4 * SECOND


def test_the_error_of_a_launch_is_from_its_beat_to_its_first_frame(tmp_path):
    desk = running_desk(tmp_path)
    desk.words(Prompt("red"), "keys", SECOND)
    ((event, _, _),) = desk.poll(2 * SECOND, 0)
    assert desk.launches.sent(7, event) is not None
    assert desk.launches.seen(7, 2 * SECOND + 11_000_000) == 11_000_000
    assert desk.launches.seen(8, 2 * SECOND) is None
    assert "1, off by +11 ms" in desk.launches.summary()


def test_a_cue_with_a_bar_plays_by_itself_once(tmp_path):
    desk = running_desk(tmp_path, "one | red | bar=3\ntwo | blue | bar=5\n", "off")
    found = [(t, event) for t in range(0, 12 * SECOND, TICK_NS) for event, _, _ in desk.poll(t, 0)]
    assert [event for _, event in found] == [Prompt("red"), Prompt("blue")]
    assert [t for t, _ in found] == pytest.approx([4 * SECOND, 8 * SECOND], abs=TICK_NS)


def test_a_cue_with_a_bar_plays_again_after_a_resync(tmp_path):
    desk = running_desk(tmp_path, "one | red | bar=2\n", "off")
    assert len([1 for t in range(0, 4 * SECOND, TICK_NS) for _ in desk.poll(t, 0)]) == 1
    desk.obey(Command.RESYNC, 4 * SECOND)
    assert len([1 for t in range(4 * SECOND, 8 * SECOND, TICK_NS) for _ in desk.poll(t, 0)]) == 1


def played(pacer, until_ns, frames=4, target_ns=None):
    """The time at which each block begins on a screen whose model is always ready."""
    begun, made, seen = {}, 0, 0
    for now in range(SECOND, until_ns, TICK_NS):
        for number in range(made, (seen // frames + 2) * frames):
            pacer.add(FrameMark(number, number, number // frames, 0, now))
        made = (seen // frames + 2) * frames
        pacer.align(target_ns, frames)
        shown = pacer.tick(now)
        if shown.frame:
            seen = shown.frame.number
            begun.setdefault(shown.frame.block, shown.due_ns)
    return begun


@pytest.mark.parametrize("away_ms", [3000, 3060, 3110, 3190])
def test_a_block_is_brought_to_the_beat(away_ms):
    target_ns = SECOND + away_ms * 10**6
    begun = played(Pacer(16.0), 6 * SECOND, target_ns=target_ns)
    assert min(abs(begin_ns - target_ns) for begin_ns in begun.values()) < 4_000_000


def test_no_frame_comes_more_than_a_twentieth_sooner_or_an_eighth_later_for_a_beat():
    pacer = Pacer(16.0)
    played(pacer, 2 * SECOND)
    for away_ms in range(50, 3000, 70):
        pacer.align(2 * SECOND + away_ms * 10**6, 4)
        assert 0.95 <= pacer.period_ns / pacer.world_period_ns <= 1.12


def test_frames_never_come_faster_than_the_model_makes_them():
    pacer = Pacer(16.0)
    played(pacer, 2 * SECOND)
    pacer.set_cost(260_000_000, 4)
    slow_ns = pacer.period_ns
    for away_ms in range(50, 3000, 70):
        pacer.align(2 * SECOND + away_ms * 10**6, 4)
        assert pacer.period_ns >= slow_ns


def test_the_block_on_the_beat_is_foretold():
    playback = Playback(16.0, 4)
    begun = played(playback.pacer, 2 * SECOND)
    assert playback.block_at(SECOND + 20 * 250_000_000) == 20
    assert begun[2] == pytest.approx(SECOND + 2 * 250_000_000, abs=TICK_NS)


def test_prompt_to_pixel_is_from_the_boundary_to_the_first_frame_and_half_a_block():
    playback = Playback(16.0, 4)
    for block in range(3):
        begin_ns = SECOND + block * 250_000_000
        facts = Facts(block, block, None, None)
        playback.block_done(BlockDone(facts, begin_ns - 180_000_000, begin_ns, 0, Cost(0, 1, 0)))
        playback.shown(Shown(FrameMark(block, 4 * block, block, 0, begin_ns), False, 0, 0, begin_ns))
    assert playback.prompt_to_pixel_ns == pytest.approx(180_000_000 + 125_000_000, abs=10)


def test_a_cue_of_the_first_bar_plays_although_the_clock_begins_with_the_first_picture(tmp_path):
    (tmp_path / "set.txt").write_text("one | red | bar=1\n")
    desk = CueDesk(FakeModel(), SetList(tmp_path / "set.txt"), "off", 120.0)
    assert [event for event, _, _ in desk.poll(TICK_NS, 0)] == [Prompt("red")]


def test_a_song_that_begins_once_more_plays_its_bars_again(tmp_path):
    desk = running_desk(tmp_path, "one | red | bar=2\n", "off")
    assert len([1 for t in range(0, 6 * SECOND, TICK_NS) for _ in desk.poll(t, 0)]) == 1
    desk.clock.fix(120, 6 * SECOND)
    assert len([1 for t in range(6 * SECOND, 9 * SECOND, TICK_NS) for _ in desk.poll(t, 0)]) == 1


def test_next_goes_on_from_the_cue_that_played_by_itself(tmp_path):
    desk = running_desk(tmp_path, "one | red | bar=2\ntwo | blue\n", "off")
    for t in range(0, 3 * SECOND, TICK_NS):
        list(desk.poll(t, 0))
    assert [event for event, _, _ in desk.obey(Command.NEXT, 3 * SECOND)] == [Prompt("blue")]


def test_a_cue_may_be_gone_from_the_file_when_its_bar_comes(tmp_path):
    desk = running_desk(tmp_path, "one | red\ntwo | blue | bar=2\n", "off")
    list(desk.poll(SECOND, 0))
    (tmp_path / "set.txt").write_text("one | red\n")
    for t in range(SECOND, 3 * SECOND, TICK_NS):
        list(desk.poll(t, 0))
    assert desk.next_cue is None


def test_a_nudge_stays_while_a_midi_clock_goes_on():
    clock = BeatClock()
    for pulse in range(96):
        if pulse == 48:
            clock.nudge(NUDGE_NS)
        clock.pulse(pulse * BEAT // 24)
    assert clock.time_of(8) == pytest.approx(8 * BEAT + NUDGE_NS, abs=1e6)


def test_the_tempo_of_the_command_line_leaves_a_beat_that_is_there_alone(tmp_path):
    desk = CueDesk(FakeModel(), None, "off", 120.0)
    desk.clock.follow("link", 126.0, 0.0, 0)
    list(desk.poll(SECOND, SECOND))
    assert desk.clock.bpm == 126.0
