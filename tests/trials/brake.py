"""Slow models with and without the brake, in whole shows on made-up time: `python -m tests.trials.brake FIRST END`."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from dataclasses import replace

from tests.simulation.invariants import complaints
from tests.simulation.random_shows import Allow, random_plan
from tests.simulation.show import Plan, play

CALM = Allow(deaths=False, hangs=False)


def slow_show(seed: int, brakes: bool) -> Plan:
    """A random show of a model that needs 0.9 to 1.8 times as long for a block as the block plays."""
    plan = random_plan(seed, CALM)
    block_ms = plan.frames / plan.fps * 1e3 * random.Random(seed).uniform(0.9, 1.8)
    return replace(plan, keys=(), block_ms=round(block_ms, 2), brakes=brakes)


def braked_and_not(seeds: Iterable[int]) -> tuple[tuple[int, float], tuple[int, float]]:
    """(repeats, mean rate) of slow shows without the brake and with it, each of which keeps every invariant."""
    seeds = list(seeds)
    without, braked = ([play(slow_show(seed, brakes)) for seed in seeds] for brakes in (False, True))
    return _figures(without), _figures(braked)


def _figures(shows: list) -> tuple[int, float]:
    assert [complaint for show in shows for complaint in complaints(show)] == []
    rates = [flip["rate"] for show in shows for flip in show.trace.of("flip") if flip["frame"] is not None]
    return sum(show.engine.repeats for show in shows), sum(rates) / len(rates)


if __name__ == "__main__":
    for name, (repeats, rate) in zip(
        ("without", "braked"), braked_and_not(range(*map(int, sys.argv[1:3]))), strict=True
    ):
        print(f"{name}: {repeats} repeats, mean rate {rate:.3f}")
