"""The beat clock of a show: one tempo and one count of beats, from taps, a MIDI clock, Link, or the music. Pure.

All times are nanoseconds of the monotonic clock and come as arguments. A beat is a quarter, a bar is four of them; beat
0 is the first of the first bar.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import ceil
from statistics import linear_regression, median

from input.cues import BEATS_PER_BAR, QUANTUM_BEATS

LOWEST_BPM, HIGHEST_BPM = 30.0, 300.0
TAP_GAP_NS = 2_100_000_000  # a longer pause begins a new series of taps
PULSES_PER_BEAT = 24  # of a MIDI clock
PULSE_GAP_NS = 500_000_000  # a longer pause: the MIDI clock has stopped
MIN_CONFIDENCE = 0.5  # of a tempo found in the music
_MOST_TAPS, _MOST_PULSES = 16, 2 * PULSES_PER_BEAT


def check_bpm(bpm: float) -> float:
    """`bpm`, if the clock can run at it; raises ValueError."""
    if not LOWEST_BPM <= bpm <= HIGHEST_BPM:
        raise ValueError(f"{bpm:g} beats a minute: expected {LOWEST_BPM:g} to {HIGHEST_BPM:g}")
    return bpm


class BeatClock:
    """Counts beats. Owned by the cue desk.

    source: who is in command: "tap", "midi", "link", "audio", "fixed", or "" if nobody is. A running MIDI clock is in
    command over Link and taps, and all of them over the music; a MIDI clock that has stopped leaves its tempo to the
    next. bpm: beats a minute; 0 before there is a tempo. confidence: from 0 to 1.
    """

    def __init__(self) -> None:
        self.source, self.bpm, self.confidence = "", 0.0, 0.0
        self._zero_ns = 0.0  # when beat 0 is, or would have been
        self._nudged_ns = 0  # since the last beat by hand: every other source is followed so much later
        self._taps: deque[int] = deque(maxlen=_MOST_TAPS)
        self._pulses: deque[tuple[int, int]] = deque(maxlen=_MOST_PULSES)  # (number since the start, time)
        self._next_pulse = 0

    @property
    def is_running(self) -> bool:
        """Whether there is a tempo, so that beats can be waited for."""
        return bool(self.bpm)

    @property
    def beat_ns(self) -> float:
        """The length of a beat."""
        return 60e9 / self.bpm

    def position(self, t_ns: int) -> float:
        """How many beats after beat 0 it is."""
        return (t_ns - self._zero_ns) / self.beat_ns

    def time_of(self, beat: float) -> int:
        """When `beat` is."""
        return round(self._zero_ns + beat * self.beat_ns)

    def next_beat(self, t_ns: int, quantise: str) -> int:
        """The first beat from `t_ns` on that is a whole number of beats, bars or four bars."""
        quantum = QUANTUM_BEATS[quantise]
        return ceil(self.position(t_ns) / quantum - 1e-9) * quantum

    def fix(self, bpm: float, t_ns: int) -> None:
        """Run at `bpm` with beat 0 at `t_ns`."""
        self.bpm, self._zero_ns = check_bpm(bpm), t_ns
        self.source, self.confidence = "fixed", 1.0

    def set_tempo(self, bpm: float, t_ns: int) -> None:
        """Go on at `bpm` from the present position; from beat 0 if there was no tempo. Raises ValueError."""
        position = self.position(t_ns) if self.is_running else 0.0
        self.fix(bpm, t_ns)
        self._zero_ns = t_ns - position * self.beat_ns

    def tap(self, t_ns: int) -> None:
        """A beat is now, by hand. From the second tap on there is a tempo; the first of all taps is beat 0."""
        if self._is_midi_running(t_ns):
            return
        if self._taps and t_ns - self._taps[-1] > TAP_GAP_NS:
            self._taps.clear()
        self._taps.append(t_ns)
        if len(self._taps) < 2:
            return
        beat_ns, first_ns = _line(list(self._taps))
        if LOWEST_BPM <= 60e9 / beat_ns <= HIGHEST_BPM:
            self._nudged_ns = 0
            self._take("tap", 60e9 / beat_ns, first_ns, min(1.0, len(self._taps) / 8))

    def resync(self, t_ns: int) -> None:
        """The beat nearest to `t_ns` is the first of the first bar, and it is now."""
        self._zero_ns = float(t_ns)
        self._taps.clear()
        if self.source == "link":  # the session is told
            self.source = "tap"

    def nudge(self, by_ns: int) -> None:
        """Every beat comes `by_ns` later (earlier if negative), by whatever source, until the next tap."""
        self._zero_ns += by_ns
        self._nudged_ns += by_ns

    def follow(self, source: str, bpm: float, phase: float, t_ns: int) -> None:
        """A session has this tempo and is `phase` beats into a bar at `t_ns`; the count of bars goes on.

        It is followed unless a MIDI clock is in command, or the tempo is out of reach.
        """
        if self._is_midi_running(t_ns) or not LOWEST_BPM <= bpm <= HIGHEST_BPM:
            return
        t_ns += self._nudged_ns
        bars = round((self.position(t_ns) - phase) / BEATS_PER_BAR) if self.is_running else 0
        self.source, self.bpm, self.confidence = source, bpm, 1.0
        self._zero_ns = t_ns - (phase + bars * BEATS_PER_BAR) * self.beat_ns

    def start(self, song_beat: float = 0.0) -> None:
        """A MIDI transport starts: its next pulse is `song_beat`."""
        self._pulses.clear()
        self._next_pulse = round(song_beat * PULSES_PER_BEAT)

    def pulse(self, t_ns: int) -> None:
        """A pulse of a MIDI clock, of which a beat has 24."""
        if self._pulses and t_ns - self._pulses[-1][1] > PULSE_GAP_NS:
            self._pulses.clear()
        self._pulses.append((self._next_pulse, t_ns))
        self._next_pulse += 1
        if len(self._pulses) < PULSES_PER_BEAT // 2:
            return
        numbers, times = zip(*self._pulses, strict=True)
        pulse_ns, zero_ns = linear_regression(numbers, times)
        bpm = 60e9 / (pulse_ns * PULSES_PER_BEAT) if pulse_ns > 0 else 0
        if LOWEST_BPM <= bpm <= HIGHEST_BPM:
            self.source, self.bpm, self.confidence = "midi", bpm, 1.0
            self._zero_ns = zero_ns + self._nudged_ns

    def hear(self, bpm: float, beat_ns: int, confidence: float) -> None:
        """The music has this tempo, with a beat at `beat_ns`: followed unless a hand or a MIDI clock is in command."""
        is_free = self.source in ("", "audio") and confidence >= MIN_CONFIDENCE
        if is_free and LOWEST_BPM <= bpm <= HIGHEST_BPM:
            self._take("audio", bpm, beat_ns + self._nudged_ns, confidence)

    def release(self) -> None:
        """Nobody is in command: the clock runs on until a source takes it over."""
        self.source = ""
        self._taps.clear()
        self._pulses.clear()

    def _take(self, source: str, bpm: float, beat_ns: float, confidence: float) -> None:
        """Follow a source that knows a tempo and a beat, but not which: the count of beats goes on from the nearest."""
        count = round(self.position(round(beat_ns))) if self.is_running else 0
        self.source, self.bpm, self.confidence = source, bpm, confidence
        self._zero_ns = beat_ns - count * self.beat_ns

    def _is_midi_running(self, t_ns: int) -> bool:
        return self.source == "midi" and bool(self._pulses) and t_ns - self._pulses[-1][1] <= PULSE_GAP_NS


def bar_text(position: float) -> str:
    """A position in beats as musicians count it, from 1: bar and beat, as in "33.1"."""
    beat = int(position // 1)
    return f"{beat // BEATS_PER_BAR + 1}.{beat % BEATS_PER_BAR + 1}"


def _line(taps: list[int]) -> tuple[float, float]:
    """(the length of a beat, the time of the first) of these taps, of which some may have been left out."""
    usual = median(b - a for a, b in pairwise(taps))
    numbers = [0]
    for a, b in pairwise(taps):
        numbers.append(numbers[-1] + max(1, round((b - a) / usual)))
    slope, first = linear_regression(numbers, [tap - taps[0] for tap in taps])
    return slope, taps[0] + first
