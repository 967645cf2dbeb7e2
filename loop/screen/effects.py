"""What the display dials do to a picture. Pure: uint8 [Y, X, 3] RGB in, a new one out; nothing here keeps a reference.

In numpy, because a recording and a show without a window need it too, and in bands of rows that stay in the cache. No
matrix library: its threads would take the model's core.
"""

from __future__ import annotations

from math import cos, radians

import numpy as np

_BAND = 16  # rows
_CHANNELS = (0, 1, 2)
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec. 709
_PARTS = 128  # of the way from one pixel to the next: times a difference of two bytes it still fits int16


def mirrored(pixels: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    out = np.empty_like(pixels)
    for channel in _CHANNELS:  # three times as fast as turning groups of three bytes around
        out[..., channel] = pixels[:, ::-1, channel]
    return out


def folded(pixels: np.ndarray) -> np.ndarray:
    """The left half, and its mirror image as the right half."""
    out = mirrored(pixels)
    half = pixels.shape[1] // 2
    out[:, :half] = pixels[:, :half]
    return out


def magnified(pixels: np.ndarray, times: float) -> np.ndarray:
    """The middle of the picture, `times` (1 or more) as large, linear between pixels, so that a slow zoom is even."""
    height, width = pixels.shape[:2]
    columns, rows = _bytes(*_reach(width, times)), _reach(height, times)
    first, last = rows[0][0], rows[1][-1] + 1
    wide = np.empty((last - first, width * 3), np.uint8)
    for y in range(0, last - first, _BAND):
        wide[y : y + _BAND] = _across(pixels[first + y : min(first + y + _BAND, last)], *columns)
    out = np.empty_like(pixels)
    for y in range(0, height, _BAND):
        above, below, parts = (of_rows[y : y + _BAND] for of_rows in rows)
        out[y : y + _BAND] = _between(wide[above - first], wide[below - first], parts[:, None]).reshape(-1, width, 3)
    return out


def _reach(length: int, times: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each place of a magnified line: the two it lies between, and how many _PARTS it is past the first."""
    places = (np.arange(length) + 0.5 - length / 2) / times + length / 2 - 0.5
    before = places.astype(np.intp)
    return before, np.minimum(before + 1, length - 1), ((places - before) * _PARTS).astype(np.int16)


def _bytes(left: np.ndarray, right: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same reach for the three bytes of each pixel."""
    return (*((3 * columns[:, None] + _CHANNELS).reshape(-1) for columns in (left, right)), parts.repeat(3))


def _across(band: np.ndarray, left: np.ndarray, right: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """[y, X, 3] -> [y, X * 3]: every row, stretched."""
    flat = band.reshape(len(band), -1)
    return _between(flat.take(left, 1), flat.take(right, 1), parts)


def _between(before: np.ndarray, after: np.ndarray, parts: np.ndarray) -> np.ndarray:
    start = before.astype(np.int16)
    way = after.astype(np.int16)
    way -= start
    way *= parts
    way >>= 7
    way += start
    return way.astype(np.uint8)


def brightened(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Every value times `factor`, at most 255."""
    table = np.minimum(np.arange(256) * factor + 0.5, 255).astype(np.uint8).tobytes()
    # twice as fast as an indexed table, which first turns every byte into an index of eight
    return np.frombuffer(pixels.tobytes().translate(table), np.uint8).reshape(pixels.shape)


def turned(pixels: np.ndarray, degrees: float, factor: float = 1.0) -> np.ndarray:
    """Hues turned around the axis of greys, which keep their place, and brightened: at 120 red is green, green blue."""
    turn = radians(degrees)
    own, next_, last = (
        np.float32(factor * (1 + 2 * cos(turn + shift)) / 3) for shift in (0.0, radians(120), radians(-120))
    )
    out = np.empty_like(pixels)
    for y in range(0, len(pixels), _BAND):
        planes = [pixels[y : y + _BAND, :, channel].astype(np.float32) for channel in _CHANNELS]
        for channel in _CHANNELS:
            mixed = planes[channel] * own
            mixed += planes[channel - 2] * next_
            mixed += planes[channel - 1] * last
            mixed += np.float32(0.5)
            out[y : y + _BAND, :, channel] = mixed.clip(0, 255, out=mixed)
    return out


def luminance(pixels: np.ndarray) -> float:
    """The mean relative luminance, 0 to 1, of about 128 rows; a value's light is taken as its square."""
    rows = pixels[:: max(1, len(pixels) // 128)]
    light = rows.reshape(len(rows), -1).astype(np.float32)
    light *= light
    of_channels = light.mean(axis=0).reshape(-1, 3).mean(axis=0)
    return sum(float(mean) * weight for mean, weight in zip(of_channels, _LUMINANCE, strict=True)) / 255**2


def blended(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Light of both pictures, `share` (0 to 1) of it from `after`: its luminance goes that share of the way."""
    out = np.empty_like(before)
    for y in range(0, len(before), _BAND):
        light, more = (picture[y : y + _BAND].astype(np.float32) for picture in (before, after))
        light *= light
        more *= more
        more -= light
        more *= np.float32(share)
        light += more
        np.sqrt(light, out=light)
        light += np.float32(0.5)
        out[y : y + _BAND] = light
    return out
