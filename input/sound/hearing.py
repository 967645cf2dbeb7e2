"""What can be heard in music: level, bands, onsets, tempo. Pure: samples in, findings out.

Onsets are peaks of the spectral flux; the tempo is the strongest period of that flux over the last seconds, refined at
four times the period, with a preference for tempi near 120 where one is as good as its double.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

HOP, WINDOW = 512, 1024  # samples
BANDS_HZ = {"bass": (30.0, 160.0), "mid": (160.0, 2_000.0), "treble": (2_000.0, 12_000.0)}
ATTACK_S, RELEASE_S = 0.01, 0.25
GAIN_S = 12.0  # in which the automatic gain forgets a loud moment
SILENCE = 1e-4  # of full scale: less is noise, and is not amplified
ONSET_GAP_S = 0.1
MEMORY_S, TEMPO_EVERY_S = 8.0, 0.5
SLOWEST_BPM, FASTEST_BPM, USUAL_BPM = 60.0, 190.0, 120.0


@dataclass(frozen=True)
class Heard:
    """What one hop of samples holds: values from 0 to 1 by name, and whether a sound began in it."""

    t_ns: int
    values: dict[str, float]
    is_onset: bool


@dataclass(frozen=True)
class Tempo:
    """A tempo in beats a minute, the time of a beat, and the confidence from 0 to 1."""

    bpm: float
    beat_ns: int
    confidence: float


class LevelFollower:
    """A value that rises fast, falls slowly, and is measured against the loudest of the last seconds."""

    def __init__(self, hop_s: float) -> None:
        self._attack, self._release = (1 - np.exp(-hop_s / time_s) for time_s in (ATTACK_S, RELEASE_S))
        self._forget = np.exp(-hop_s / GAIN_S)
        self._loudest = self._value = 0.0

    def follow(self, value: float) -> float:
        """The value, from 0 to 1, after one more hop."""
        self._loudest = max(value, self._loudest * self._forget, SILENCE)
        wanted = 0.0 if value < SILENCE else value / self._loudest
        self._value += (wanted - self._value) * (self._attack if wanted > self._value else self._release)
        return min(1.0, float(self._value))


class Hearing:
    """Analyses one channel. Owned by the audio input's thread. rate_hz: of the samples."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        hop_s = HOP / rate_hz
        frequencies = np.fft.rfftfreq(WINDOW, 1 / rate_hz)
        self._bands = {name: (frequencies >= low) & (frequencies < high) for name, (low, high) in BANDS_HZ.items()}
        self._followers = {name: LevelFollower(hop_s) for name in ("level", *BANDS_HZ)}
        self._taper = np.hanning(WINDOW)
        self._samples = np.zeros(WINDOW, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._spectrum = np.zeros(len(frequencies))
        memory = round(MEMORY_S / hop_s)
        self._flux: deque[float] = deque(maxlen=memory)
        self._times: deque[int] = deque(maxlen=memory)
        self._last_onset_ns = 0
        self._tempo_ns = 0

    def hear(self, samples: np.ndarray, end_ns: int) -> list[Heard]:
        """The findings of each whole hop. samples: float32 [n], -1 to 1; end_ns: when the last of them was recorded."""
        self._waiting = np.concatenate([self._waiting, samples])
        found = []
        while len(self._waiting) >= HOP:
            hop, self._waiting = self._waiting[:HOP], self._waiting[HOP:]
            found.append(self._hop(hop, end_ns - round(len(self._waiting) / self.rate_hz * 1e9)))
        return found

    def tempo(self) -> Tempo | None:
        """The tempo of the last seconds, twice a second; None between, and while there is too little to hear."""
        if len(self._flux) < self._flux.maxlen / 2 or self._times[-1] - self._tempo_ns < TEMPO_EVERY_S * 1e9:  # type: ignore[operator]
            return None
        self._tempo_ns = self._times[-1]
        flux = np.array(self._flux)
        flux -= flux.mean()
        power = float(flux @ flux)
        if power < 1e-9:
            return None
        likeness = np.correlate(flux, flux, "full")[len(flux) - 1 :] / power
        period, confidence = _period(likeness, self.rate_hz / HOP)
        return Tempo(60 * self.rate_hz / HOP / period, self._beat_ns(flux, period), confidence)

    def _hop(self, hop: np.ndarray, end_ns: int) -> Heard:
        self._samples = np.concatenate([self._samples[HOP:], hop])
        spectrum = np.abs(np.fft.rfft(self._samples * self._taper)) / WINDOW
        # the logarithm makes a soft hit count beside a loud one
        flux = float(np.maximum(np.log1p(1000 * spectrum) - np.log1p(1000 * self._spectrum), 0).sum())
        self._spectrum = spectrum
        t_ns = end_ns - round(WINDOW / 2 / self.rate_hz * 1e9)  # the middle of the window
        level = float(np.sqrt(np.mean(hop.astype(np.float64) ** 2)))
        values = {"level": self._followers["level"].follow(level)}
        for name, chosen in self._bands.items():
            values[name] = self._followers[name].follow(float(np.sqrt((spectrum[chosen] ** 2).sum())))
        is_onset = level > SILENCE and self._is_onset(flux, t_ns)
        self._flux.append(flux)
        self._times.append(t_ns)
        return Heard(t_ns, values, is_onset)

    def _is_onset(self, flux: float, t_ns: int) -> bool:
        """Whether the flux stands out of that of the last second."""
        recent = np.array(self._flux)[-round(self.rate_hz / HOP) :] if self._flux else np.zeros(1)
        is_peak = flux > 1.0 + recent.mean() + 2.5 * recent.std()
        if not is_peak or t_ns - self._last_onset_ns < ONSET_GAP_S * 1e9:
            return False
        self._last_onset_ns = t_ns
        return True

    def _beat_ns(self, flux: np.ndarray, period: float) -> int:
        """The time of the last beat: the shift at which the beats of this period catch most flux."""
        beats = np.arange(int((len(flux) - 1) / period))
        places = np.arange(len(flux))
        shifts = np.arange(0.0, period, 0.25)
        caught = [np.interp(len(flux) - 1 - shift - beats * period, places, flux).sum() for shift in shifts]
        hop_ns = HOP / self.rate_hz * 1e9
        return round(self._times[-1] - shifts[int(np.argmax(caught))] * hop_ns)


def _period(likeness: np.ndarray, hops_a_second: float) -> tuple[float, float]:
    """(the period of the beat in hops, the confidence) from the likeness of the flux to itself at each distance."""
    first, last = (int(60 * hops_a_second / bpm) for bpm in (FASTEST_BPM, SLOWEST_BPM))
    lags = np.arange(first, min(last + 1, len(likeness)))
    preference = np.exp(-0.5 * (np.log2(60 * hops_a_second / lags / USUAL_BPM) / 0.8) ** 2)
    lag = int(lags[int(np.argmax(likeness[lags] * preference))])
    period = _peak(likeness, lag, 2)
    for times in (2, 4):
        if times * period + 4 < len(likeness):
            period = _peak(likeness, round(times * period), 3) / times
    return period, float(min(max(likeness[lag], 0.0), 1.0))


def _peak(values: np.ndarray, near: int, reach: int) -> float:
    """The place of the highest value around `near`, between the samples by the parabola through three of them."""
    low = max(1, near - reach)
    top = low + int(np.argmax(values[low : near + reach + 1]))
    if not 0 < top < len(values) - 1:
        return float(top)
    before, here, after = values[top - 1 : top + 2]
    bend = before - 2 * here + after
    is_peak = before <= here >= after  # else, at the edge of the reach, the parabola's top may be anywhere
    return top + (0.5 * (before - after) / bend if is_peak and bend < 0 else 0.0)
