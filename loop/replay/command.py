"""`neverblink replay`: make a saved session again and compare, or draw it."""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace

from loop.archive.fingerprint import fingerprint
from loop.archive.reading import damaged_latents, read_session
from loop.archive.record import SessionError
from loop.archive.saved import SavedSession
from loop.cli.signals import tell
from loop.replay.check import Comparison, compare
from loop.replay.elsewhere import as_here
from loop.replay.film import write_film
from loop.worker.process import versions_of
from world.block import World
from world.options import WorldOptions
from world.zoo import open_in_own_process, weight_files

log = logging.getLogger(__name__)


def replay_command(options: Namespace) -> int:
    """Replay a session, or write its film; the exit status. Raises SessionError and WorldError for a user's mistake."""
    saved = read_session(options.folder)
    damage = [*saved.damage, *damaged_latents(saved)]
    for line in damage:
        log.warning("%s: %s", saved.folder, line)
    chosen = _chosen_world(saved, options)
    os.environ.setdefault("OMP_NUM_THREADS", str(chosen.threads))
    world = open_in_own_process(chosen)
    if options.out:
        from_log = options.picture is not None
        frames, path = write_film(world, saved, options.out, options.overwrite, from_log, _progress("drawn"))
        tell(f"{path}: {frames} frames of {len(saved.line())} blocks")
        return 1 if damage else 0
    differences = _differences(saved, world, chosen)
    found = compare(world, saved, options.check, _progress("replayed"))
    _tell(found, saved, differences)
    return 0 if not damage and not found.lost and not found.impure and (differences or found.is_whole) else 1


def _chosen_world(saved: SavedSession, options: Namespace) -> WorldOptions:
    """How to open the session's world: as it was, but for what the command line says otherwise."""
    given = {"name": options.world, "decoder": options.decoder, "picture": options.picture}
    if (options.picture or options.decoder) and not options.out:
        raise SessionError("--picture and --decoder draw the session otherwise than it was: give --out FILE too")
    return as_here(replace(saved.header.world, **{name: value for name, value in given.items() if value}))


def _differences(saved: SavedSession, world: World, chosen: WorldOptions) -> list[str]:
    """What is otherwise here than where the session was made: then other numbers are no sign of damage."""
    here, found = {**versions_of(world), "weights": fingerprint(weight_files(chosen.name))}, dict[str, None]()
    for header in saved.headers:
        there = {**header.versions, "weights": header.weights}
        for name in ("torch", "numpy", "device", "weights"):
            if here.get(name) != there.get(name):
                found[f"{name} {_short(there.get(name))} there, {_short(here.get(name))} here"] = None
    return list(found)


def _short(value: str | None) -> str:
    return (value or "none")[:40]


def _tell(found: Comparison, saved: SavedSession, differences: list[str]) -> None:
    for line in found.lost[:5]:
        log.warning("%s", line)
    if len(found.lost) > 5:
        log.warning("and %d more", len(found.lost) - 5)
    if found.impure:
        log.error("blocks %s come out otherwise by the fold: the model is not deterministic", _some(found.impure))
    if found.healed:
        tell(f"{found.healed} blocks whose latents cannot be read were made again as they were")
    if not found.differing:
        tell(f"replayed {found.same} of {len(saved.blocks)} blocks: every one of them identical")
        return
    tell(
        f"replayed {found.same + len(found.differing)} blocks: {len(found.differing)} differ ({_some(found.differing)})"
    )
    tell(f"largest difference {found.worst:.3g}, {found.share:.2%} of a block's latents (root mean square)")
    tell(f"made otherwise: {'; '.join(differences)}" if differences else "versions, device and weights are the same")


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (" ..." if len(numbers) > 8 else "")


def _progress(verb: str) -> Callable[[int, int], None]:
    """Progress on a terminal only."""

    def show(done: int, of_all: int) -> None:
        if sys.stderr.isatty():
            tell(f"\r{verb} {done} of {of_all} blocks", sys.stderr, end="\n" if done == of_all else "")

    return show
