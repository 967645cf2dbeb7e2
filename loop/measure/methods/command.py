"""`neverblink bench methods`: the same changes of words and the same two minutes under every setting, in one table."""

from __future__ import annotations

import random
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from loop.cli.signals import tell
from loop.cli.usage import UsageError
from loop.cli.world_options import drawn_seed, world_options
from loop.measure.methods.readers import PatternReader, word_reader
from loop.measure.methods.settings import MethodSetting, read_settings
from loop.measure.methods.table import Table, conclusion, figures_of
from loop.measure.methods.trials import BlockTimer, Marks, Trials
from loop.measure.report import Spread, print_environment, write_json
from loop.measure.steer.switches import PromptSwitch, default_switches, read_switches
from world.diffusion.world import DiffusionWorld
from world.dit.device import describe
from world.options import WorldOptions
from world.train.data.captions import COLOURS, SCENES
from world.train.judge.report import markdown_table
from world.zoo import check_options, memory_told, open_in_own_process

TURN = 10  # blocks that a setting makes before the next one has its turn, while costs are measured
PLAYED_ALIKE = ("steps", "sink", "sink_ema")  # settings that share these make the same stream where no words change


@dataclass
class Tried:
    """A setting, its world, and what was found. Owned by the command."""

    setting: MethodSetting
    options: WorldOptions
    trials: Trials
    marks: list[Marks] = field(default_factory=list)
    costs: dict[str, Spread] = field(default_factory=dict)


def run_methods_bench(options: Namespace) -> int:
    """Try every setting in every way that is asked for, print the table, and write the numbers."""
    if options.prompt:
        raise UsageError("--prompt is for one stream: give the switches in a file, --prompts FILE")
    if options.world == "probe":
        raise UsageError("the world 'probe' has no model to compare rules on: expected small, tale, a file or a folder")
    settings = read_settings(options.settings)
    base, seed = world_options(options), drawn_seed(options)
    for setting in settings:
        check_options(setting.of(base))
    given = read_switches(options.prompts) if options.prompts else None
    with memory_told(base):
        tried = [_opened(setting, base, options) for setting in settings]
        world = tried[0].trials.world
        words = given or method_switches(tried[0].trials, max(options.switches, options.streams, 1), seed)
        head = print_environment(_configuration(options, world, seed), describe(world.device))
        _switches(tried, words, seed, options.switches)
        _long_streams(tried, words, seed, options.streams, options.minutes)
        _costs(tried, words, seed, options.blocks)
    table = {one.setting.name: figures_of(one.marks) for one in tried}
    _print(table, tried)
    write_json(options, head, {"settings": [_plain(one, table) for one in tried], "apart": conclusion(table)})
    return 0


def method_switches(trials: Trials, count: int, seed: int) -> list[PromptSwitch]:
    """Changes of words that name one thing: a storybook's, patterns' by turns a colour and a direction, or any."""
    if not isinstance(trials.reader, PatternReader):
        return default_switches(trials.world.info)
    chance, switches = random.Random(seed), []
    for number in range(count):
        scene = list(SCENES)[number % len(SCENES)]
        old, new = chance.sample(list(COLOURS), 2)
        there, back = chance.sample(SCENES[scene], 2)
        switches.append(PromptSwitch(f"{old} {scene} moving {there}", new if number // len(SCENES) % 2 == 0 else back))
    return switches


def _opened(setting: MethodSetting, base: WorldOptions, options: Namespace) -> Tried:
    chosen = setting.of(base)
    world = open_in_own_process(chosen)
    assert isinstance(world, DiffusionWorld)  # only the test card is none
    return Tried(setting, chosen, Trials(world, setting.memory, word_reader(world, options.world, options.reader)))


def _switches(tried: Sequence[Tried], words: Sequence[PromptSwitch], seed: int, count: int) -> None:
    """The same changes of words under every setting."""
    begun = time.perf_counter()
    for number in range(count):
        switch = words[number % len(words)]
        for one in tried:
            one.marks.append(one.trials.switch(switch, seed + number))
        tell(f"{number + 1} of {count} switches, {time.perf_counter() - begun:.0f} s: {switch.after}")


def _long_streams(tried: Sequence[Tried], words: Sequence[PromptSwitch], seed: int, count: int, minutes: float) -> None:
    """The same long streams under every setting; where settings differ in what new words do, one stream is theirs."""
    begun = time.perf_counter()
    for number in range(count):
        text, made = words[number % len(words)].before, dict[tuple[Any, ...], Marks]()
        for one in tried:
            alike = tuple(getattr(one.options, name) for name in PLAYED_ALIKE)
            made[alike] = made.get(alike) or one.trials.long(text, seed + number, minutes)
            one.marks.append(made[alike])
        tell(f"{number + 1} of {count} long streams, {time.perf_counter() - begun:.0f} s: {text}")


def _costs(tried: Sequence[Tried], words: Sequence[PromptSwitch], seed: int, blocks: int) -> None:
    """What blocks cost, setting by setting in turn, so that a busy moment meets all of them."""
    if not blocks:
        return
    running = [BlockTimer(one.trials, words[0], seed) for one in tried]
    for _ in range(-(-blocks // TURN)):
        for costs in running:
            costs.turn(TURN)
    for one, costs in zip(tried, running, strict=True):
        one.costs = {"block": Spread.of(costs.block_ms), "with new words": Spread.of(costs.switch_ms)}


def _print(table: Table, tried: Sequence[Tried]) -> None:
    if any(table.values()):
        print(markdown_table("95 % intervals", table))
        print(*conclusion(table), sep="\n")
    costs = {one.setting.name: dict(_told(one.costs)) for one in tried if one.costs}
    if costs:
        print(markdown_table("ms, p50 (p95)", costs))


def _told(costs: dict[str, Spread]) -> Iterator[tuple[str, str]]:
    for name, spread in costs.items():
        yield name, f"{spread.p50:.1f} ({spread.p95:.1f})"


def _configuration(options: Namespace, world: DiffusionWorld, seed: int) -> dict[str, Any]:
    """What the numbers depend on."""
    counts = {"switches": options.switches, "long streams": options.streams, "minutes of each": options.minutes}
    return {"world": world.info.name, "seed": seed, **counts, "blocks timed": options.blocks}


def _plain(one: Tried, table: Table) -> dict[str, Any]:
    """A setting as JSON has it."""
    figures = {name: vars(figure) for name, figure in table[one.setting.name].items()}
    costs = {name: vars(spread) for name, spread in one.costs.items()}
    return {"setting": one.setting.name, "figures": figures, "ms": costs, "marks": one.marks}
