"""The sound of a film: samples that come at any time, placed where they belong in a track of constant rate."""

from __future__ import annotations

from typing import Protocol

import numpy as np

PATIENCE_S = 0.5  # so long after its time a sound may still come; then silence takes its place
GAP_S = 0.1  # samples that come off their place by more than this were lost, or came after silence had taken it
JUMP_S = 0.03  # the same in the mean of the newest blocks: some drivers stamp falsely in the first second
SLIP_S = 0.002  # a device's clock may be off by so much, in the mean, before a sample is repeated or left out
_SMOOTHING = 0.02  # of that mean, for each block: a block may be stamped late by milliseconds, if a thread had to wait

_RATES_HZ = (48_000, 44_100, 88_200, 96_000)  # of a film, as AAC has them; sound of another is brought to the first


class SoundTap(Protocol):
    """Where a film gets its sound from (input.sound.tap)."""

    rate_hz: float
    channels: int

    def take(self) -> list[tuple[np.ndarray, int, float]]: ...

    def close(self) -> None: ...


class SoundTrack:
    """Places blocks of samples in a track that begins at `first_ns`. Pure.

    Where the device gave nothing there is silence, so that what comes later is where it belongs. The clock of the
    device is never quite this machine's: now and then one sample is repeated or left out, which nobody hears.

    rate_hz, channels: of the track. written: samples that it has so far.
    """

    def __init__(self, rate_hz: float, channels: int, first_ns: int) -> None:
        self.rate_hz = round(rate_hz) if round(rate_hz) in _RATES_HZ else _RATES_HZ[0]
        self.channels, self.written = channels, 0
        self._first_ns = first_ns
        self._drift = 0.0  # samples that the track lacks, in the mean of the newest blocks

    def place(self, values: np.ndarray, end_ns: int, rate_hz: float) -> np.ndarray:
        """What the track goes on with for this block, float32 [n, channels]; perhaps nothing.

        values: float32 [n, channels], -1 to 1; end_ns: when the last of them was recorded; rate_hz: of these.
        """
        values = _with_channels(_at_rate(values, rate_hz, self.rate_hz), self.channels)
        lag = self._place_of(end_ns) - len(values) - self.written
        self._drift += (lag - self._drift) * _SMOOTHING
        if self.written == 0 or abs(lag) > GAP_S * self.rate_hz or abs(self._drift) > JUMP_S * self.rate_hz:
            self._drift = 0.0
            return self._written(self._moved(values, round(lag)))
        if abs(self._drift) > SLIP_S * self.rate_hz:
            values = np.concatenate([values, values[-1:]]) if self._drift > 0 else values[:-1]
        return self._written(values)

    def fill(self, t_ns: int, patience_s: float = PATIENCE_S) -> np.ndarray:
        """Silence, float32 [n, channels], for what should have come by `t_ns`, `patience_s` ago, and has not."""
        missing = round(self._place_of(t_ns) - patience_s * self.rate_hz) - self.written
        return self._written(np.zeros((max(missing, 0), self.channels), np.float32))

    def _place_of(self, t_ns: int) -> float:
        return (t_ns - self._first_ns) * self.rate_hz / 1e9

    def _moved(self, values: np.ndarray, lag: int) -> np.ndarray:
        """`values` after so much silence; without their first samples, if that is negative."""
        if lag < 0:
            return values[-lag:]
        return np.concatenate([np.zeros((lag, self.channels), np.float32), values])

    def _written(self, values: np.ndarray) -> np.ndarray:
        self.written += len(values)
        return values


def _at_rate(values: np.ndarray, rate_hz: float, wanted_hz: float) -> np.ndarray:
    """`values` in another rate, by straight lines between them."""
    if rate_hz == wanted_hz:
        return values
    places = np.arange(round(len(values) * wanted_hz / rate_hz)) * (rate_hz / wanted_hz)
    channels = [np.interp(places, np.arange(len(values)), channel) for channel in values.T]
    return np.stack(channels, axis=1).astype(np.float32)


def _with_channels(values: np.ndarray, wanted: int) -> np.ndarray:
    """`values` with as many channels as the track has: the mean of all in each, if they have another number."""
    if values.shape[1] == wanted:
        return values
    return np.repeat(values.mean(axis=1, keepdims=True), wanted, axis=1)
