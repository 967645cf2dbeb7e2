"""The audio input on a made-up driver: what it tells, and a device that goes and comes back."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from input.action import ControlMoved
from input.beat import BeatClock
from input.sound import audio
from input.sound.audio import AudioError, AudioIn
from input.sound.hearing import HOP, Tempo
from input.sound.tap import MOST_KEPT
from loop.stage.instruments import Instruments
from tests.input.test_hearing import RATE, clicks
from tests.support.shows import wait_until

NAMES = {"audio:level", "audio:bass", "audio:mid", "audio:treble"}
TIMES = SimpleNamespace(currentTime=HOP / RATE, inputBufferAdcTime=0.0)


class FakeDriver:
    """Stands for the sounddevice module. is_there: whether the device can be opened. streams: all that were.

    rate_hz: the device's. first: the samples that come before `start` returns.
    """

    class PortAudioError(Exception):
        pass

    def __init__(self):
        self.is_there, self.streams = True, []
        self.rate_hz, self.first = RATE, None

    def InputStream(self, callback, **options):
        if not self.is_there:
            raise self.PortAudioError("Device unavailable\nmore")
        silent = {name: lambda ignore_errors=True: None for name in ("abort", "close")}
        form = {"samplerate": self.rate_hz, "channels": options["channels"]}

        def start():
            if self.first is not None:
                callback(self.first, HOP, TIMES, None)

        self.streams.append(SimpleNamespace(callback=callback, start=start, **form, **silent))
        return self.streams[-1]

    def query_devices(self, device, kind):
        return {"max_input_channels": 32}

    def _terminate(self):
        """It holds no list of devices."""

    _initialize = _terminate


@pytest.fixture
def driver(monkeypatch):
    made = FakeDriver()
    monkeypatch.setattr(audio, "_load", lambda: made)
    monkeypatch.setattr(audio, "RETRY_S", 0.01)
    monkeypatch.setattr(audio, "SILENT_S", 0.05)
    return made


@pytest.fixture
def listening(driver):
    made = AudioIn("default")
    yield made
    made.close()


def play(driver, samples):
    for start in range(0, len(samples) - HOP, HOP):
        driver.streams[-1].callback(samples[start : start + HOP, None], HOP, TIMES, None)


def test_sound_moves_the_controls_and_a_click_is_an_onset(driver, listening):
    play(driver, clicks(120, 2)[0])
    found = []

    def is_all_heard():
        found.extend(one for one, _ in listening.poll(0))
        names = {one.control for one in found if isinstance(one, ControlMoved)}
        return ControlMoved("audio:onset", 1.0) in found and names >= NAMES

    wait_until(is_all_heard, "every control", 10)
    assert all(0 <= one.value <= 1 for one in found if isinstance(one, ControlMoved))


def test_a_device_that_is_not_there_is_told(driver):
    driver.is_there = False
    with pytest.raises(AudioError, match="the default device cannot be recorded: Device unavailable"):
        AudioIn("default")


def test_a_device_that_goes_and_comes_back_is_heard_again(driver, listening):
    driver.is_there = False
    time.sleep(0.1)
    driver.is_there = True
    wait_until(lambda: len(driver.streams) > 1, "the second stream", 10)
    play(driver, clicks(120, 1)[0])
    found = []
    wait_until(lambda: found.extend(one for one, _ in listening.poll(0)) or found, "something heard", 10)
    assert any(isinstance(one, ControlMoved) for one in found)


def test_what_a_device_gives_before_it_has_quite_come_back_has_its_new_rate(driver, listening):
    tap = listening.tap()
    driver.rate_hz, driver.first = 2 * RATE, np.ones((HOP, 2), np.float32)
    blocks = []
    wait_until(lambda: blocks.extend(tap.take()) or blocks, "the first block", 10)
    assert blocks[0][2] == 2 * RATE


def test_a_tap_gives_each_sample_of_both_channels_until_it_is_closed(driver, listening):
    sound = np.stack([clicks(120, 1)[0], -clicks(120, 1)[0]], axis=1)
    tap = listening.tap()
    for start in range(0, 10 * HOP, HOP):
        driver.streams[-1].callback(sound[start : start + HOP], HOP, TIMES, None)
    blocks = tap.take()
    assert (np.concatenate([values for values, _, _ in blocks]) == sound[: 10 * HOP]).all()
    assert (tap.rate_hz, tap.channels) == (RATE, 2)
    assert tap.take() == []
    tap.close()
    driver.streams[-1].callback(sound[:HOP], HOP, TIMES, None)
    assert tap.take() == []


def test_a_tap_that_nobody_empties_keeps_the_newest_and_holds_nothing_up(driver, listening):
    tap = listening.tap()
    for number in range(MOST_KEPT + 5):
        tap.put((np.full((1, 2), number, np.float32), number, RATE))
    kept = [end_ns for _, end_ns, _ in tap.take()]
    assert (kept[0], kept[-1], len(kept)) == (5, MOST_KEPT + 4, MOST_KEPT)


def test_the_tempo_that_is_heard_moves_the_beat_and_no_dial():
    clock = BeatClock()
    source = SimpleNamespace(name="audio", poll=lambda now: [(Tempo(126.0, 0, 0.9), 0)])
    assert list(Instruments([source]).poll(0, clock)) == []
    assert (clock.source, clock.bpm) == ("audio", 126.0)
