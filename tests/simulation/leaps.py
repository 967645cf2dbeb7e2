"""From an event to its first frame on made-up time, with leaps and without: `python -m tests.simulation.leaps`.

What it prints depends on no machine: the engine, the pacer and the model's process are the real ones, and only the
work is made up. The event comes at each of PHASES moments spread over a block. Beside it stands the bound with the
frames that pass (loop.measure.latency.situation).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from statistics import mean, median

from loop.engine import WAIT_S
from loop.measure.latency.passing import Passing, passing
from loop.measure.shows.bound import Bound
from loop.measure.trace.recording import Recording, parse_recording
from tests.simulation.show import Plan, Show, play
from world.event import Dial, Event, Prompt, Scene

PHASES = 24
AT_S = 7.2  # when it comes first; after 29 blocks of a quarter of a second, a margin of 22 % is still planned
WARM = ((1.5, Prompt("green")), (2.5, Prompt("black")))  # so that a recache has been measured
EVENTS: Mapping[str, Event] = {"prompt": Prompt("red"), "hard cut": Scene("red"), "dial": Dial("zoom", 0.1)}
SHAPES = {
    "small": Plan(seconds=9.0, fps=24.0, frames=6, block_ms=45.0, recache_ms=12.0),
    "probe": Plan(seconds=9.0, fps=16.0, frames=4, block_ms=150.0, recache_ms=120.0),
    "Wan's shape": Plan(seconds=10.0, fps=16.0, frames=12, block_ms=300.0, recache_ms=120.0),
    "Wan's, cut": Plan(seconds=10.0, fps=16.0, frames=12, latents=3, block_ms=300.0, recache_ms=120.0),
}


def at_all_phases(
    plan: Plan, event: Event, mode: str, count: int = PHASES, at_s: float = AT_S, wait_s: float = 1.0
) -> Iterator[Show]:
    """Shows in which the event comes at moments spread over a block. wait_s: as in `play`."""
    for turn in range(count):
        moment_s = round(at_s + turn * plan.frames / plan.fps / count, 6)
        yield play(replace(plan, mode=mode, script=(*WARM, (moment_s, event))), wait_s)


def latency_ms(show: Show) -> float:
    """From the last event's source to its first frame."""
    last = show.trace.of("event")[-1]["id"]
    stamps = {line["stage"]: line["t_ns"] for line in show.trace.of("stage") if line["id"] == last}
    return float(stamps["flip"] - stamps["pump"]) / 1e6


def recording_of(show: Show) -> Recording:
    """The trace of a show, of its events the last one only."""
    recording = parse_recording([json.dumps(line) for line in show.trace.lines])
    return replace(recording, events=recording.events[-1:])


def costs_of(plan: Plan) -> Bound:
    """What an idle worker would measure: four steps and a clean pass of equal length."""
    step_ms, half_block = plan.block_ms / 5, plan.frames / plan.fps * 500
    made_ms = 4 * step_ms
    return Bound(half_block, plan.recache_ms, made_ms, 0.0, longest_pass=step_ms, all_frames=made_ms, clean=step_ms)


def met(shows: Iterable[Show], plan: Plan) -> Passing:
    """How the last events of shows met their bounds."""
    recordings = [recording_of(show) for show in shows]
    found = passing(recordings, recordings[0].events[0].kind, costs_of(plan))
    assert found is not None, "every event is seen"
    return found


def row(plan: Plan, kind: str, mode: str) -> str:
    """The figures of the shows of a shape in which such an event comes, ms."""
    shows = list(at_all_phases(plan, EVENTS[kind], mode, wait_s=WAIT_S))
    times, still_s = [latency_ms(show) for show in shows], max(show.engine.longest_still_s for show in shows)
    found, cuts = met(shows, plan), sum(bool(show.trace.of("cut")) for show in shows)
    measured = f"{kind:<10}{mode:<8}{median(times):>6.0f}{mean(times):>6.0f}{max(times):>6.0f}"
    bound = f"{found.bound:>7.0f}{found.ratio:>7.2f}{found.excess:>8.0f}{found.limits:>8.0f}"
    return f"{measured}{bound}   {sum(show.engine.repeats for show in shows)}, {still_s * 1e3:.0f}, {cuts}"


def main() -> None:
    """Print a row for each shape, kind of event and mode."""
    measured = f"{'':<14}{'':<10}{'mode':<8}{'p50':>6}{'mean':>6}{'max':>6}"
    bound = f"{'bound':>7}{'ratio':>7}{'excess':>8}{'limits':>8}"
    print(f"{measured}{bound}   repeats, longest hold (ms), shows with a cut")
    for name, plan in SHAPES.items():
        for kind in EVENTS:
            for mode in ("whole", "auto", "leap"):
                print(f"{name:<14}{row(plan, kind, mode)}", flush=True)


if __name__ == "__main__":
    main()
