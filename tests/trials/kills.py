"""Shows that are saved, and killed for real at random moments.

`python -m tests.trials.kills --count 200` in an empty folder.

One session is played on and on: each time a show goes on from it, both processes are killed with SIGKILL at a random
moment, while it opens, warms up or plays. After each kill the session must open, must lack at most the newest block
that was seen, and must be gone on from by the next show. At the end every block is made again and compared.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from loop.archive.reading import damaged_latents, read_session
from loop.archive.record import SessionError
from loop.archive.saved import SavedSession
from loop.replay.check import compare
from tests.support.shows import finish, model_pid, read_trace, start, wait_until
from world.zoo import open_options

CARD = ("--world", "probe", "--probe-frames", "2", "--probe-fps", "48", "--probe-block-ms", "8")


def kill_again_and_again(folder: Path, count: int, world: tuple[str, ...] = CARD, seed: int = 0) -> list[str]:
    """Kill `count` shows of one session; everything that was wrong, one line each."""
    chance, wrong, newest = random.Random(seed), list[str](), -1
    for number in range(count):
        trace = folder.parent / f"trace-{number}.jsonl"
        saved = played_and_killed(folder, trace, world, chance)
        seen = max((line["block"] for line in read_trace(trace, "flip")), default=-1)
        trace.unlink(missing_ok=True)
        if saved is None:
            if newest >= 0 or seen > 0:
                wrong.append(f"kill {number}: the session does not open any more")
            continue
        damage = [line for line in (*saved.damage, *damaged_latents(saved)) if "ends within a line" not in line]
        wrong += [f"kill {number}: {line}" for line in damage]
        if seen - max(saved.blocks, default=-1) > 1:
            wrong.append(
                f"kill {number}: block {seen} was seen, and {max(saved.blocks, default=-1)} is the newest saved"
            )
        if max(saved.blocks, default=-1) < newest:
            wrong.append(f"kill {number}: blocks that were saved before are gone")
        newest = max(saved.blocks, default=-1)
    return [*wrong, *goes_on(folder, world)]


def played_and_killed(folder: Path, trace: Path, world: tuple[str, ...], chance: random.Random) -> SavedSession | None:
    """Begin the session or go on from it, and kill it; the session, None if nothing was saved in it yet."""
    where = ("--resume",) if opened(folder) else ("--seed", "3")
    if not opened(folder) and folder.exists():
        for path in folder.iterdir():
            path.unlink()
    known = blocks_in(folder)
    show = start(*world, "--headless", "--spare", "off", "--session", folder, "--trace", trace, *where)
    if opened(folder) and chance.random() < 0.4:  # while it opens, or a little later
        time.sleep(chance.uniform(0.3, 2.5))
    else:
        more = chance.randint(1, 20)
        wait_until(lambda: blocks_in(folder) >= known + more or show.poll() is not None, f"{more} more blocks", 60)
        time.sleep(chance.uniform(0, 0.1))
    pids = [pid for pid in (show.pid, model_pid(show)) if pid]
    chance.shuffle(pids)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    show.communicate()
    return opened(folder)


def blocks_in(folder: Path) -> int:
    """How many blocks the log names so far."""
    log = folder / "log.jsonl"
    return log.read_bytes().count(b'"kind": "block"') if log.exists() else 0


def opened(folder: Path) -> SavedSession | None:
    """The session; None if nothing was saved in it yet."""
    try:
        return read_session(folder)
    except SessionError:
        return None


def goes_on(folder: Path, world: tuple[str, ...]) -> list[str]:
    """Let one more show go on and end by itself, and make every block again; what was wrong."""
    before = opened(folder)
    if before is None:
        return ["nothing was saved"]
    where = ("--headless", "--spare", "off", "--session", folder, "--resume", "--seconds", 1)
    status, _, err = finish(start(*world, *where))
    if status or len(read_session(folder).blocks) <= len(before.blocks):
        return [f"the session cannot be gone on from: status {status}, {err}"]
    saved = read_session(folder)
    found = compare(open_options(saved.header.world), saved, True, lambda done, of_all: None)
    return [] if found.is_whole else [f"the session does not replay: {found}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--world", default="probe")
    options = parser.parse_args()
    world = CARD if options.world == "probe" else ("--world", options.world)
    with tempfile.TemporaryDirectory() as folder:
        wrong = kill_again_and_again(Path(folder, "session"), options.count, world, options.seed)
        saved = read_session(Path(folder, "session"))
    print(f"{options.count} kills, {len(saved.headers)} of them after the world was open, {len(saved.blocks)} blocks")
    print("\n".join(wrong) or "every time the session opened, at most one block was lost, and play went on")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
