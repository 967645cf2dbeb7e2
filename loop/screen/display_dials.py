"""The display dials: they change the picture in the window's process at the next tick, without the model."""

from __future__ import annotations

import numpy as np

from loop.screen.effects import blended, brightened, folded, hue_rotated, luminance, magnified, mirrored, postered
from world.info import DialRange

DISPLAY_DIALS = {
    "brightness": DialRange(0.0, 2.0, 1.0),
    "hue": DialRange(-180.0, 180.0, 0.0),  # degrees
    "magnify": DialRange(1.0, 4.0, 1.0),
    "mirror": DialRange(0.0, 2.0, 0.0),  # 1: left and right exchanged; 2: the left half and its mirror image
    "poster": DialRange(0.0, 2.0, 0.0),  # 1, 2: each channel cut to 8, 4 tones
    "guard": DialRange(0.0, 1.0, 0.0),  # the strobe guard: on from 0.5
}
# WCAG 2.3.1 allows three flashes a second; a flash is two opposite changes of a tenth of full luminance. Sixty steps of
# this size in a second add up to six such changes. Saturated red is not looked at, nor are flashes that leave the mean
# luminance of the picture unchanged.
MAX_LUMINANCE_STEP = 0.01
_TONES = {1: 8, 2: 4}  # by the value of the poster dial


class DisplayDials:
    """The values of the dials, and the picture that they act on. Owned by the engine.

    The cost of a new picture at 224x128 and at 832x480, in ms of one core: 0.002 and 0.03 with all dials at rest;
    mirror 0.03 and 0.4, brightness 0.06 and 0.8, hue with brightness 0.3 and 2.5, magnify 0.3 and 3.0, poster 0.05 and
    0.5, guard 0.1 and 0.3, or 0.2 and 1.9 while it limits a change; all of them together, without the poster, 0.7 and
    5.9.
    """

    def __init__(self) -> None:
        self.values = {name: limits.rest for name, limits in DISPLAY_DIALS.items()}
        self._original: np.ndarray | None = None  # the newest picture as the model made it
        self._adjusted: np.ndarray | None = None  # that picture after all dials but the guard
        self._shown: np.ndarray | None = None  # what the screen holds
        self._has_changed = False  # a dial, since _adjusted was made

    def turn(self, name: str, value: float) -> None:
        """Set the dial `name` to `value`, or to the nearest limit of its range."""
        limits = DISPLAY_DIALS[name]
        self.values[name] = min(max(value, limits.low), limits.high)
        self._has_changed = True

    def picture(self, pixels: np.ndarray | None) -> np.ndarray | None:
        """The picture to show at this tick, uint8 [Y, X, 3]; None if the screen already holds it.

        It is never written to afterwards, so the recorder may keep it.
        pixels: a new picture, uint8 [Y, X, 3], which the caller may overwrite afterwards; None if there is no new one.
        """
        if pixels is not None:
            self._original = pixels.copy()
        if self._original is None:
            return None
        if self._adjusted is None or pixels is not None or self._has_changed:
            self._adjusted, self._has_changed = self._adjust(self._original), False
        if self._shown is self._adjusted:
            return None
        self._shown = self._guard(self._adjusted)
        return self._shown

    def _adjust(self, pixels: np.ndarray) -> np.ndarray:
        """`pixels` after every dial but the guard."""
        brightness, hue, magnify, mirror = (self.values[name] for name in ("brightness", "hue", "magnify", "mirror"))
        if mirror >= 0.5:
            pixels = mirrored(pixels) if mirror < 1.5 else folded(pixels)
        if magnify > 1:
            pixels = magnified(pixels, magnify)
        if hue:
            pixels = hue_rotated(pixels, hue, brightness)
        elif brightness != 1:
            pixels = brightened(pixels, brightness)
        poster = round(self.values["poster"])
        return postered(pixels, _TONES[poster]) if poster else pixels

    def _guard(self, adjusted: np.ndarray) -> np.ndarray:
        """`adjusted`, or a blend towards it whose luminance differs from what is shown by MAX_LUMINANCE_STEP."""
        if self.values["guard"] < 0.5 or self._shown is None:
            return adjusted
        step = abs(luminance(adjusted) - luminance(self._shown))
        return adjusted if step <= MAX_LUMINANCE_STEP else blended(self._shown, adjusted, MAX_LUMINANCE_STEP / step)
