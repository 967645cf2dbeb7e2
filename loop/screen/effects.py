"""The effects of the display dials. Pure: each takes uint8 [Y, X, 3] RGB and returns a new picture of the same shape.

They are written in numpy because recordings and headless shows need them too. They work in bands of rows that fit into
the processor's cache, and avoid matrix products, whose threads would take the model's core.
"""

from __future__ import annotations

from math import cos, radians

import numpy as np

_BAND = 16  # rows
_CHANNELS = (0, 1, 2)
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec. 709
_WEIGHT_STEPS = 128  # of interpolation: a weight times the difference of two bytes still fits into int16


def mirrored(pixels: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    out = np.empty_like(pixels)
    for channel in _CHANNELS:  # three times as fast as reversing pixels of three bytes
        out[..., channel] = pixels[:, ::-1, channel]
    return out


def folded(pixels: np.ndarray) -> np.ndarray:
    """The left half, and its mirror image as the right half."""
    out = mirrored(pixels)
    half = pixels.shape[1] // 2
    out[:, :half] = pixels[:, :half]
    return out


def magnified(pixels: np.ndarray, times: float) -> np.ndarray:
    """The middle of the picture, `times` (1 or more) as large, linearly interpolated so that a slow zoom is even."""
    height, width = pixels.shape[:2]
    left, right, across = _neighbours(width, times)
    above, below, down = _neighbours(height, times)
    first_byte, second_byte, across = _byte_columns(left), _byte_columns(right), across.repeat(3)
    first, last = above[0], below[-1] + 1
    wide = np.empty((last - first, width * 3), np.uint8)  # the rows that stay visible, stretched to the width
    for y in range(0, last - first, _BAND):
        band = pixels[first + y : min(first + y + _BAND, last)].reshape(-1, width * 3)
        wide[y : y + _BAND] = _interpolated(band.take(first_byte, 1), band.take(second_byte, 1), across)
    out = np.empty_like(pixels)
    for y in range(0, height, _BAND):
        rows = slice(y, y + _BAND)
        stretched = _interpolated(wide[above[rows] - first], wide[below[rows] - first], down[rows, None])
        out[rows] = stretched.reshape(-1, width, 3)
    return out


def _neighbours(length: int, times: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of an enlarged line: the two source pixels around it, and the weight of the second.

    Each is [length]; a weight is a whole number of 0 to _WEIGHT_STEPS.
    """
    positions = (np.arange(length) + 0.5 - length / 2) / times + length / 2 - 0.5
    before = positions.astype(np.intp)
    return before, np.minimum(before + 1, length - 1), ((positions - before) * _WEIGHT_STEPS).astype(np.int16)


def _byte_columns(columns: np.ndarray) -> np.ndarray:
    """The indices of the three bytes of each pixel in a row of bytes: [X] -> [X * 3]."""
    return (3 * columns[:, None] + _CHANNELS).reshape(-1)


def _interpolated(before: np.ndarray, after: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`before` and `after`, both uint8, mixed by the weight (0 to _WEIGHT_STEPS) of `after`."""
    start = before.astype(np.int16)
    mixed = after.astype(np.int16)
    mixed -= start
    mixed *= weights
    mixed >>= 7  # divides by _WEIGHT_STEPS
    mixed += start
    return mixed.astype(np.uint8)


def brightened(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Every value times `factor`, limited to 255."""
    table = np.minimum(np.arange(256) * factor + 0.5, 255).astype(np.uint8).tobytes()
    # twice as fast as indexing a numpy table, which first converts every byte into an index of eight bytes
    return np.frombuffer(pixels.tobytes().translate(table), np.uint8).reshape(pixels.shape)


def postered(pixels: np.ndarray, tones: int) -> np.ndarray:
    """Every value cut to the nearest below of `tones` (4 or 8) tones from 0 to 255, without a soft edge.

    Each channel is cut by itself. Cutting the brightness and keeping the hue takes ten times as long (BENCHMARKS.md).
    """
    highest = tones.bit_length() - 1
    out = np.empty_like(pixels)
    for y in range(0, len(pixels), _BAND):
        band = out[y : y + _BAND]
        np.bitwise_and(pixels[y : y + _BAND], 256 - 256 // tones, out=band)
        for bits in (highest, 2 * highest):  # the highest bits, repeated downwards, reach 255
            band |= band >> bits
    return out


def hue_rotated(pixels: np.ndarray, degrees: float, factor: float = 1.0) -> np.ndarray:
    """Hues rotated by `degrees` and every value times `factor`; greys stay grey. At 120, red becomes green.

    It is the rotation of RGB space around the axis of greys: each channel becomes a weighted sum of all three.
    """
    angle = radians(degrees)
    own, next_, last = (
        np.float32(factor * (1 + 2 * cos(angle + shift)) / 3) for shift in (0.0, radians(120), radians(-120))
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
    """The mean relative luminance of a picture, 0 to 1, from about 128 of its rows.

    The square of a value stands for its light: a gamma of 2, close to that of sRGB.
    """
    rows = pixels[:: max(1, len(pixels) // 128)]
    light = rows.reshape(len(rows), -1).astype(np.float32)
    light *= light
    channel_means = light.mean(axis=0).reshape(-1, 3).mean(axis=0)
    return sum(float(mean) * weight for mean, weight in zip(channel_means, _LUMINANCE, strict=True)) / 255**2


def blended(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """A mixture of two pictures, `share` (0 to 1) of it from `after`.

    Their light is mixed, not their values, so that the luminance changes by exactly that share of the difference.
    """
    out = np.empty_like(before)
    for y in range(0, len(before), _BAND):
        light, change = (picture[y : y + _BAND].astype(np.float32) for picture in (before, after))
        light *= light
        change *= change
        change -= light
        change *= np.float32(share)
        light += change
        np.sqrt(light, out=light)
        light += np.float32(0.5)
        out[y : y + _BAND] = light
    return out
