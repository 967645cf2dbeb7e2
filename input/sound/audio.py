"""Audio in: a line or a microphone, analysed on a thread of its own; a device that is unplugged comes back."""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, Full, Queue
from typing import Any

import numpy as np

from input.action import ControlMoved
from input.sound.hearing import HOP, Hearing, Tempo
from input.sound.tap import SampleTap

log = logging.getLogger(__name__)
RETRY_S = 2.0  # between two tries to open a device that has gone
SILENT_S = 2.0  # without a block of samples: the device has gone
MOST_DELAY_S = 0.5  # that a driver's own time stamps are believed
LEAST_MOVE = 1 / 128
MOST_WAITING = 400  # blocks of samples, and findings
MOST_CHANNELS = 2  # of a device; the analysis hears their mean, a tap gets each


class AudioError(ValueError):
    """Audio cannot be recorded; the message is one line for the user."""


class AudioIn:
    """Listens to a device, and tells what it hears as the controls audio:level, audio:bass, audio:mid, audio:treble and
    audio:onset, and as a tempo. A source of the instruments.

    wanted: part of a device's name, or "default". Raises AudioError if the library is missing or no device is there.
    dropped: blocks of samples that came faster than they were analysed.
    """

    name = "audio"

    def __init__(self, wanted: str) -> None:
        self._sounddevice = _load()
        self._wanted = None if wanted == "default" else wanted
        self._samples: Queue[tuple[np.ndarray, int]] = Queue(MOST_WAITING)
        self._found: Queue[tuple[ControlMoved | Tempo, int]] = Queue(MOST_WAITING)
        self._sent: dict[str, float] = {}
        self._has_ended = threading.Event()
        self._heard_ns = time.perf_counter_ns()
        self._taps: tuple[SampleTap, ...] = ()  # replaced as a whole, since the driver's thread reads it
        self.dropped = 0
        self._stream = self._open()
        self._thread = threading.Thread(target=self._run, name="audio", daemon=True)
        self._thread.start()

    def poll(self, now_ns: int) -> list[tuple[ControlMoved | Tempo, int]]:
        """What was heard since the last call, each with the time at which the sound was recorded."""
        found: list[tuple[ControlMoved | Tempo, int]] = []
        while True:
            try:
                found.append(self._found.get_nowait())
            except Empty:
                return found

    def tap(self) -> SampleTap:
        """The samples from now on, for one reader, until it closes the tap."""
        made = SampleTap(self._rate_hz, int(self._stream.channels), self._untap)
        self._taps = (*self._taps, made)
        return made

    def _untap(self, tap: SampleTap) -> None:
        self._taps = tuple(other for other in self._taps if other is not tap)

    def close(self) -> None:
        """Stop listening."""
        self._has_ended.set()
        self._thread.join(5)
        if self._stream is not None:
            self._stream.close()

    def _open(self) -> Any:
        """A running stream; raises AudioError."""
        try:
            channels = self._sounddevice.query_devices(self._wanted, "input")["max_input_channels"]
            stream = self._sounddevice.InputStream(
                device=self._wanted,
                channels=min(channels, MOST_CHANNELS),
                blocksize=HOP,
                dtype="float32",
                latency="low",
                callback=self._take,
            )
            self._rate_hz = float(stream.samplerate)  # before the first block comes, in the driver's thread
            stream.start()
        except (self._sounddevice.PortAudioError, ValueError) as error:
            what = f"device {self._wanted!r}" if self._wanted else "the default device"
            raise AudioError(f"audio from {what} cannot be recorded: {str(error).splitlines()[0]}") from None
        self._heard_ns = time.perf_counter_ns()
        return stream

    def _take(self, samples: np.ndarray, frames: int, times: Any, status: Any) -> None:
        """A block of samples, in the driver's thread: nothing here may wait."""
        now_ns = time.perf_counter_ns()
        rate_hz = self._rate_hz
        delay_s = times.currentTime - times.inputBufferAdcTime - frames / rate_hz
        self._heard_ns = now_ns
        end_ns = now_ns - round(min(max(delay_s, 0.0), MOST_DELAY_S) * 1e9)
        for tap in self._taps:
            tap.put((samples.copy(), end_ns, rate_hz))
        try:
            self._samples.put_nowait((samples.mean(axis=1), end_ns))
        except Full:
            self.dropped += 1

    def _run(self) -> None:
        hearing = Hearing(self._rate_hz)
        while not self._has_ended.is_set():
            try:
                samples, end_ns = self._samples.get(timeout=0.2)
            except Empty:
                if time.perf_counter_ns() - self._heard_ns > SILENT_S * 1e9 and self._reopen():
                    hearing = Hearing(self._rate_hz)
                continue
            for heard in hearing.hear(samples, end_ns):
                for name, value in heard.values.items():
                    self._tell(name, value, heard.t_ns)
                self._tell("onset", float(heard.is_onset), heard.t_ns)
            if (tempo := hearing.tempo()) is not None:
                self._put(tempo, end_ns)

    def _tell(self, name: str, value: float, t_ns: int) -> None:
        """Tell a value, unless it is about the one that was told last."""
        last = self._sent.get(name, 0.0)
        if abs(value - last) >= LEAST_MOVE or (value == 0.0) != (last == 0.0):
            self._sent[name] = value
            self._put(ControlMoved(f"audio:{name}", value), t_ns)

    def _put(self, found: ControlMoved | Tempo, t_ns: int) -> None:
        try:
            self._found.put_nowait((found, t_ns))
        except Full:
            self.dropped += 1

    def _reopen(self) -> bool:
        """Try to open the device again after it has gone; whether it is there."""
        log.warning("audio: the device gives nothing any more; trying to open it again")
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)
        while not self._has_ended.wait(RETRY_S):
            try:
                # PortAudio lists devices only once, when it starts
                self._sounddevice._terminate()
                self._sounddevice._initialize()
                self._stream = self._open()
            except (AudioError, self._sounddevice.PortAudioError) as error:
                log.debug("%s", error)
                continue
            log.warning("audio: the device is back")
            return True
        return False


def _load() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise AudioError("audio needs sounddevice: pip install 'neverblink[audio]'") from None
    except OSError:
        raise AudioError("audio needs the library PortAudio: apt install libportaudio2") from None
    return sounddevice
