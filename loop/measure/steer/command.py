"""`neverblink bench steer`: switches of words under recache, keep and reset, to be looked at and counted."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from loop.cli.signals import tell
from loop.cli.usage import UsageError
from loop.cli.world_options import drawn_seed, world_options
from loop.measure.report import print_environment, write_json
from loop.measure.steer.page import steer_page
from loop.measure.steer.scene_marks import SceneMarks, scene_marker
from loop.measure.steer.streams import STEER_MODES, SteeredSwitch, steer
from loop.measure.steer.switches import default_switches, read_switches
from loop.output.new_file import whole_file, write_text
from world.diffusion.world import DiffusionWorld
from world.dit.device import describe
from world.train.judge.report import Figure, markdown_table, mean_of_values, share_of_hits
from world.train.judge.sheet import png_bytes
from world.zoo import memory_told, open_in_own_process

_THUMB = 320  # pixels: the most that a picture of the sheet is wide
_FILES = ("steer.png", "steer.html", "steer.json")
Marked = dict[str, SceneMarks]  # by mode; empty for a world without a reader


def run_steer_bench(options: Namespace) -> int:
    """Make every switch in every mode, print the table, and write the files that were asked for."""
    if options.prompt:
        raise UsageError("--prompt is for one stream: give the switches in a file, --prompts FILE")
    if options.world == "probe":
        raise UsageError("the world 'probe' has no model to steer: expected small, tale, a file or a folder")
    switches = read_switches(options.prompts) if options.prompts else None
    choice, seed = world_options(options), drawn_seed(options)
    _prepare_folder(options)
    with memory_told(choice):
        world = open_in_own_process(choice)
        assert isinstance(world, DiffusionWorld)  # only the test card is none
        switches = switches or default_switches(world.info)
        marker = scene_marker(world, options.world, options.reader)
        head = print_environment(_configuration(world, options, seed, len(switches)), describe(world.device))
        made, marks = [], list[Marked]()
        begun = time.perf_counter()
        for number, switch in enumerate(switches):
            made.append(steer(world, switch, seed + number, options.seconds, options.memory))
            marks.append({mode: marker.marks(made[-1], mode) for mode in STEER_MODES} if marker else {})
            tell(f"{number + 1} of {len(switches)} switches, {time.perf_counter() - begun:.0f} s: {switch.after}")
    table = steer_table(made, marks)
    print(markdown_table("", table))
    write_json(options, head, {"modes": _plain_table(table), "switches": _plain_switches(made, marks)})
    if options.folder:
        _write_pictures(options, made, steer_page(head, table, made, marks, _shrink(made)))
    return 0


def steer_table(made: list[SteeredSwitch], marks: list[Marked]) -> dict[str, dict[str, Figure]]:
    """For each mode: the shares that follow and stay, if they were read, and the mean jump; and the calm before."""
    table = {"before the switch": {"jump": mean_of_values([one.calm for one in made])}}
    for mode in STEER_MODES:
        read = [one[mode] for one in marks if one]
        shares = {
            name: share_of_hits([hit for one in read for hit in getattr(one, name).values()])
            for name in ("named", "stayed")
            if read
        }
        table[mode] = shares | {"jump": mean_of_values([one.jump(mode) for one in made])}
    return table


def steer_sheet(made: list[SteeredSwitch], shrink: int) -> np.ndarray:
    """One picture uint8 [Y, X, 3]: a row for each switch and, side by side, the strips of the three modes."""
    rows = []
    for one in made:
        strips = [one.four("recache"), *(one.four(mode)[1:] for mode in STEER_MODES[1:])]
        rows.append(np.concatenate([picture[::shrink, ::shrink] for strip in strips for picture in strip], 1))
    return np.concatenate(rows)


def _shrink(made: list[SteeredSwitch]) -> int:
    """Of how many pixels one is kept."""
    return -(-made[0].before.pictures[0].shape[1] // _THUMB)


def _configuration(world: DiffusionWorld, options: Namespace, seed: int, switches: int) -> dict[str, Any]:
    """What the pictures and numbers depend on."""
    cache = world.config.cache
    return {
        "world": world.info.name,
        "picture": "{}x{}".format(*world.info.picture),
        "window": f"{cache.window} ({cache.sink} of them sink), blocks of {cache.block}, {cache.positions} positions",
        "seed": seed,
        "switches": switches,
        "seconds on each side": f"{options.seconds:g}",
    }


def _plain_table(table: dict[str, dict[str, Figure]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """The table as JSON has it, which knows no NaN."""
    return {
        row: {
            name: {key: None if value != value else value for key, value in vars(figure).items()}
            for name, figure in cells.items()
        }
        for row, cells in table.items()
    }


def _plain_switches(made: list[SteeredSwitch], marks: list[Marked]) -> list[dict[str, Any]]:
    """Each switch with its jumps and marks."""
    return [
        {
            **vars(one.switch),
            "calm": one.calm,
            "jump": {mode: one.jump(mode) for mode in STEER_MODES},
            "marks": {mode: vars(mark) for mode, mark in marked.items()},
        }
        for one, marked in zip(made, marks, strict=True)
    ]


def _prepare_folder(options: Namespace) -> None:
    """Make the folder of --out; the numbers go into it too, unless --json names another file."""
    folder: Path | None = options.folder
    if not folder:
        return
    folder.mkdir(parents=True, exist_ok=True)
    there = [name for name in _FILES if (folder / name).exists()]
    if there and not options.overwrite:
        raise UsageError(f"--out {folder} has a {there[0]}: choose another folder, or give --overwrite")
    options.json = options.json or folder / "steer.json"


def _write_pictures(options: Namespace, made: list[SteeredSwitch], page: str) -> None:
    with whole_file(options.folder / "steer.png", options.overwrite) as file:
        file.part.write_bytes(png_bytes(steer_sheet(made, _shrink(made))))
    print(f"written: {file.path}, {write_text(options.folder / 'steer.html', page, options.overwrite)}")
