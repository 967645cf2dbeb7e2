"""What is heard in made-up music."""

import numpy as np
import pytest

from input.sound.hearing import HOP, Hearing, LevelFollower

RATE = 44_100
SECOND = 10**9


def clicks(bpm, seconds, seed=1, noise=0.002, offset_s=0.3):
    """float32: short decaying bursts on each beat, in a little noise."""
    chance = np.random.default_rng(seed)
    samples = chance.normal(0, noise, int(seconds * RATE))
    burst = chance.normal(0, 0.3, 2000) * np.exp(-np.arange(2000) / 300)
    times = np.arange(offset_s, seconds - 0.1, 60 / bpm)
    for t_s in times:
        start = int(t_s * RATE)
        samples[start : start + 2000] += burst
    return samples.astype(np.float32), times


def tones(bpm, seconds):
    """float32: a short tone on each beat, and nothing else."""
    t_s = np.arange(int(0.03 * RATE)) / RATE
    tone, samples = 0.6 * np.sin(2 * np.pi * 1500 * t_s) * np.exp(-200 * t_s), np.zeros(int(seconds * RATE))
    for start in np.arange(0, seconds - 0.1, 60 / bpm):
        samples[int(start * RATE) :][: len(tone)] += tone
    return samples.astype(np.float32)


def heard(samples, hearing=None):
    """(all findings, the last tempo) of samples whose first is at time 0."""
    hearing, found, tempo = hearing or Hearing(RATE), [], None
    for start in range(0, len(samples) - HOP, HOP):
        found += hearing.hear(samples[start : start + HOP], round((start + HOP) / RATE * SECOND))
        tempo = hearing.tempo() or tempo
    return found, tempo


@pytest.mark.parametrize("bpm", [72, 96, 120, 126, 128, 174])
def test_the_tempo_of_clicks_is_found_within_one_percent(bpm):
    _, tempo = heard(clicks(bpm, 12)[0])
    assert tempo.bpm == pytest.approx(bpm, rel=0.01)
    assert tempo.confidence > 0.5


def test_the_beat_lies_on_the_clicks():
    samples, times = clicks(120, 12)
    _, tempo = heard(samples)
    assert min(abs(tempo.beat_ns / SECOND - times)) < 0.02


def test_every_click_is_an_onset_and_nothing_else_is():
    samples, times = clicks(120, 10)
    onsets = np.array([one.t_ns / SECOND for one in heard(samples)[0] if one.is_onset])
    late = times[times > 1]  # a second to learn what is usual
    assert all(min(abs(onsets - t_s)) < 0.03 for t_s in late)
    assert sum(onsets > 1) == len(late)


@pytest.mark.parametrize("silent_s", [2.25, 4.0, 6.0])
def test_music_that_begins_after_a_silence_is_followed(silent_s):
    silence = np.zeros(int(silent_s * RATE), np.float32)
    _, tempo = heard(np.concatenate([silence, tones(120, 14 - silent_s)]))
    assert tempo.bpm == pytest.approx(120, rel=0.01)


def test_noise_has_no_tempo_to_be_followed():
    noise = np.random.default_rng(3).normal(0, 0.1, 12 * RATE).astype(np.float32)
    assert heard(noise)[1].confidence < 0.3


@pytest.mark.parametrize("seed", [0, 3])
def test_notes_without_any_beat_are_analysed_to_their_end(seed):
    chance, samples = np.random.default_rng(seed), np.zeros(16 * RATE, np.float32)
    note = 0.7 * np.sin(2 * np.pi * 440 * np.arange(RATE // 4) / RATE) * np.exp(-np.arange(RATE // 4) / RATE / 0.1)
    for start in np.cumsum(1 + 0.5 * chance.random(10)) * RATE:
        samples[int(start) : int(start) + len(note)] += note
    found, tempo = heard(samples)
    assert len(found) == (len(samples) - 1) // HOP
    assert 60 / 1.05 <= tempo.bpm <= 190 * 1.05


def test_silence_is_silent_and_has_no_onset():
    found, tempo = heard(np.zeros(6 * RATE, np.float32))
    assert tempo is None and not any(one.is_onset for one in found)
    assert all(value == 0 for one in found for value in one.values.values())


@pytest.mark.parametrize(("frequency", "band"), [(60, "bass"), (700, "mid"), (6000, "treble")])
def test_a_tone_is_in_its_band(frequency, band):
    """With the gain as loud music has set it."""
    hearing = Hearing(RATE)
    heard(np.random.default_rng(1).normal(0, 0.2, RATE).astype(np.float32), hearing)
    tone = 0.3 * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)
    values = heard(tone, hearing)[0][-1].values
    assert max(("bass", "mid", "treble"), key=values.get) == band


def test_a_quiet_source_is_amplified_after_a_while():
    loud, quiet = (heard(clicks(120, 6, noise=0)[0] * gain)[0] for gain in (1.0, 0.05))
    assert max(one.values["level"] for one in quiet) == pytest.approx(max(one.values["level"] for one in loud), abs=0.1)


def test_a_value_rises_fast_and_falls_slowly():
    follower = LevelFollower(HOP / RATE)
    rise = [follower.follow(1.0) for _ in range(4)][-1]
    fall = [follower.follow(0.0) for _ in range(4)][-1]
    assert rise > 0.9 and fall > 0.7
