"""Make the moving picture of the README: the storybook's twelve sentences, rendered, with each sentence below its part.

python examples/moving_picture.py examples/story.webp

It needs pillow (pip install -e ".[dev]"). A second argument names another world that tells stories, such as a file of
your own training.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError:
    sys.exit("missing: pillow (pip install -e '.[dev]')")

ROOT = Path(__file__).parent.parent
STORY = ROOT / "examples" / "story.jsonl"
LAST_S = 4.0  # how long the last sentence plays
FPS = 24  # of every compact world
STEP = 2  # every second frame is kept
QUALITY = 55  # of the WebP, 0 to 100
LINE, MARGIN = 34, 10  # pixels: the height of the line below the picture, and what is left free at its left


def read_story() -> list[tuple[float, str]]:
    """The sentences of the script and when each begins, in seconds."""
    lines = map(json.loads, STORY.read_text().splitlines())
    return [(line["at_s"], line.get("scene") or line["prompt"]) for line in lines]


def render_story(world: str, seconds: float) -> np.ndarray:
    """The frames uint8 [T, Y, X, 3] of the script; ends this program if it cannot be rendered."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "story.npy"
        job = ["--world", world, "--script", str(STORY), "--seed", "3", "--seconds", f"{seconds:g}", "--out", str(out)]
        done = subprocess.run([sys.executable, "-m", "loop", "render", *job], cwd=ROOT)
        if done.returncode:
            sys.exit(done.returncode)
        return np.load(out)


def told_below(pixels: np.ndarray, sentence: str) -> Image.Image:
    """The picture with a dark line below it that holds the sentence."""
    height, width = pixels.shape[:2]
    whole = Image.new("RGB", (width, height + LINE), (20, 20, 26))
    whole.paste(Image.fromarray(pixels))
    font = ImageFont.load_default(15)
    ImageDraw.Draw(whole).text((MARGIN, height + LINE // 2), sentence, (238, 232, 220), font, anchor="lm")
    return whole


def main(path: str, world: str = "tale") -> None:
    """Render, write the moving picture to the path, and say how large it is."""
    story = read_story()
    frames = render_story(world, story[-1][0] + LAST_S)
    pictures = []
    for number in range(0, len(frames), STEP):
        sentence = [text for at_s, text in story if at_s <= number / FPS][-1]
        pictures.append(told_below(frames[number], sentence))
    duration_ms = round(1e3 * STEP / FPS)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0, quality=QUALITY)
    size_mb = Path(path).stat().st_size / 1e6
    print(f"{len(pictures)} pictures, {len(frames) / FPS:.1f} s, {size_mb:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
