"""`neverblink bench switch`: the ways to switch a prompt, in alternating segments, under the same events."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from loop.measure import trial
from loop.measure.analysis import Smoothness, frames_lost, left_blocks, smoothness, switches, unseen_blocks
from loop.measure.bench import Spread, print_environment, write_json
from loop.measure.bound import Bound, measure_idle, play_s, settle_s
from loop.measure.estimate import Estimate, difference
from loop.measure.recording import Recording
from loop.timing.switch import MODES, PLAIN

log = logging.getLogger(__name__)
SEGMENT = 10  # switches before another mode has its turn


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    mode: str
    reserve: int

    def __str__(self) -> str:
        return f"{self.mode}, reserve {self.reserve}"


@dataclass(frozen=True)
class Row:
    """What one setting came to. against_inline: difference of the medians, ms; None for inline itself and for plain."""

    switches: int
    latency: Spread
    against_inline: Estimate | None
    picture: Smoothness
    frames_lost: float  # a switch, in the mean
    unseen_blocks: float  # share of the finished blocks
    left_blocks: float  # share of the begun ones


def run(options: Namespace) -> int:
    """Measure, print, and write the JSON if one is asked for."""
    asked = {"switches": options.switches, "reserves": options.reserve}
    head = print_environment(trial.setting(options) | asked, trial.device_name(options))
    idle, bound = measure_idle(options)
    rows: dict[Setting, Row] = {}
    for recordings in measure(options, idle, bound):
        rows = table(recordings)
        write_json(options.json, head, figures(rows, bound))
    report(rows, bound)
    return 0


def settings(reserves: Iterable[int]) -> list[Setting]:
    """Every mode at every reserve, and the plain engine, which holds none."""
    return [Setting(PLAIN, 0)] + [Setting(mode, reserve) for reserve in reserves for mode in MODES]


def measure(options: Namespace, idle: Recording, bound: Bound) -> Iterator[dict[Setting, list[Recording]]]:
    """The segments of every setting so far, after each round of them; one that fails twice is left out.

    Turn and turn about, so that what else the machine does hits them all alike.
    """
    recordings: dict[Setting, list[Recording]] = {setting: [] for setting in settings(options.reserve)}
    sizes = [min(SEGMENT, options.switches - done) for done in range(0, options.switches, SEGMENT)]
    for segment, size in enumerate(sizes):
        for setting, done in recordings.items():
            show = _show(options, setting, random.Random(1000 * trial.seed(options) + segment), size, idle, bound)
            log.info("segment %d of %d: %s, %.0f s", segment + 1, len(sizes), setting, show.seconds)
            if recording := trial.attempt(show):
                done.append(recording.since(trial.WARM_S))
        yield recordings


def table(recordings: dict[Setting, list[Recording]]) -> dict[Setting, Row]:
    """A row for every setting of which a switch reached the screen."""
    totals = {setting: _totals(done) for setting, done in recordings.items()}
    return {
        setting: Row(
            sum(event.kind == "prompt" for recording in done for event in recording.events),
            Spread.of(totals[setting]),
            _against_inline(setting, totals),
            smoothness(done),
            fmean([lost for recording in done for lost in frames_lost(recording)] or [0.0]),
            fmean(map(unseen_blocks, done)),
            fmean(map(left_blocks, done)),
        )
        for setting, done in recordings.items()
        if totals[setting]
    }


def _totals(recordings: Iterable[Recording]) -> list[float]:
    return [event.total_ms for recording in recordings for event in switches(recording)]


def _against_inline(setting: Setting, totals: dict[Setting, list[float]]) -> Estimate | None:
    inline = totals.get(Setting("inline", setting.reserve))
    if setting.mode in ("inline", PLAIN) or not inline:
        return None
    return difference(totals[setting], inline, np.random.default_rng(0))


def report(rows: dict[Setting, Row], bound: Bound) -> None:
    """Print the table."""
    if not rows:
        raise ChildProcessError("no switch of any segment reached the screen")
    limit = next(iter(rows.values())).picture.limit_ms
    print(f"\nprompt to pixel in ms; a hold above {limit:.1f} ms, a repeat or a rate below 0.95 is a blink")
    columns = f"{'n':>5}{'repeats':>9}{'hold':>8}{'rate':>7}{'smooth':>8}{'p50':>8}{'p95':>8}"
    print(f"{'':<20}{columns}{'lost':>7}{'unseen':>8}{'left':>7}   against inline (95 %)")
    for setting, row in rows.items():
        print(f"{setting!s:<20}{_cells(row)}")
    told = "lost: frames a switch; unseen: of the finished blocks; left: unfinished, of those begun"
    print(f"\nthe bound {bound.of('prompt'):.1f} ms (no reserve); {told}")


def _cells(row: Row) -> str:
    seen, spread = row.picture, row.latency
    smooth = "yes" if seen.has_no_repeats else "no"
    against = f"{row.against_inline:.1f}" if row.against_inline else "-"
    shown = f"{spread.n:>5}{seen.repeats:>9}{seen.longest_hold_ms:>8.1f}{seen.rate:>7.2f}{smooth:>8}"
    waited = f"{spread.p50:>8.1f}{spread.p95:>8.1f}{row.frames_lost:>7.2f}"
    return f"{shown}{waited}{row.unseen_blocks:>8.1%}{row.left_blocks:>7.1%}   {against}"


def figures(rows: dict[Setting, Row], bound: Bound) -> dict[str, Any]:
    """The same for other programs."""
    told = {str(setting): asdict(row) | {"smooth": row.picture.has_no_repeats} for setting, row in rows.items()}
    return {"unit": "ms", "settings": told, "bound": asdict(bound)}


def _show(
    options: Namespace, setting: Setting, chance: random.Random, switches: int, idle: Recording, bound: Bound
) -> trial.Show:
    settle = settle_s(idle, bound, setting.reserve)
    times = trial.moments(chance, switches, settle, 2 * play_s(idle))
    given = trial.arguments(options, "--switch", setting.mode, "--reserve", setting.reserve)
    return trial.Show(given, trial.prompts(times), times[-1] + settle + 1.0)
