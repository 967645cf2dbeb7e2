"""Make the moving picture of the README: a real show in a real window, with prompts typed by real keys.

python examples/moving_picture.py examples/switch.webp

The show runs on an X server of its own, so that nothing appears on your screen. It needs two programs
(apt install xvfb xdotool) and pillow (pip install -e ".[dev]").
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

try:
    from PIL import Image, ImageGrab
except ImportError:
    sys.exit("missing: pillow (pip install -e '.[dev]')")

ROOT = Path(__file__).parent.parent
SIZE = (756, 432)  # in the proportions of the world, so that there are no bars
RATE_HZ = 12  # half of the world's own rate, so that every second frame is kept
WARM_UP_FLIPS = 60
QUALITY = 70  # of the WebP, 0 to 100
TIMEOUT_S = 60.0

FIRST_PROMPT = "slow purple ripples"
TYPED = ("golden spiral", "blue rain", "fast red tunnel")


def key_script() -> list[str]:
    """The arguments for xdotool: it opens the prompt line, types and enters each prompt, and waits while it plays."""
    script = ["sleep", "1.2"]
    for prompt in TYPED:
        # the window loses letters that follow each other within less than 40 ms
        script += ["key", "slash", "sleep", "0.4", "type", "--delay", "65", "--args", "1", prompt]
        script += ["sleep", "0.5", "key", "Return", "sleep", "1.9"]
    return script


@contextmanager
def x_server() -> Iterator[str]:
    """Run Xvfb with one empty screen of SIZE; gives the name of its display."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        if not select.select([reader], [], [], TIMEOUT_S)[0]:
            sys.exit(f"Xvfb gave no display within {TIMEOUT_S:g} s")
        yield f":{os.read(reader, 16).decode().strip()}"
    finally:
        os.close(reader)
        server.terminate()
        server.wait()


def read_flips(trace: Path) -> list[dict]:
    """The lines of the trace about frames that were shown; the last line may be incomplete and is left out."""
    lines = trace.read_text().splitlines()[:-1] if trace.exists() else []
    return [line for line in map(json.loads, lines) if line["kind"] == "flip"]


def wait_for_frames(player: subprocess.Popen, trace: Path) -> None:
    """Return when the show has begun; ends this program if it does not."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(read_flips(trace)) < WARM_UP_FLIPS:
        if player.poll() is not None or time.monotonic() > deadline:
            sys.exit("the show did not begin")
        time.sleep(0.1)


def grab_while(process: subprocess.Popen, display: str) -> tuple[list[Image.Image], list[int]]:
    """Pictures of the screen until the process ends, and how long each was the newest one, in milliseconds."""
    pictures: list[Image.Image] = []
    stamps_s: list[float] = []
    begin = time.monotonic()
    while process.poll() is None:
        time.sleep(max(0.0, begin + len(pictures) / RATE_HZ - time.monotonic()))
        stamps_s.append(time.monotonic())
        pictures.append(ImageGrab.grab(xdisplay=display))
    stamps_s.append(stamps_s[-1] + 1 / RATE_HZ)
    return pictures, [round(1e3 * (after - before)) for before, after in pairwise(stamps_s)]


def film(display: str, trace: Path) -> tuple[list[Image.Image], list[int]]:
    """Play a show on the display, type into its window, and quit; gives the pictures and their durations."""
    environment = os.environ | {"DISPLAY": display, "SDL_VIDEODRIVER": "x11"}
    show = ["--size", f"{SIZE[0]}x{SIZE[1]}", "--seed", "7", "--prompt", FIRST_PROMPT, "--trace", str(trace)]
    player = subprocess.Popen([sys.executable, "-m", "loop", *show], cwd=ROOT, env=environment)
    try:
        wait_for_frames(player, trace)
        pictures, durations_ms = grab_while(subprocess.Popen(["xdotool", *key_script()], env=environment), display)
        subprocess.run(["xdotool", "key", "ctrl+q"], env=environment, check=True)
        player.wait(TIMEOUT_S)
    finally:
        player.kill()
    return pictures, durations_ms


def main(path: str) -> None:
    """Write the moving picture to the path, and say whether the show repeated a frame meanwhile."""
    missing = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)} (apt install xvfb xdotool)")
    with tempfile.TemporaryDirectory() as folder, x_server() as display:
        trace = Path(folder) / "trace.jsonl"
        pictures, durations_ms = film(display, trace)
        repeats = sum(flip["repeat"] for flip in read_flips(trace))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations_ms, loop=0, quality=QUALITY)
    size_mb = Path(path).stat().st_size / 1e6
    print(f"{len(pictures)} pictures, {sum(durations_ms) / 1e3:.1f} s, {size_mb:.1f} MB; repeated frames: {repeats}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
