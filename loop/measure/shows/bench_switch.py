"""`neverblink bench switch`: the modes of switching a prompt, in alternating segments under the same script."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from loop.measure.report import Spread, print_environment, write_json
from loop.measure.shows import trial
from loop.measure.shows.bound import Bound, block_play_s, drain_s, measure_idle
from loop.measure.trace.analysis import (
    Smoothness,
    abandoned_blocks,
    frames_lost,
    smoothness,
    switch_times_ms,
    unseen_blocks,
)
from loop.measure.trace.estimate import Estimate, bootstrap_difference
from loop.measure.trace.recording import Recording
from loop.timing.switch import MODES, PLAIN

log = logging.getLogger(__name__)
SEGMENT_SWITCHES = 10  # so many before another setting has its turn


@dataclass(frozen=True)
class SwitchSetting:
    """What a row of the table is measured at."""

    mode: str
    reserve: int

    def __str__(self) -> str:
        return f"{self.mode}, reserve {self.reserve}"


@dataclass(frozen=True)
class SwitchRow:
    """The results of one setting.

    against_inline: difference of the median latencies in ms; None for inline itself and for plain.
    frames_lost: a switch, in the mean. unseen_blocks: share of the finished blocks. abandoned_blocks: share of the
    begun blocks.
    """

    switches: int
    latency: Spread
    against_inline: Estimate | None
    picture: Smoothness
    frames_lost: float
    unseen_blocks: float
    abandoned_blocks: float


def run_switch_bench(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for."""
    asked = {"switches": options.switches, "reserves": options.reserve}
    head = print_environment(trial.configuration(options) | asked, trial.device_name(options))
    idle, bound = measure_idle(options)
    rows: dict[SwitchSetting, SwitchRow] = {}
    for recordings in _recordings_by_round(options, idle, bound):
        rows = switch_rows(recordings)
        write_json(options, head, switch_figures(rows, bound))
    print_switch_rows(rows, bound)
    return 0


def switch_settings(reserves: Iterable[int]) -> list[SwitchSetting]:
    """Every mode at every reserve, and the plain engine without a reserve."""
    return [SwitchSetting(PLAIN, 0)] + [SwitchSetting(mode, reserve) for reserve in reserves for mode in MODES]


def _recordings_by_round(
    options: Namespace, idle: Recording, bound: Bound
) -> Iterator[dict[SwitchSetting, list[Recording]]]:
    """After each round of one segment a setting: all recordings so far. A segment that fails twice is left out.

    The settings take turns, so that other work of the machine disturbs all of them alike.
    """
    recordings: dict[SwitchSetting, list[Recording]] = {setting: [] for setting in switch_settings(options.reserve)}
    starts = range(0, options.switches, SEGMENT_SWITCHES)
    for segment, start in enumerate(starts):
        count = min(SEGMENT_SWITCHES, options.switches - start)
        for setting, done in recordings.items():
            chance = random.Random(1000 * trial.seed_of(options) + segment)
            drained_s = drain_s(idle, bound, setting.reserve)
            times = trial.random_times(chance, count, drained_s, 2 * block_play_s(idle))
            show = _segment(options, setting, times, times[-1] + drained_s + 1.0)
            log.info("segment %d of %d: %s, %.0f s", segment + 1, len(starts), setting, show.seconds)
            if recording := trial.try_show(show):
                done.append(recording.since(trial.WARM_S))
        yield recordings


def _segment(options: Namespace, setting: SwitchSetting, times: Sequence[float], seconds: float) -> trial.Show:
    arguments = trial.play_arguments(options, "--switch", setting.mode, "--reserve", setting.reserve)
    return trial.Show(arguments, trial.prompt_script(times), seconds)


def switch_rows(recordings: Mapping[SwitchSetting, Sequence[Recording]]) -> dict[SwitchSetting, SwitchRow]:
    """A row for every setting at which at least one switch reached the screen."""
    times_ms = {setting: [ms for part in done for ms in switch_times_ms(part)] for setting, done in recordings.items()}
    return {
        setting: SwitchRow(
            switches=sum(event.kind == "prompt" for recording in done for event in recording.events),
            latency=Spread.of(times_ms[setting]),
            against_inline=_against_inline(setting, times_ms),
            picture=smoothness(done),
            frames_lost=fmean([lost for recording in done for lost in frames_lost(recording)] or [0.0]),
            unseen_blocks=fmean(map(unseen_blocks, done)),
            abandoned_blocks=fmean(map(abandoned_blocks, done)),
        )
        for setting, done in recordings.items()
        if times_ms[setting]
    }


def _against_inline(setting: SwitchSetting, times_ms: Mapping[SwitchSetting, Sequence[float]]) -> Estimate | None:
    inline = times_ms.get(SwitchSetting("inline", setting.reserve))
    if setting.mode in ("inline", PLAIN) or not inline:
        return None
    return bootstrap_difference(times_ms[setting], inline, np.random.default_rng(0))


def print_switch_rows(rows: Mapping[SwitchSetting, SwitchRow], bound: Bound) -> None:
    """Print the table; raises ChildProcessError if it has no row."""
    if not rows:
        raise ChildProcessError("no switch of any segment reached the screen")
    limit = next(iter(rows.values())).picture.limit_ms
    print(f"\nprompt to pixel in ms; a hold above {limit:.1f} ms, a repeat or a rate below 0.95 is a blink")
    columns = f"{'n':>5}{'repeats':>9}{'hold':>8}{'rate':>7}{'smooth':>8}{'p50':>8}{'p95':>8}"
    print(f"{'':<20}{columns}{'lost':>7}{'unseen':>8}{'abandoned':>11}   against inline (95 %)")
    for setting, row in rows.items():
        print(f"{setting!s:<20}{_cells(row)}")
    legend = "lost: frames a switch; unseen: of the finished blocks; abandoned: unfinished, of those begun"
    print(f"\nthe bound {bound.of('prompt'):.1f} ms (no reserve); {legend}")


def _cells(row: SwitchRow) -> str:
    picture, spread = row.picture, row.latency
    smooth = "yes" if picture.has_no_repeats else "no"
    against = f"{row.against_inline:.1f}" if row.against_inline else "-"
    moved = f"{spread.n:>5}{picture.repeats:>9}{picture.longest_hold_ms:>8.1f}{picture.rate:>7.2f}{smooth:>8}"
    waited = f"{spread.p50:>8.1f}{spread.p95:>8.1f}{row.frames_lost:>7.2f}"
    return f"{moved}{waited}{row.unseen_blocks:>8.1%}{row.abandoned_blocks:>11.1%}   {against}"


def switch_figures(rows: Mapping[SwitchSetting, SwitchRow], bound: Bound) -> dict[str, Any]:
    """The rows and the bound for the JSON file."""
    settings = {str(setting): asdict(row) | {"smooth": row.picture.has_no_repeats} for setting, row in rows.items()}
    return {"unit": "ms", "settings": settings, "bound": asdict(bound)}
