"""`neverblink bench recall`: how close a recalled place comes to what it was, beside a rewind and its words alone."""

from __future__ import annotations

import time
from argparse import Namespace

from loop.cli.signals import tell
from loop.cli.usage import UsageError
from loop.cli.world_options import drawn_seed, world_options
from loop.measure.report import print_environment, write_json
from loop.measure.steer.returns import LATER_S, WAYS, ReturnMarks, ReturnTest
from loop.measure.steer.scene_marks import scene_marker
from loop.measure.steer.switches import read_switches, switches_of_place
from world.diffusion.world import DiffusionWorld
from world.dit.device import describe
from world.train.judge.report import Figure, markdown_table, mean_of_values
from world.zoo import memory_told, open_in_own_process

GAIN = "recall - words"


def run_recall_bench(options: Namespace) -> int:
    """Bring old places back in every way, and print how close each came."""
    if options.prompt:
        raise UsageError("--prompt is for one stream: give the places in a file, --prompts FILE")
    if options.world == "probe":
        raise UsageError("the world 'probe' has no memory to recall to: expected small, tale, a file or a folder")
    switches = read_switches(options.prompts) if options.prompts else None
    choice, seed = world_options(options), drawn_seed(options)
    with memory_told(choice):
        world = open_in_own_process(choice)
        assert isinstance(world, DiffusionWorld)  # only the test card is none
        switches = switches or switches_of_place(world.info)
        test = ReturnTest(world, marker=scene_marker(world, options.world, options.reader))
        sizes = {"seconds before": test.first_s, "seconds away": test.away_s, "sink": world.config.cache.sink}
        setting = {"world": world.info.name, "seed": seed, "trials": options.trials, **sizes}
        head = print_environment(setting, describe(world.device))
        trials, begun = list[ReturnMarks](), time.perf_counter()
        for number in range(options.trials):
            trials.append(test.trial(switches[number % len(switches)], seed + number))
            tell(f"{number + 1} of {options.trials} trials, {time.perf_counter() - begun:.0f} s")
    table = recall_table(trials)
    print(markdown_table("likeness", table))
    write_json(options, head, {"ways": {way: {name: vars(f) for name, f in row.items()} for way, row in table.items()}})
    return 0


def recall_table(trials: list[ReturnMarks]) -> dict[str, dict[str, Figure]]:
    """The mean likeness in each way at each time; in the last row what a recall adds to the words, pair by pair."""
    names = list(trials[0][WAYS[0]][LATER_S[0]])
    cells = [(seconds, name) for seconds in LATER_S for name in names]
    table = {
        way: {_column(name, s): mean_of_values([one[way][s][name] for one in trials]) for s, name in cells}
        for way in WAYS
    }
    gains = {(s, name): [one["recall"][s][name] - one["words"][s][name] for one in trials] for s, name in cells}
    return {**table, GAIN: {_column(name, s): mean_of_values(gains[s, name]) for s, name in cells}}


def _column(name: str, seconds: float) -> str:
    return f"{name}, {seconds:g} s"
