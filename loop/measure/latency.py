"""`neverblink latency`: from input to pixel by stages, beside what the machine allows and what a bare loop takes."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any

from loop.measure import trial
from loop.measure.analysis import TOTAL, smoothness, times_by_stage
from loop.measure.bench import Spread, print_environment, print_spreads, write_json
from loop.measure.bound import Bound, measure_idle, play_s, settle_s
from loop.measure.recording import Followed, Recording
from loop.measure.trial import Entry, Show

log = logging.getLogger(__name__)
KINDS = ("prompt", "dial", "display dial", "scene")
BRIGHTNESS = {"brightness": [0.7, 1.3]}  # the dial of the display that is turned
BARE_FPS = 120.0  # twice the ticks: every flip shows something new


@dataclass(frozen=True)
class Measured:
    """One whole measurement."""

    live: Recording
    bound: Bound
    bare: list[float]  # pump to flip without a model, ms

    def by_kind(self) -> dict[str, list[Followed]]:
        """The events of each kind that the world has."""
        kinds = {kind: [event for event in self.live.events if event.kind == kind] for kind in KINDS}
        return {kind: events for kind, events in kinds.items() if events}


def run(options: Namespace) -> int:
    """Measure, print, and write the files that are asked for."""
    if options.html:
        from loop.measure.latency_page import check_plotting

        check_plotting()  # before minutes of measuring, not after
    asked = {"switch": options.switch, "reserve": options.reserve, "trials of each kind": options.trials}
    head = print_environment(trial.setting(options) | asked, trial.device_name(options))
    measured = measure(options)
    report(measured)
    write_json(options.json, head, figures(measured))
    if options.html:
        from loop.measure.latency_page import write_page

        write_page(options.html, head, measured)
    return 0


def measure(options: Namespace) -> Measured:
    """Three shows: an idle worker, a bare loop, and the one that counts."""
    idle, bound = measure_idle(options)
    log.info("the bound is measured; now a bare loop")
    bare = times_by_stage(trial.insist(_bare_show(options, idle)).events)[TOTAL]
    show = _live_show(options, idle, bound)
    log.info("now %d events in %.0f s", len(show.script), show.seconds)
    return Measured(trial.salvage(show), bound, bare)


def _bare_show(options: Namespace, idle: Recording) -> Show:
    times = trial.moments(random.Random(trial.seed(options)), max(50, options.trials), 0.05, 0.1)
    picture = "x".join(map(str, idle.header["picture"]))
    window = () if options.window else ("--headless",)
    given = ("--world", "probe", "--probe-fps", str(BARE_FPS), "--picture", picture, *window)
    return Show(given, trial.prompts(times), times[-1] + 0.5, "loop.measure.bare")


def _live_show(options: Namespace, idle: Recording, bound: Bound) -> Show:
    chance = random.Random(trial.seed(options) + 1)
    dials = idle.header["dials"]
    kinds = [kind for kind in KINDS if kind != "dial" or dials] * options.trials
    chance.shuffle(kinds)
    settle = settle_s(idle, bound, options.reserve)
    times = trial.moments(chance, len(kinds), settle, 2 * play_s(idle))
    turns = _turns(dials)
    script = tuple({"at_s": at, **next(turns[kind])} for kind, at in zip(kinds, times, strict=True))
    given = trial.arguments(options, "--switch", options.switch, "--reserve", options.reserve)
    return Show(given, script, times[-1] + settle + 0.5)


def _turns(dials: dict[str, list[float]]) -> dict[str, Iterator[Entry]]:
    """What comes next of each kind: other words than before, dials from end to end."""
    words = cycle(trial.PROMPTS)
    worded = {kind: _worded(kind, words) for kind in ("prompt", "scene")}
    return worded | {"dial": cycle(_swings(dials)), "display dial": cycle(_swings(BRIGHTNESS))}


def _worded(kind: str, words: Iterator[str]) -> Iterator[Entry]:
    return ({kind: prompt} for prompt in words)


def _swings(dials: dict[str, list[float]]) -> list[Entry]:
    """Every dial to either end of its range."""
    return [{"dial": name, "value": ends[side]} for side in (0, 1) for name, ends in dials.items()]


def report(measured: Measured) -> None:
    """Print a table for each kind of event, and what it is to be compared with."""
    for kind, events in measured.by_kind().items():
        shown = [event for event in events if event.total_ms is not None]
        print(f"\n{kind}: {len(shown)} of {len(events)} reached the screen")
        if shown:
            spreads = {stage: Spread.of(times) for stage, times in times_by_stage(shown).items()}
            print_spreads(spreads, "ms since the stage before")
            bound = measured.bound.of(kind)
            print(f"{'bound':<28}{'':>6}{bound:>10.2f}   the median is {spreads[TOTAL].p50 / bound:.2f} of it")
    if "dial" not in measured.by_kind():
        print("\nthis world has no dials of its own")
    _report_beside(measured)


def _report_beside(measured: Measured) -> None:
    print("\nthe bound, of costs measured on an idle worker in this run (ms):")
    print(", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in asdict(measured.bound).items()))
    print_spreads({"a bare loop, " + TOTAL: Spread.of(measured.bare)}, "ms")
    smooth = smoothness([measured.live.since(trial.WARM_S)])
    held = f"longest hold {smooth.longest_hold_ms:.1f} ms (limit {smooth.limit_ms:.1f})"
    print(f"repeats {smooth.repeats}, lowest rate {smooth.rate:.2f}, {held}, late ticks {smooth.late_ticks}")


def figures(measured: Measured) -> dict[str, Any]:
    """The same for other programs."""
    kinds = {kind: _kind_figures(kind, events, measured) for kind, events in measured.by_kind().items()}
    bare = {"n": len(measured.bare), TOTAL: Spread.of(measured.bare)}
    smooth = asdict(smoothness([measured.live.since(trial.WARM_S)]))
    return {"unit": "ms", **kinds, "bound": asdict(measured.bound), "bare loop": bare, "picture": smooth}


def _kind_figures(kind: str, events: list[Followed], measured: Measured) -> dict[str, Any]:
    spreads = {stage: Spread.of(times) for stage, times in times_by_stage(events).items()}
    bound = measured.bound.of(kind)
    ratio = spreads[TOTAL].p50 / bound if spreads else None
    return {"injected": len(events), "stages": spreads, "bound": bound, "median over bound": ratio}
