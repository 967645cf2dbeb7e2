"""The sound of a recording: where samples lie in the film, whatever the device, its clock and its driver do."""

from __future__ import annotations

import av
import numpy as np
import pytest

from loop.output.mp4 import Mp4
from loop.output.recorder import Recorder
from loop.output.sound import GAP_S, PATIENCE_S, SoundTrack
from tests.support.shows import wait_until

RATE, HOP = 48_000, 512
START_NS = 7_000_000_000


def ns(samples: float, rate_hz: float = RATE) -> int:
    return START_NS + round(samples / rate_hz * 1e9)


def counting(first: int, count: int, channels: int = 1) -> np.ndarray:
    """float32 [n, channels]: each sample has the number of its place."""
    return np.repeat(np.arange(first, first + count, dtype=np.float32)[:, None], channels, axis=1)


def track_of(blocks, rate_hz: float = RATE) -> np.ndarray:
    """The samples of a track after these blocks: (values, end_ns)."""
    track = SoundTrack(rate_hz, 1, START_NS)
    placed = [track.place(values, end_ns, rate_hz) for values, end_ns in blocks]
    assert track.written == sum(map(len, placed))
    return np.concatenate(placed)[:, 0]


def test_each_sample_lies_at_its_time():
    blocks = [(counting(first, HOP), ns(first + HOP)) for first in range(0, 40 * HOP, HOP)]
    assert (track_of(blocks) == np.arange(40 * HOP)).all()


def test_what_was_heard_before_the_first_picture_is_left_out():
    blocks = [(counting(first, HOP), ns(first + HOP)) for first in range(-3 * HOP - 100, 10 * HOP, HOP)]
    assert track_of(blocks)[0] == 0


def test_a_device_that_begins_later_finds_silence_before_it():
    track = track_of([(counting(RATE, HOP), ns(RATE + HOP))])
    assert not track[:RATE].any() and (track[RATE:] == counting(RATE, HOP)[:, 0]).all()


def test_a_device_that_vanishes_leaves_silence_and_no_shift():
    there = [(counting(first, HOP), ns(first + HOP)) for first in range(0, 20 * HOP, HOP)]
    back = [(counting(first, HOP), ns(first + HOP)) for first in range(3 * RATE, 3 * RATE + 20 * HOP, HOP)]
    track = track_of(there + back)
    assert not track[20 * HOP : 3 * RATE].any()
    assert (track[3 * RATE :] == np.arange(3 * RATE, 3 * RATE + 20 * HOP)).all()


def test_while_a_device_is_away_silence_follows_the_film_and_what_comes_too_late_is_left_out():
    track = SoundTrack(RATE, 2, START_NS)
    assert len(track.fill(ns(2 * RATE))) == round((2 - PATIENCE_S) * RATE)
    assert len(track.fill(ns(2 * RATE))) == 0, "silence takes a place once"
    late = track.place(counting(0, RATE, 2), ns(RATE), RATE)
    assert late.shape == (0, 2)
    assert len(track.fill(ns(2 * RATE), patience_s=0.0)) == round(PATIENCE_S * RATE)


def test_the_jitter_of_a_driver_moves_nothing():
    chance = np.random.default_rng(3)
    ends = [ns(first + HOP + chance.exponential(0.001 * RATE)) for first in range(0, 2_000 * HOP, HOP)]
    track = track_of([(counting(number * HOP, HOP), end_ns) for number, end_ns in enumerate(ends)])
    assert np.abs(track - np.arange(len(track))).max() <= 0.01 * RATE


@pytest.mark.parametrize("true_rate", [RATE * 1.0005, RATE * 0.9995])
def test_a_clock_that_is_off_is_followed_by_single_samples(true_rate):
    count = 5_000  # blocks: 53 seconds, in which the clocks come apart by 27 ms
    blocks = [(counting(number * HOP, HOP), ns((number + 1) * HOP, true_rate)) for number in range(count)]
    track = track_of(blocks)
    expected = np.arange(len(track)) / RATE * true_rate
    assert np.abs(track - expected).max() < 0.005 * RATE
    assert set(np.diff(track)) <= {0.0, 1.0, 2.0}, "never more than one sample at a time"


def test_lost_samples_are_silence_once_they_are_many():
    lost = round(1.5 * GAP_S * RATE)
    track = track_of([(counting(0, HOP), ns(HOP)), (counting(HOP + lost, HOP), ns(2 * HOP + lost))])
    assert not track[HOP : HOP + lost].any() and track[HOP + lost] == HOP + lost


def test_a_driver_that_stamps_falsely_at_first_is_believed_once_it_goes_on_saying_the_same():
    false_ms = [60.0] * 50 + [0.0] * 400
    blocks = [(counting(n * HOP, HOP), ns((n + 1) * HOP - ms / 1e3 * RATE)) for n, ms in enumerate(false_ms, 6)]
    track = track_of(blocks)
    assert np.abs(track - np.arange(len(track)))[100 * HOP :].max() < 0.005 * RATE


def test_a_device_that_comes_back_with_another_rate_and_more_channels_still_fits():
    track = SoundTrack(RATE, 1, START_NS)
    tone = np.sin(np.arange(4_410) * 2 * np.pi * 100 / 44_100).astype(np.float32)[:, None]
    placed = track.place(np.repeat(tone, 2, axis=1), START_NS + 100_000_000, 44_100)
    assert placed.shape == (4_800, 1)
    assert placed[:, 0] == pytest.approx(np.sin(np.arange(4_800) * 2 * np.pi * 100 / RATE), abs=0.01)


