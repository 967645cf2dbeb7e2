"""`neverblink latency`: from input to pixel stage by stage, compared with a bound and with a loop without a model."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from loop.measure.latency.page import check_plotting, write_latency_page
from loop.measure.latency.passing import NEAR, Passing, passing, passing_bounds
from loop.measure.latency.shows import LatencyMeasurement, events_by_kind, measure_latency
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.shows.bound import Bound
from loop.measure.trace.analysis import TOTAL, Smoothness, smoothness, times_by_stage
from loop.measure.trace.estimate import bootstrap_difference
from loop.measure.trace.recording import Recording, TracedEvent


def run_latency(options: Namespace) -> int:
    """Measure, print, and write the files that were asked for; raises PlottingError before measuring."""
    if options.html:
        check_plotting()  # before minutes of measuring, not after
    asked = {"switch": options.switch, "reserve": options.reserve, "trials of each kind": options.trials}
    asked |= {"against": options.against} if options.against else {}
    head = print_environment(trial.configuration(options) | asked, trial.device_name(options))
    measured = measure_latency(options)
    print_latency(measured)
    write_json(options, head, latency_figures(measured))
    if options.html:
        write_latency_page(options, head, measured)
    return 0


def print_latency(measured: LatencyMeasurement) -> None:
    """Print a table for each kind of event with its bound, and what else to compare it with."""
    for kind, events in measured.by_kind().items():
        shown = [event for event in events if event.total_ms is not None]
        print(f"\n{kind}: {len(shown)} of {len(events)} reached the screen")
        if shown:
            spreads = {stage: Spread.of(times) for stage, times in times_by_stage(shown).items()}
            print_spreads(spreads, "ms since the stage before")
            _print_bounds(kind, spreads[TOTAL].p50, measured)
    if "dial" not in measured.by_kind():
        print("\nthis world has no dials of its own")
    _print_comparison(measured)


def _print_bounds(kind: str, p50: float, measured: LatencyMeasurement) -> None:
    """Print the bounds beside a kind's median, and the median of the other mode."""
    bound = measured.bound
    for name, value in (("bound of whole blocks", bound.of(kind)), ("bound, begun at once", bound.at_once(kind))):
        print(f"{name:<28}{'':>6}{value:>10.2f}   the median is {p50 / value:.2f} of it")
    _print_passing("bound, frames passing", passing(measured.live, kind, bound))
    if others := _totals(measured.against, kind):
        spread = Spread.of(others)
        less = bootstrap_difference(_totals(measured.live, kind), others, np.random.default_rng(0))
        row = f"{'against':<28}{spread.n:>6}{spread.p50:>10.2f}{spread.p95:>10.2f}"
        print(f"{row}   the medians differ by {less:.1f} (95 %)")
        _print_passing("its bound, frames passing", passing(measured.against, kind, bound))


def _print_passing(name: str, found: Passing | None) -> None:
    """Print the bound with the frames that pass, how the shows met it, and what of the rest a leap may not gain."""
    if found is None:
        return
    print(f"{name:<28}{found.n:>6}{found.bound:>10.2f}   the median is {found.ratio:.2f} of it")
    own = f"the median event takes {found.each:.2f} of its own bound, {100 * found.near:.0f} % at most {NEAR}"
    print(f"{'':<28}{'':>6}{'':>10}   {own}")
    parts = f"{found.frames:g} frames pass and {found.work:.1f} ms are work, in the median"
    excess = f"{found.excess:.1f} ms above it in the mean, {found.limits:.1f} of them by the limits of a leap"
    print(f"{'':<28}{'':>6}{'':>10}   {parts}; {excess}")
    if found.sooner:
        print(f"{'':<28}{'':>6}{'':>10}   {found.sooner} came sooner: the costs were measured too high")


def _totals(shows: Sequence[Recording], kind: str) -> list[float]:
    return times_by_stage(events_by_kind(shows).get(kind, ())).get(TOTAL, [])


def _print_comparison(measured: LatencyMeasurement) -> None:
    """Print the parts of the bound, the latency without a model, and how smoothly the picture moved."""
    print("\nthe bound, of costs measured on an idle worker in this run (ms):")
    print(", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in asdict(measured.bound).items()))
    print_spreads({"a bare loop, " + TOTAL: Spread.of(measured.bare)}, "ms")
    _print_picture("", _picture(measured.live))
    if measured.against:
        _print_picture("against: ", _picture(measured.against))


def _print_picture(name: str, picture: Smoothness) -> None:
    held = f"longest hold {picture.longest_hold_ms:.1f} ms (limit {picture.limit_ms:.1f})"
    counts = f"repeats {picture.repeats}, skipped {picture.skipped}, late ticks {picture.late_ticks}"
    print(f"{name}{counts}, lowest rate {picture.rate:.2f}, {held}")


def _picture(shows: Sequence[Recording]) -> Smoothness:
    return smoothness([show.since(trial.WARM_S) for show in shows])


def latency_figures(measured: LatencyMeasurement) -> dict[str, Any]:
    """What was measured, for the JSON file."""
    kinds = {kind: _kind_figures(kind, events, measured) for kind, events in measured.by_kind().items()}
    bare = {"n": len(measured.bare), TOTAL: Spread.of(measured.bare)}
    figures = {"unit": "ms", **kinds, "bound": asdict(measured.bound), "bare loop": bare}
    figures["picture"] = asdict(_picture(measured.live))
    if measured.against:
        figures["against"] = {
            "picture": asdict(_picture(measured.against)),
            **{kind: Spread.of(_totals(measured.against, kind)) for kind in events_by_kind(measured.against)},
            "frames passing": {kind: _passing_figures(measured.against, kind, measured.bound) for kind in kinds},
        }
    return figures


def _kind_figures(kind: str, events: list[TracedEvent], measured: LatencyMeasurement) -> dict[str, Any]:
    spreads = {stage: Spread.of(times) for stage, times in times_by_stage(events).items()}
    bound, at_once = measured.bound.of(kind), measured.bound.at_once(kind)
    p50 = spreads[TOTAL].p50 if spreads else None
    ratios = {"median over bound": p50 and p50 / bound, "median over bound at once": p50 and p50 / at_once}
    frames = {"frames passing": _passing_figures(measured.live, kind, measured.bound)}
    trials = {"trials": [figures for show in measured.live for figures in _trial_figures(show, kind, measured.bound)]}
    bounds = {"bound": bound, "bound at once": at_once}
    return {"injected": len(events), "stages": spreads, **bounds, **frames, **ratios, **trials}


def _trial_figures(show: Recording, kind: str, bound: Bound) -> list[dict[str, float]]:
    """Each event by itself: what it took, and the bound with the frames that pass, from what it found before it."""
    return [{TOTAL: total_ms, **asdict(found)} for total_ms, found in passing_bounds(show, kind, bound)]


def _passing_figures(shows: Sequence[Recording], kind: str, bound: Bound) -> dict[str, float] | None:
    found = passing(shows, kind, bound)
    return asdict(found) if found else None
