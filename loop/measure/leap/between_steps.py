"""`neverblink bench leap --between-steps`: a dial that enters between the denoising steps of a block in flight.

Does motion follow sooner, and does the picture break? The block is made anew from the same past, without the dial, with
it from the block's beginning, and with it from each later step on.
"""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from loop.cli.usage import UsageError
from loop.cli.world_options import world_options
from loop.measure.report import Spread, print_environment, print_spreads, write_json
from loop.measure.shows import trial
from loop.worker.dial_steps import DIAL_STEP
from world.block import Block, Denoised, Made
from world.diffusion.world import DiffusionWorld
from world.event import Dial
from world.info import SESSION_DIALS
from world.zoo import open_in_own_process

PAST, AFTER = 8, 3  # blocks before the one in flight, and after it


def run_between_steps(options: Namespace) -> int:
    """Measure, print, and write the JSON file if one was asked for; raises UsageError for a world without dials."""
    head = print_environment(trial.configuration(options) | {"pairs": options.pairs}, trial.device_name(options))
    world = open_in_own_process(world_options(options))
    dials = [name for name in world.info.dials if name not in SESSION_DIALS]
    if not isinstance(world, DiffusionWorld) or not dials:
        raise UsageError(f"--between-steps turns a dial of a diffusion world: the world {options.world!r} has none")
    steps, first = len(world.config.sampler.steps), trial.seed_of(options)
    seeds = range(first, first + options.pairs)
    figures = {dial: dial_figures(world, dial, seeds, steps) for dial in dials}
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
        films = [_film(world, prompt, seed, past, (step, [Dial(dial, value)])) for step in (steps, *range(steps))]
        never, full = films[0], _change(films[0], films[1])
        for name, film in zip(effects, films[1:], strict=True):
            effects[name].append(_change(never, film) / max(full, 1e-6))
        for name, film in zip(jumps, films, strict=True):
            jumps[name].append(float(np.abs(np.diff(film.astype(np.int16), axis=0)).mean((1, 2, 3)).max()))
    return {
        "share of the effect": {name: Spread.of(values) for name, values in effects.items()},
        "largest change": {name: Spread.of(values) for name, values in jumps.items()},
    }


def _film(world: DiffusionWorld, prompt: str, seed: int, past: list[Block], late: tuple[int, list[Dial]]) -> np.ndarray:
    """The pictures from the last block of the past on, uint8 [T, Y, X, 3]; dials after the last step never come."""
    session = world.session(seed, prompt)
    session.fold(past)
    step, dials = late
    passes = session.begin(dials if step == 0 else [])
    blocks = list(past)
    for done in passes:
        if isinstance(done, Denoised) and done.step + 1 == step < len(world.config.sampler.steps):
            session.turn(dials)
        if isinstance(done, Made):
            blocks.append(done.block)
    blocks += [session.step() for _ in range(AFTER)]
    state, pictures = world.decoder.start(), []
    for block in blocks:
        frames, state = world.decoder.decode(state, block.latents)
        pictures.append(frames)
    return np.concatenate(pictures[PAST - 1 :])


def _change(film: np.ndarray, other: np.ndarray) -> float:
    """The mean change of the block in flight, which comes after the last one of the past."""
    frames = slice(len(film) // (AFTER + 2), 2 * len(film) // (AFTER + 2))
    return float(np.abs(film[frames].astype(np.int16) - other[frames]).mean())