@pytest.mark.parametrize(("device", "film"), [(44_100.0, 44_100), (96_000.0, 96_000), (192_000.0, 48_000)])
def test_a_film_has_the_rate_of_the_device_or_else_one_that_its_encoder_takes(tmp_path, device, film):
    track = SoundTrack(device, 2, START_NS)
    encoder = Mp4(tmp_path / "show.mp4", (64, 36), 24.0, None, (track.rate_hz, 2))
    encoder.add(np.zeros((36, 64, 3), np.uint8))
    encoder.add_sound(track.place(np.zeros((round(device), 2), np.float32), START_NS + 10**9, device))
    encoder.close()
    with av.open(str(tmp_path / "show.mp4")) as opened:
        sound = opened.streams.audio[0]
        assert sound.rate == film and float(sound.duration * sound.time_base) == pytest.approx(1, abs=0.03)


class Device:
    """A tap that is given the sound of a click a second, as a recording asks for it."""

    rate_hz, channels = float(RATE), 2

    def __init__(self, now_s):
        self.now_s, self.given, self.is_closed, self.is_away = now_s, 0, False, lambda second: False

    def take(self):
        blocks = []
        while (end := self.given + HOP) <= self.now_s() * RATE:
            values = np.zeros((HOP, 2), np.float32)
            places = np.arange(self.given, end) % RATE
            values[places < 480] = 0.5 * np.sin(places[places < 480] * 0.4)[:, None]
            if not self.is_away(self.given / RATE):
                blocks.append((values, ns(end), self.rate_hz))
            self.given = end
        return blocks

    def close(self):
        self.is_closed = True


def recorded(path, seconds, is_away=lambda second: False) -> Device:
    """Record a picture that is white at the first quarter of each second, and a device that clicks then."""
    now = [0.0]
    device = Device(lambda: now[0])
    device.is_away = is_away
    recorder = Recorder(lambda: path, 24.0, None, device)
    for frame in range(round(seconds * 24)):
        now[0] = frame / 24
        recorder.add(np.full((36, 64, 3), 255 if frame % 24 < 6 else 0, np.uint8), ns(now[0] * RATE))
        if frame % 24 == 23:
            wait_until(lambda frame=frame: recorder._encoded > frame or recorder.error, "the frames", 20)
    recorder.hold(ns(seconds * RATE))
    now[0] = seconds
    recorder.stop()
    recorder.join()
    assert recorder.error is None
    return device


def clicks_of(path) -> list[float]:
    """When the sound of a film begins after silence, in seconds."""
    with av.open(str(path)) as film:
        frames = [(float(frame.pts * frame.time_base), frame.to_ndarray()[0]) for frame in film.decode(audio=0)]
    sound = np.concatenate([values for _, values in frames])
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    return [frames[0][0] + loud[0] / RATE, *(frames[0][0] + loud[1:][np.diff(loud) > RATE / 10] / RATE)]


def flashes_of(path) -> list[float]:
    """When the picture of a film turns white, in seconds."""
    with av.open(str(path)) as film:
        frames = [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="gray").mean() > 128)
            for frame in film.decode(video=0)
        ]
    return [at_s for (at_s, is_white), (_, was_white) in zip(frames[1:], frames, strict=False) if is_white > was_white]


def test_in_a_film_sound_and_picture_come_together(tmp_path):
    device = recorded(tmp_path / "show.mp4", 5)
    assert flashes_of(tmp_path / "show.mp4") == pytest.approx([1, 2, 3, 4], abs=1e-6)
    assert clicks_of(tmp_path / "show.mp4") == pytest.approx([1, 2, 3, 4], abs=0.002)
    assert device.is_closed
    with av.open(str(tmp_path / "show.mp4")) as film:
        sound = film.streams.audio[0]
        assert (sound.codec_context.name, sound.rate, sound.layout.name) == ("aac", RATE, "stereo")
        assert float(sound.duration * sound.time_base) == pytest.approx(5, abs=0.03)


def test_in_a_film_a_device_that_was_away_is_back_at_its_place(tmp_path):
    recorded(tmp_path / "show.mp4", 7, is_away=lambda second: 1.5 < second < 4.5)
    assert clicks_of(tmp_path / "show.mp4") == pytest.approx([1, 5, 6], abs=0.002)


def test_a_film_with_sound_that_was_never_closed_can_be_played_up_to_its_last_fragment(tmp_path):
    film = Mp4(tmp_path / "killed.mp4", (64, 36), 24.0, None, (RATE, 2))
    for second in range(6):
        for _ in range(24):
            film.add(np.full((36, 64, 3), 40 * second, np.uint8))
        film.add_sound(np.full((RATE, 2), 0.1, np.float32))
    left_behind = tmp_path / "left_behind.mp4"
    left_behind.write_bytes((tmp_path / "killed.mp4").read_bytes())
    film.close()
    with av.open(str(left_behind)) as opened:
        assert len(list(opened.decode(video=0))) > 60
    with av.open(str(left_behind)) as opened:
        assert sum(frame.samples for frame in opened.decode(audio=0)) > 2 * RATE


def test_a_show_that_hears_nothing_records_no_sound(tmp_path):
    recorder = Recorder(lambda: tmp_path / "show.mp4", 24.0)
    recorder.add(np.zeros((36, 64, 3), np.uint8), START_NS)
    recorder.stop()
    recorder.join()
    with av.open(str(tmp_path / "show.mp4")) as film:
        assert len(film.streams.audio) == 0
