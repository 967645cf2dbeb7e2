"""`neverblink latency`: from input to pixel stage by stage, compared with a bound and with a loop without a model."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from loop.measure.latency.page import check_plotting, write_latency_page
from loop.measure.latency.shows import LatencyMeasurement, measure_latency
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.measure.trace.analysis import TOTAL, Smoothness, smoothness, times_by_stage
from loop.measure.trace.recording import TracedEvent


def run_latency(options: Namespace) -> int:
    """Measure, print, and write the files that were asked for; raises PlottingError before measuring."""
    if options.html:
        check_plotting()  # before minutes of measuring, not after
    asked = {"switch": options.switch, "reserve": options.reserve, "trials of each kind": options.trials}
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
            bound = measured.bound.of(kind)
            print(f"{'bound':<28}{'':>6}{bound:>10.2f}   the median is {spreads[TOTAL].p50 / bound:.2f} of it")
    if "dial" not in measured.by_kind():
        print("\nthis world has no dials of its own")
    _print_comparison(measured)


def _print_comparison(measured: LatencyMeasurement) -> None:
    """Print the parts of the bound, the latency without a model, and how smoothly the picture moved."""
    print("\nthe bound, of costs measured on an idle worker in this run (ms):")
    print(", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in asdict(measured.bound).items()))
    print_spreads({"a bare loop, " + TOTAL: Spread.of(measured.bare)}, "ms")
    picture = _picture(measured)
    held = f"longest hold {picture.longest_hold_ms:.1f} ms (limit {picture.limit_ms:.1f})"
    print(f"repeats {picture.repeats}, lowest rate {picture.rate:.2f}, {held}, late ticks {picture.late_ticks}")


def _picture(measured: LatencyMeasurement) -> Smoothness:
    return smoothness([measured.live.since(trial.WARM_S)])


def latency_figures(measured: LatencyMeasurement) -> dict[str, Any]:
    """What was measured, for the JSON file."""
    kinds = {kind: _kind_figures(kind, events, measured) for kind, events in measured.by_kind().items()}
    bare = {"n": len(measured.bare), TOTAL: Spread.of(measured.bare)}
    picture = asdict(_picture(measured))
    return {"unit": "ms", **kinds, "bound": asdict(measured.bound), "bare loop": bare, "picture": picture}


def _kind_figures(kind: str, events: list[TracedEvent], measured: LatencyMeasurement) -> dict[str, Any]:
    spreads = {stage: Spread.of(times) for stage, times in times_by_stage(events).items()}
    bound = measured.bound.of(kind)
    ratio = spreads[TOTAL].p50 / bound if spreads else None
    return {"injected": len(events), "stages": spreads, "bound": bound, "median over bound": ratio}
