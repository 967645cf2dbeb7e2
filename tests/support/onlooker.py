"""A process that presses real keys and watches the screen: `python -m tests.support.onlooker DISPLAY TRIALS SEED`.

It shares nothing with the show but the screen and the monotonic clock. It writes JSON Lines: {"press_ns"} for each
Shift+Enter, and {"seen_ns", "number", "prompts", "patch"} for each look that was not like the one before. It ends after
TRIALS presses, each of which it sees arrive at the patch (`--patch corner`).
"""

from __future__ import annotations

import json
import random
import sys
import time

import numpy as np
from Xlib import X

from tests.support.xserver import Observer
from world.probe import BITS

LOOK_S = 0.0003  # between looks: three processes that all spin take each other's processor
PATIENCE_S = 20.0
# Rows as shares of the height: the patch hides the corner of the number's row down to 1/12.
PATCH, NUMBER, PROMPTS = 0.04, 0.105, 0.19


class Onlooker:
    """Presses and looks. What it saw is in `told`."""

    def __init__(self, name: str) -> None:
        self.observer = Observer(name)
        self.told: list[dict] = []
        self._last = None
        rows, columns = self.observer.place()
        self._height, width = rows.stop - rows.start, columns.stop - columns.start
        first, last = round(PATCH * self._height), round(PROMPTS * self._height)
        self._area = columns.start, rows.start + first, width, last - first + 1
        self._rows = [round(share * self._height) - first for share in (PATCH, NUMBER, PROMPTS)]
        self._cells = [int((bit + 0.4) * width / BITS) for bit in range(BITS)]

    def look(self) -> tuple[int, int, int]:
        """(frame number, prompts, patch) on the screen now; one request, so they belong together."""
        image = self.observer.root.get_image(*self._area, X.ZPixmap, 0xFFFFFFFF)
        seen_ns = time.perf_counter_ns()
        pixels = np.frombuffer(image.data, np.uint8).reshape(self._area[3], self._area[2], 4)
        patch, number, prompts = (pixels[row, :, 1] > 127 for row in self._rows)
        seen = _value(number[self._cells]), _value(prompts[self._cells]), int(patch[-self._height // 24])
        if seen != self._last:
            self._last = seen
            names = ("seen_ns", "number", "prompts", "patch")
            self.told.append(dict(zip(names, (seen_ns, *seen), strict=True)))
        return seen

    def watch(self, until, limit_s: float) -> bool:
        """Look until `until(seen)`; whether that came within the limit."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if until(self.look()):
                return True
            time.sleep(LOOK_S)
        return False

    def trial(self, wait_s: float) -> None:
        """Wait, press Enter (Shift is down), and watch the patch turn."""
        self.watch(lambda seen: False, wait_s)
        patch = self.look()[2]
        press_ns = time.perf_counter_ns()
        self.observer.key("enter", X.KeyPress)
        self.told.append({"press_ns": press_ns})
        self.observer.key("enter", X.KeyRelease)
        if not self.watch(lambda seen: seen[2] != patch, PATIENCE_S):
            sys.exit(f"press {len(self.told)} was not seen to arrive within {PATIENCE_S:g} s")


def _value(lit: np.ndarray) -> int:
    return int(np.packbits(lit).view(">u2")[0])


def main(name: str, trials: str, seed: str) -> None:
    """Watch one show."""
    chance = random.Random(int(seed))
    onlooker = Onlooker(name)
    onlooker.observer.key("shift", X.KeyPress)
    for _ in range(int(trials)):
        onlooker.trial(chance.uniform(0.1, 0.3))
    onlooker.watch(lambda seen: False, 0.2)
    onlooker.observer.key("shift", X.KeyRelease)
    for line in onlooker.told:
        print(json.dumps(line))


if __name__ == "__main__":
    main(*sys.argv[1:])
