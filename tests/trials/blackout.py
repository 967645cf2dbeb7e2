"""How soon a blackout and a freeze act, and end, seen from outside: `python -m tests.trials.blackout --world small`.

A real window under Xvfb, real keys; somebody else at the screen looks at a patch of the picture all the time. The model
makes blocks, waits for no one, or is killed or stopped just before. From the key to the changed pixel, in ticks too.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from loop.timing.clock import TICK_NS
from tests.support.shows import finish, model_pid, read_trace, start, wait_until
from tests.support.xserver import Observer, X, serve

PATCH = 24  # pixels a side, in the middle of the picture
PATIENCE_S = 5.0
STILL_S = 0.15  # a picture of 24 frames a second that stands for so long is frozen
STATES = ("busy", "killed", "stopped")


class Eye:
    """Somebody who looks at the middle of the show's window."""

    def __init__(self, observer: Observer) -> None:
        rows, columns = observer.place()
        self._root = observer.root
        self._x, self._y = (columns.start + columns.stop - PATCH) // 2, (rows.start + rows.stop - PATCH) // 2

    def look(self) -> np.ndarray:
        """uint8 [PATCH, PATCH, 4] of the patch now."""
        raw = self._root.get_image(self._x, self._y, PATCH, PATCH, X.ZPixmap, 0xFFFFFFFF).data
        return np.frombuffer(raw, np.uint8).reshape(PATCH, PATCH, 4)

    def is_black(self) -> bool:
        """Whether nothing is to be seen."""
        return not self.look()[:, :, :3].any()

    def until(self, is_so: Callable[[], bool], since_s: float) -> float | None:
        """Milliseconds from `since_s` until `is_so`; None if it took too long."""
        while time.perf_counter() - since_s < PATIENCE_S:
            if is_so():
                return (time.perf_counter() - since_s) * 1e3
        return None

    def last_change_ms(self, since_s: float) -> float | None:
        """When, after `since_s`, the picture changed for the last time before it stood still; None: it never stood."""
        seen, changed_s = self.look(), since_s
        while (now_s := time.perf_counter()) - since_s < PATIENCE_S:
            if now_s - changed_s > STILL_S:
                return (changed_s - since_s) * 1e3
            if not np.array_equal(now := self.look(), seen):
                seen, changed_s = now, time.perf_counter()
        return None


def press(observer: Observer, name: str) -> float:
    """Press and release a key; when it was pressed."""
    pressed_s = time.perf_counter()
    observer.press(name)
    return pressed_s


def blackouts(observer: Observer, eye: Eye) -> list[tuple[str, float | None]]:
    """One blackout and its end."""
    on_ms = eye.until(eye.is_black, press(observer, "b"))
    time.sleep(random.uniform(0.1, 0.4))
    return [("black", on_ms), ("picture", eye.until(lambda: not eye.is_black(), press(observer, "b")))]


def freezes(observer: Observer, eye: Eye) -> list[tuple[str, float | None]]:
    """One freeze and its end. While the model is dead the picture stands anyway."""
    still_ms = eye.last_change_ms(press(observer, "space"))
    before = eye.look()
    pressed_s = press(observer, "space")
    return [("still", still_ms), ("moves", eye.until(lambda: not np.array_equal(eye.look(), before), pressed_s))]


def harm(show, state: str) -> None:
    """Kill or stop the model, or leave it at work."""
    pid = model_pid(show)
    if pid and state != "busy":
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if state == "killed" else signal.SIGSTOP)
        time.sleep(random.uniform(0.05, 0.6))


def measure(world: str, trials: int, trace: Path) -> dict[tuple[str, str], list[float | None]]:
    """All times in milliseconds, by the model's state and by what was waited for."""
    found: dict[tuple[str, str], list[float | None]] = {}
    with serve() as name:
        environment = os.environ | {"DISPLAY": name, "SDL_VIDEODRIVER": "x11"}
        options = ("--size", "640x360", "--seed", 5, "--no-save", "--trace", trace, "--clean")
        show = start("--world", world, *options, "--seconds", 3600, env=environment)
        wait_until(lambda: show.poll() is not None or (trace.exists() and read_trace(trace, "flip")), "frames", 120)
        observer = Observer(name)
        eye = Eye(observer)
        time.sleep(2.0)
        for state in STATES:
            for _ in range(trials if state == "busy" else max(1, trials // 2)):
                harm(show, state)
                for what, ms in [*blackouts(observer, eye), *(freezes(observer, eye) if state == "busy" else [])]:
                    found.setdefault((state, what), []).append(ms)
                time.sleep(random.uniform(0.3, 0.9) if state == "busy" else 4.0)
        show.send_signal(signal.SIGINT)
        _, out, err = finish(show)
        observer.display.close()
    print(out.strip(), err.strip(), sep="\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="small")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.world, options.trials, Path(folder, "trace.jsonl"))
    print(f"milliseconds from the key; a tick is {TICK_NS / 1e6:.1f}")
    print(f"{'model':9} {'until':9} {'n':>3} {'p50':>6} {'p95':>6} {'max':>6}")
    for (state, what), times in found.items():
        known = [ms for ms in times if ms is not None]
        p50, p95 = np.percentile(known, (50, 95)) if known else (np.nan, np.nan)
        lost = f"   never: {len(times) - len(known)}" if len(known) < len(times) else ""
        print(f"{state:9} {what:9} {len(times):3} {p50:6.1f} {p95:6.1f} {max(known, default=np.nan):6.1f}{lost}")
    sys.exit(any(ms is None for times in found.values() for ms in times))


if __name__ == "__main__":
    main()
