"""The dials of the display: they act on the picture in the window's own process, at the next tick."""

from __future__ import annotations

import numpy as np

from loop.screen.effects import blended, brightened, folded, luminance, magnified, mirrored, turned
from world.info import DialRange

DISPLAY_DIALS = {
    "brightness": DialRange(0.0, 2.0, 1.0),
    "hue": DialRange(-180.0, 180.0, 0.0),  # degrees
    "magnify": DialRange(1.0, 4.0, 1.0),
    "mirror": DialRange(0.0, 2.0, 0.0),  # 1: left and right exchanged; 2: the left half and its mirror image
    "guard": DialRange(0.0, 1.0, 0.0),  # from a half on
}
# A flash is two opposite changes of a tenth of full luminance. Sixty steps a second of this size add up to six such
# changes, so there are never more than three flashes in a second (WCAG 2.3.1). Saturated red, and flashes that leave
# the mean of the picture as it is, are not judged.
LEAP = 0.01


class DisplayDials:
    """Where the dials stand, and the picture that they act on. Owned by the engine.

    Cost of each new picture at 224x128 and 832x480, ms of one core: at rest 0.002 and 0.03; mirror 0.03 and 0.4,
    brightness 0.06 and 0.8, hue with brightness 0.3 and 2.5, magnify 0.3 and 3.0, guard 0.1 and 0.3, or 0.2 and 1.9
    while it holds back; all of them together 0.7 and 5.9.
    """

    def __init__(self) -> None:
        self.values = {name: limits.rest for name, limits in DISPLAY_DIALS.items()}
        self._given: np.ndarray | None = None  # the newest picture as the model made it
        self._wanted: np.ndarray | None = None  # the same under the dials
        self._shown: np.ndarray | None = None
        self._is_turned = False

    def turn(self, name: str, value: float) -> None:
        """Set the dial `name`, within its limits."""
        limits = DISPLAY_DIALS[name]
        self.values[name] = min(max(value, limits.low), limits.high)
        self._is_turned = True

    def picture(self, pixels: np.ndarray | None) -> np.ndarray | None:
        """What to show at this tick: uint8 [Y, X, 3] of our own, or None where the screen holds it already.

        pixels: a new picture, uint8 [Y, X, 3], of which nothing is referenced after the return; None: there is none.
        """
        if pixels is not None:
            self._given = pixels.copy()
        if self._given is None:
            return None
        if pixels is not None or self._is_turned:
            self._wanted, self._is_turned = self._dialled(self._given), False
        if self._shown is self._wanted:
            return None
        self._shown = self._guarded(self._wanted)
        return self._shown

    def _dialled(self, pixels: np.ndarray) -> np.ndarray:
        brightness, hue, magnify, mirror = (self.values[name] for name in ("brightness", "hue", "magnify", "mirror"))
        if mirror >= 0.5:
            pixels = mirrored(pixels) if mirror < 1.5 else folded(pixels)
        if magnify > 1:
            pixels = magnified(pixels, magnify)
        if hue:
            return turned(pixels, hue, brightness)
        return pixels if brightness == 1 else brightened(pixels, brightness)

    def _guarded(self, wanted: np.ndarray) -> np.ndarray:
        """`wanted`, or as much of the way to it from what is shown as the guard allows in one tick."""
        if self.values["guard"] < 0.5 or self._shown is None:
            return wanted
        leap = abs(luminance(wanted) - luminance(self._shown))
        return wanted if leap <= LEAP else blended(self._shown, wanted, LEAP / leap)
