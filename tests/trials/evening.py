"""A show of minutes in a real window, with everything a session can hold, and its replay.

`python -m tests.trials.evening`

A script brings 40 prompts, dials and a hard cut; real keys set bookmarks, scrub back, go back a fifth of the show by a
bookmark, take another turn, and recall a bookmark. Then every block is made again twice, straight and by the fold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from loop.archive.reading import damaged_latents, read_session
from loop.archive.saved import SavedSession
from loop.archive.state_folder import session_bytes
from loop.replay.check import compare
from loop.replay.listing import branches, length_s
from tests.support.shows import finish, read_trace, start, wait_until
from tests.support.xserver import Observer, X, serve
from world.event import Scene, text_of, to_json
from world.zoo import open_in_own_process, open_options

PROMPTS = 40
KEYS = (  # at which part of the show, and what is pressed; a number is how long the key is held, in seconds
    (0.12, ("shift", "F5"), 0.0),
    (0.33, ("BackSpace",), 3.0),
    (0.55, ("shift", "F6"), 0.0),
    (0.65, ("r",), 0.0),
    (0.75, ("F6",), 0.0),
    (0.87, ("ctrl", "F5"), 0.0),
)
ANY_WORDS = tuple(f"a red fox runs into a blue night {number}" for number in range(8))


def write_script(path: Path, seconds: float, words: Iterator[str], dials: tuple[str, ...]) -> None:
    """Prompts all through the show, a dial or two after each, and a hard cut in the middle."""
    entries: list[dict] = []
    turning = cycle(dials or ("brightness",))
    for number in range(PROMPTS):
        at_s = 2.0 + number * (seconds - 8.0) / PROMPTS
        kind = "scene" if number == PROMPTS // 2 else "prompt"
        entries.append({"at_s": round(at_s, 2), kind: next(words)})
        entries.append({"at_s": round(at_s + 1.0, 2), "dial": next(turning), "value": (number % 5) / 5})
    path.write_text("\n".join(map(json.dumps, entries)))


def press(observer: Observer, names: tuple[str, ...], held_s: float) -> None:
    """Hold the keys down together, the last for so long."""
    for name in names:
        observer.key(name, X.KeyPress)
    time.sleep(max(held_s, 0.05))
    for name in reversed(names):
        observer.key(name, X.KeyRelease)


def play(folder: Path, trace: Path, world: tuple[str, ...], seconds: float, script: Path) -> dict[int, str]:
    """Play the show; the digests of the blocks that were saved when it went back by a bookmark."""
    with serve() as name:
        environment = os.environ | {"DISPLAY": name, "SDL_VIDEODRIVER": "x11"}
        options = ("--size", "640x360", "--seed", 5, "--spare", "off", "--session", folder, "--trace", trace)
        show = start("--world", *world, *options, "--seconds", seconds, "--script", script, env=environment)
        observer, before = Observer(name), dict[int, str]()
        wait_until(lambda: show.poll() is not None or (trace.exists() and read_trace(trace, "flip")), "frames", 120)
        begun = time.monotonic()
        for part, names, held_s in KEYS:
            time.sleep(max(0.0, begun + part * seconds - time.monotonic()))
            if names == ("F6",):
                before = {index: record.digest for index, record in read_session(folder).blocks.items()}
            press(observer, names, held_s)
        status, out, err = finish(show, seconds)
        observer.display.close()
    print(out.strip(), err.strip(), sep="\n")
    assert status == 0, status
    return before


def tell_show(saved: SavedSession, trace: Path, before: dict[int, str]) -> list[str]:
    """What was played, what it takes on the disk, how quickly it went back; everything that is wrong."""
    kinds = Counter(to_json(asked.event)["type"] for asked in saved.asked)
    kinds["scene"] = sum(isinstance(event, Scene) for record in saved.line() for event in record.events)
    taken = sum(text_of(event) is not None for record in saved.blocks.values() for event in record.events)
    print(
        f"{len(saved.blocks)} blocks, {length_s(saved):.0f} s of film, {dict(kinds)}, {taken} of the words in a block"
    )
    print(f"branches to blocks {branches(saved)}, bookmarks {saved.bookmarks}")
    print(f"the folder holds {session_bytes(saved.folder) / 1e6:.2f} MB")
    for kind in ("rewind", "recall"):
        numbers = [line["id"] for line in read_trace(trace, "event") if line["event"]["type"] == kind]
        stamps = {(line["id"], line["stage"]): line["t_ns"] for line in read_trace(trace, "stage")}
        times = [(stamps[n, "flip"] - stamps[n, "pump"]) / 1e6 for n in numbers if (n, "flip") in stamps]
        print(f"{kind}: first new frame after {', '.join(f'{ms:.0f}' for ms in times) or 'none'} ms")
        if len(times) < (2 if kind == "rewind" else 1):
            return [f"{len(times)} times {kind}, of {len(numbers)}"]
    changed = [index for index, digest in before.items() if saved.blocks[index].digest != digest]
    print(f"{len(before)} blocks were saved before going back by a bookmark, {len(changed)} of them changed")
    return [*saved.damage, *damaged_latents(saved), *(f"block {index} has changed" for index in changed)]


def check_replay(saved: SavedSession) -> list[str]:
    """Make every block again, twice; what was wrong."""
    world = open_options(saved.header.world)
    if saved.header.world.name != "probe":
        world = open_in_own_process(saved.header.world)
    begun = time.perf_counter()
    found = compare(world, saved, True, lambda done, of_all: None)
    print(f"replay --check: {found.same} of {len(saved.blocks)} the same, in {time.perf_counter() - begun:.0f} s")
    return [] if found.is_whole else [str(found)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="small")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("options", nargs="*", help="more options of the show, after --")
    options = parser.parse_args()
    world = (options.world, *options.options)
    with tempfile.TemporaryDirectory() as place:
        folder, trace, script = Path(place, "session"), Path(place, "trace.jsonl"), Path(place, "script.jsonl")
        is_known = options.world in ("small", "tale")
        info = open_options(_options(options.world)).info if is_known else None
        words = cycle((*info.examples, info.showpiece) if info else ANY_WORDS)
        write_script(script, options.seconds, words, tuple(info.dials) if info else ())
        before = play(folder, trace, world, options.seconds, script)
        saved = read_session(folder)
        wrong = [*tell_show(saved, trace, before), *check_replay(saved)]
    print("\n".join(wrong) or "everything as it should be")
    sys.exit(bool(wrong))


def _options(name: str):
    from world.options import WorldOptions

    return WorldOptions(name)


if __name__ == "__main__":
    main()
