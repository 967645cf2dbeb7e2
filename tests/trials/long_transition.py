"""Where a long transition ends: `python -m tests.trials.long_transition --world small --transition 16`.

Shows without a window, recorded: one pair of words all through, the other all through, and from the first to the
second over so many blocks. Compares the last seconds of each film by how fine the picture is, which tells stripes from
plasma, and writes a picture of each second side by side for people to look at.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.support.shows import finish, start

SWITCH_S = 6.0
LAST_S = 4.0  # of each film, that are judged
TILE = (160, 90)


def play(folder: Path, name: str, options: argparse.Namespace, seed: int, script: list[dict]) -> list[np.ndarray]:
    """The pictures of a show, uint8 [Y, X, 3] RGB, and its summary printed."""
    film, lines = folder / f"{name}.mp4", folder / f"{name}.jsonl"
    lines.write_text("\n".join(map(json.dumps, script)))
    chosen = ("--transition", options.transition, "--seed", seed, "--seconds", options.seconds, "--script", lines)
    show = start("--world", options.world, "--headless", "--no-save", "--record", film, *chosen)
    status, out, err = finish(show, options.seconds + 60)
    if status:
        raise ChildProcessError(out + err)
    print(f"{name}: {out.strip().splitlines()[0]}")
    with av.open(str(film)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def fineness(picture: np.ndarray) -> float:
    """Periods in the picture's width, averaged over its spectrum: about 5 for stripes of `small`, 3 for plasma."""
    grey = picture.mean(axis=2)
    power = np.abs(np.fft.rfft2(grey - grey.mean())) ** 2
    across = np.arange(power.shape[1])
    down = np.fft.fftfreq(grey.shape[0], 1 / grey.shape[0]) * grey.shape[1] / grey.shape[0]
    return float((power * np.hypot(across[None], down[:, None])).sum() / max(power.sum(), 1e-9))


def last_pictures(film: list[np.ndarray], seconds: float) -> list[np.ndarray]:
    """Twelve pictures of the last seconds of a film that lasts `seconds`."""
    first = round(len(film) * (1 - LAST_S / seconds))
    return [film[index] for index in np.linspace(first, len(film) - 1, 12).astype(int)]


def sheet(films: list[list[np.ndarray]], seconds: float) -> Image.Image:
    """A row for each film, a picture for each second."""
    rows = []
    for film in films:
        chosen = [film[int((second + 0.5) * len(film) / seconds)] for second in range(int(seconds))]
        rows.append(np.hstack([np.asarray(Image.fromarray(picture).resize(TILE)) for picture in chosen]))
    return Image.fromarray(np.vstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="small")
    parser.add_argument("--transition", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--old", default="blue stripes")
    parser.add_argument("--new", default="red plasma")
    parser.add_argument("--between", help="other words half-way, which the new ones overtake")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    old, new = {"at_s": 0, "prompt": options.old}, {"at_s": SWITCH_S, "prompt": options.new}
    between = [{"at_s": SWITCH_S - 1.5, "prompt": options.between}] if options.between else []
    scripts = {"old": [old], "new": [{**new, "at_s": 0}], "switch": [old, *between, new]}
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for seed in range(options.trials):
            films = {kind: play(Path(name), f"{kind}{seed}", options, seed, script) for kind, script in scripts.items()}
            seen = {k: np.mean([fineness(p) for p in last_pictures(f, options.seconds)]) for k, f in films.items()}
            is_new = abs(seen["switch"] - seen["new"]) < abs(seen["switch"] - seen["old"])
            wrong += not is_new
            print(f"seed {seed}: " + ", ".join(f"{kind} {value:.2f}" for kind, value in seen.items()), is_new)
            if options.sheet:
                sheet(list(films.values()), options.seconds).save(
                    options.sheet.with_stem(f"{options.sheet.stem}{seed}")
                )
    print(f"{options.trials - wrong} of {options.trials} ended in the new words")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
