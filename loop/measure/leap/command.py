"""`neverblink bench leap`: the same switches with and without leaps, and how much the picture changes around each."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import tempfile
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from loop.measure.leap.pictures import Jump, ShownFilm
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.trace.analysis import shown_switches
from loop.measure.trace.estimate import bootstrap_difference
from loop.output.new_file import whole_file
from loop.replay.png import png
from loop.timing.switch import WHOLE

log = logging.getLogger(__name__)
SEGMENT = 10  # switches of a segment
GAP_S = 1.2  # between two, and half as much again at most
STRIP = 12  # pictures of a strip


def run_leap_bench(options: Namespace) -> int:
    """Measure, print, and write the files that were asked for."""
    head = print_environment(trial.configuration(options) | {"pairs": options.pairs}, trial.device_name(options))
    jumps: dict[str, list[Jump]] = {"leap": [], WHOLE: []}
    strips: dict[str, np.ndarray] = {}
    for segment, start in enumerate(range(0, options.pairs, SEGMENT)):
        count = min(SEGMENT, options.pairs - start)
        for mode, done in jumps.items():
            log.info("segment %d, %s", segment + 1, mode)
            found, strips[mode] = _play(options, mode, segment, count)
            done += found
    figures = leap_figures(jumps)
    _print_figures(figures)
    write_json(options, head, figures)
    if options.out:
        with whole_file(options.out, options.overwrite) as file:
            file.part.write_bytes(png(np.concatenate(list(strips.values()))))
    return 0


def _play(options: Namespace, mode: str, segment: int, count: int) -> tuple[list[Jump], np.ndarray]:
    """The jumps of a segment's switches, and a strip of the pictures around its last one."""
    chance = random.Random(1000 * trial.seed_of(options) + segment)
    times = trial.random_times(chance, count, GAP_S, GAP_S / 2)
    with tempfile.TemporaryDirectory(prefix="neverblink-") as folder:
        session, film = Path(folder, "session"), Path(folder, "film.npy")
        arguments = trial.play_arguments(options, "--switch", mode)
        show = trial.Show(arguments, trial.prompt_script(times), times[-1] + 1.5, session=session)
        recording = trial.run_show_with_retry(show)
        command = [sys.executable, "-m", "loop", "replay", str(session), "--out", str(film)]
        _run_replay(command)
        shown = ShownFilm(recording, np.load(film))
        jumps = [shown.jump(event) for event in shown_switches(recording)]
        if not jumps:
            raise ChildProcessError(f"none of {count} switches was shown: is the model slower than real time?")
        places = np.linspace(0, len(jumps[-1].places) - 1, STRIP).round().astype(int)
        pictures = [shown.film[jumps[-1].places[place]] for place in places]
        return jumps, np.concatenate(pictures, 1)


def _run_replay(command: list[str]) -> None:
    """Run `replay`; raises ChildProcessError, with its last line, if it fails."""
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word of why"]
        raise ChildProcessError(f"the replay of the show ended with status {done.returncode}: {last[0]}")


def leap_figures(jumps: dict[str, list[Jump]]) -> dict[str, Any]:
    """The changes of each mode, and by how much their medians differ."""
    figures: dict[str, Any] = {}
    for name in ("to_next", "in_a_period"):
        values = {mode: [getattr(jump, name) for jump in found] for mode, found in jumps.items()}
        more = bootstrap_difference(values["leap"], values[WHOLE], np.random.default_rng(0))
        spreads = {mode: Spread.of(of_mode) for mode, of_mode in values.items()}
        figures[name] = {"levels": spreads, "leap against whole": asdict(more)}
    return figures


def _print_figures(figures: dict[str, Any]) -> None:
    told = {"to_next": "from a picture to the next", "in_a_period": "from a period to the next"}
    for name, found in figures.items():
        print(f"\nthe largest mean change around a switch, {told[name]}, 0 to 255")
        print_spreads(found["levels"], "levels")
        more = found["leap against whole"]
        print(f"the medians differ by {more['value']:+.2f} ({more['low']:+.2f} to {more['high']:+.2f}, 95 %)")
