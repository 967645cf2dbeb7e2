"""From an event to its first frame on made-up time, with leaps and without: `python -m tests.simulation.leaps`.

What it prints depends on no machine: the engine, the pacer and the model's process are the real ones, and only the
work is made up. The event comes at each of PHASES moments spread over a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from statistics import mean, median

from tests.simulation.show import Plan, Show, play
from world.event import Dial, Event, Prompt, Scene

PHASES = 24
AT_S = 7.2  # by then enough blocks were measured to plan without a margin for what was not seen yet
WARM = ((1.5, Prompt("green")), (2.5, Prompt("black")))  # so that a recache has been measured
EVENTS: Mapping[str, Event] = {"prompt": Prompt("red"), "hard cut": Scene("red"), "dial": Dial("zoom", 0.1)}
SHAPES = {
    "small": Plan(seconds=9.0, fps=24.0, frames=6, block_ms=45.0, recache_ms=12.0),
    "probe": Plan(seconds=9.0, fps=16.0, frames=4, block_ms=150.0, recache_ms=120.0),
    "Wan's shape": Plan(seconds=10.0, fps=16.0, frames=12, block_ms=300.0, recache_ms=120.0),
    "Wan's, cut": Plan(seconds=10.0, fps=16.0, frames=12, latents=3, block_ms=300.0, recache_ms=120.0),
}


def at_all_phases(plan: Plan, event: Event, mode: str, count: int = PHASES, at_s: float = AT_S) -> Iterator[Show]:
    """Shows in which the event comes at moments spread over a block."""
    for turn in range(count):
        moment_s = round(at_s + turn * plan.frames / plan.fps / count, 6)
        yield play(replace(plan, mode=mode, script=(*WARM, (moment_s, event))))


def latency_ms(show: Show) -> float:
    """From the last event's source to its first frame."""
    last = show.trace.of("event")[-1]["id"]
    stamps = {line["stage"]: line["t_ns"] for line in show.trace.of("stage") if line["id"] == last}
    return float(stamps["flip"] - stamps["pump"]) / 1e6


def main() -> None:
    """Print a row for each shape, kind of event and mode."""
    print(f"{'':<14}{'':<10}{'mode':<8}{'p50':>6}{'mean':>6}{'max':>6}   repeats, longest hold (ms), shows with a cut")
    for name, plan in SHAPES.items():
        for kind, event in EVENTS.items():
            for mode in ("whole", "auto", "leap"):
                shows = list(at_all_phases(plan, event, mode))
                times, still_s = (
                    [latency_ms(show) for show in shows],
                    max(show.engine.longest_still_s for show in shows),
                )
                row = f"{name:<14}{kind:<10}{mode:<8}{median(times):>6.0f}{mean(times):>6.0f}{max(times):>6.0f}"
                cuts = sum(bool(show.trace.of("cut")) for show in shows)
                print(f"{row}   {sum(show.engine.repeats for show in shows)}, {still_s * 1e3:.0f}, {cuts}", flush=True)


if __name__ == "__main__":
    main()
