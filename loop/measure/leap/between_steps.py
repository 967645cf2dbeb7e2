"""`neverblink bench leap --between-steps`: a dial that enters between the denoising steps of a block in flight.

Does motion follow sooner, and does the picture break? The block is made anew from the same past, without the dial, with
it from the block's beginning, and with it from each later step on.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop.cli.usage import UsageError
from loop.cli.world_options import world_options
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.worker.dial_steps import DIAL_STEP
from world.block import Block, Conditions
from world.diffusion.session import DiffusionSession
from world.diffusion.world import DiffusionWorld
from world.dit.dit import TimeEmbeddings
from world.event import Dial
from world.info import SESSION_DIALS
from world.zoo import open_in_own_process

PAST, AFTER = 8, 3  # blocks before the one in flight, and after it


class _LateTimes:
    """The modulation of each step: from step number `step` on, that of another condition."""

    def __init__(self, times: TimeEmbeddings, step: int, later: Any) -> None:
        self._times, self._step, self._later = times, step, later
        self._calls = 0

    def modulation(self, timestep: float, condition: Any) -> Any:
        self._calls += 1
        return self._times.modulation(timestep, self._later if self._calls > self._step else condition)


class LateDialSession(DiffusionSession):
    """A session that can make its next block under other dials from a step on. late: (the step, the dials)."""

    late: tuple[int, dict[str, float]] | None = None

    def _denoise(self, conditions: Conditions, start: int, index: int) -> Iterator[Tensor]:
        if self.late is None:
            yield from super()._denoise(conditions, start, index)
            return
        (step, dials), times = self.late, self._times
        self.late = None
        frames = self._config.cache.block
        with torch.inference_mode():
            later = self._prompts.condition(conditions.words, [{**conditions.dials, **dials}] * frames)
        self._times = _LateTimes(times, step, later)  # type: ignore[assignment]
        try:
            yield from super()._denoise(conditions, start, index)
        finally:
            self._times = times


def run_between_steps(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for; raises UsageError for a world without dials."""
    head = print_environment(trial.configuration(options) | {"pairs": options.pairs}, trial.device_name(options))
    world = open_in_own_process(world_options(options))
    dials = [name for name in world.info.dials if name not in SESSION_DIALS]
    if not isinstance(world, DiffusionWorld) or not dials:
        raise UsageError(f"--between-steps turns a dial of a diffusion world: the world {options.world!r} has none")
    steps = len(world.config.sampler.steps)
    figures = {dial: dial_figures(world, dial, range(options.pairs), steps) for dial in dials}
    for dial, rows in figures.items():
        for name, spreads in rows.items():
            print(f"\n{dial}, {name}")
            print_spreads(spreads, "of each step")
    write_json(options, head, figures)
    return 0


def dial_figures(world: DiffusionWorld, dial: str, seeds: range, steps: int) -> dict[str, dict[str, Spread]]:
    """By the step from which on the dial was in force: how much of its effect the block shows, and how it jumps.

    The effect is the mean change of the block's pictures against those without the dial, as a share of that with the
    dial from the beginning. The jump is the largest mean change from a picture to the next from that block on, 0 to
    255.
    """
    effects: dict[str, list[float]] = {f"step {step + 1}": [] for step in range(steps)}
    jumps: dict[str, list[float]] = {"never": [], **{name: [] for name in effects}}
    limits = world.info.dials[dial]
    value = limits.rest + DIAL_STEP * (limits.high - limits.low)
    for seed in seeds:
        prompt = trial.PROMPTS[seed % len(trial.PROMPTS)]
        session = world.session(seed, prompt)
        past = [session.step() for _ in range(PAST)]
        films = [_film(world, prompt, seed, past, (step, {dial: value})) for step in (steps, *range(steps))]
        never, full = films[0], _change(films[0], films[1])
        for name, film in zip(effects, films[1:], strict=True):
            effects[name].append(_change(never, film) / max(full, 1e-6))
        for name, film in zip(jumps, films, strict=True):
            jumps[name].append(float(np.abs(np.diff(film.astype(np.int16), axis=0)).mean((1, 2, 3)).max()))
    return {
        "share of the effect": {name: Spread.of(values) for name, values in effects.items()},
        "largest change": {name: Spread.of(values) for name, values in jumps.items()},
    }


def _film(
    world: DiffusionWorld, prompt: str, seed: int, past: list[Block], late: tuple[int, dict[str, float]]
) -> np.ndarray:
    """The pictures from the last block of the past on, uint8 [T, Y, X, 3]; dials after the last step never come."""
    session = LateDialSession(world, seed, prompt)
    session.fold(past)
    step, dials = late
    never = step == len(world.config.sampler.steps)
    session.late = None if never else late
    blocks = [*past, session.step()]
    events = [] if never else [Dial(name, value) for name, value in dials.items()]
    blocks += [session.step(events if number == 0 else []) for number in range(AFTER)]
    state, pictures = world.decoder.start(), []
    for block in blocks:
        frames, state = world.decoder.decode(state, block.latents)
        pictures.append(frames)
    return np.concatenate(pictures[PAST - 1 :])


def _change(film: np.ndarray, other: np.ndarray) -> float:
    """The mean change of the block in flight, which comes after the last one of the past."""
    frames = slice(len(film) // (AFTER + 2), 2 * len(film) // (AFTER + 2))
    return float(np.abs(film[frames].astype(np.int16) - other[frames]).mean())
