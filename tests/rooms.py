"""The rooms of the code and the import arrows between them: `python -m tests.rooms` prints them (`make rooms`).

A room is a folder, or a file that composes others and is imported by none of them. ALLOWED says what each may import;
the test of the doors holds the code against it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("loop", "world", "net", "input")
MOST_FILES = 16

_WORLD = {"world"}  # its plain data: events, blocks, options; no torch
_TRAIN = {"world.train.learn", "world.train.data", "world.train.stages", "world.train.judge"}
_SHOW = {"loop.link", "loop.worker", "loop.timing", "loop.screen", "loop.output", "loop.supervise", "loop.cli"}
_SHOW |= {"loop.archive", "loop.peer", "loop.stage", "loop.screen.operator", "loop.web"}
_MODEL = {"world.dit", "world.diffusion", "world.wan"}
_MEASURE = {"loop.measure", "loop.measure.trace"}
_COMMANDS = {
    "loop.replay",
    "loop.measure.shows",
    "loop.measure.latency",
    "loop.measure.leap",
    "loop.measure.model",
    "loop.measure.gpu",
    "loop.measure.steer",
    "loop.measure.methods",
}
ALLOWED: Mapping[str, set[str]] = {
    "world": set(),
    "world.dit": _WORLD,
    "world.diffusion": _WORLD | {"world.dit"},
    "world.compact": _WORLD | {"world.dit", "world.diffusion"},
    # what a folder holds is told before a window opens, without torch
    "world.wan.family": _WORLD | {"world.dit"},
    "world.wan": _WORLD | {"world.dit", "world.diffusion", "world.wan.fast", "world.wan.family"},
    # it knows the weights by their released names, not the plain modules
    "world.wan.fast": {"world.dit", "world.diffusion"},
    "world.train.learn": _WORLD | {"world.dit", "world.compact"},
    "world.train.tale": _WORLD | {"world.compact"},
    "world.train.data": {"world.compact", "world.train.learn"},
    "world.train.stages": {"world.compact", "world.train.learn", "world.train.data"},
    "world.train.judge": {"world.compact", "world.train.learn", "world.train.data"},
    "world.train.story": _WORLD | {"world.dit", "world.compact", "world.train.tale"} | _TRAIN,
    "world.train.marks": {"world.compact", "world.train.tale", "world.train.story"} | _TRAIN,
    "world.train": _WORLD | {"world.dit", "world.compact", "world.train.story", "world.train.marks"} | _TRAIN,
    # it prepares the process that a world is to have for itself
    "world.zoo": _WORLD | {"world.dit", "world.diffusion", "world.compact", "world.wan", "world.wan.family"},
    "input": _WORLD,
    "input.sound": {"input"},
    "input.midi": {"input"},
    "net": _WORLD,
    "net.web": {"net"},
    "loop.link": _WORLD,
    "loop.timing": {"loop.link"},
    "loop.video": _WORLD,
    # frames that come from a GPU, or as video
    "loop.worker": _WORLD | {"world.zoo", "world.dit", "loop.link", "loop.timing", "loop.video"},
    "loop.supervise": _WORLD | {"loop.link", "loop.worker", "loop.timing"},
    # a guest without weights names the world that its process does not open
    "loop.peer": _WORLD
    | {"world.zoo", "net", "loop.archive", "loop.link", "loop.timing", "loop.supervise", "loop.video", "loop.worker"},
    # it tells the model over how many blocks a cue comes in
    "loop.stage": _WORLD | {"input", "input.midi", "input.sound", "loop.supervise"},
    "loop.screen.clip": set(),
    "loop.screen.pinning": {"input"},
    "loop.screen": _WORLD | {"input", "loop.screen.clip", "loop.screen.pinning"},
    # its lists are made of the marks that the window draws
    "loop.screen.operator": _WORLD | {"input", "loop.screen"},
    "loop.archive": _WORLD | {"loop.link"},
    "loop.output": _WORLD | {"loop.link", "loop.timing", "loop.archive"},
    # its operators fire cues, and its audience asks at the desk
    "loop.web": _WORLD | {"input", "net", "net.web", "loop.stage", "loop.supervise"},
    # the doctor looks at the devices that the other rooms use; the options name what peers and memories may be
    "loop.cli": _WORLD
    | {
        "input",
        "net",
        "net.web",
        "world.zoo",
        "world.dit",
        "loop.timing",
        "loop.screen",
        "loop.worker",
        "loop.supervise",
    },
    "loop": _WORLD | {"world.zoo", "input", "net"} | _SHOW,
    # a replay opens the world as the model's process does, and writes films as `render` does
    "loop.replay": _WORLD | {"world.zoo", "loop", "loop.archive", "loop.cli", "loop.output", "loop.worker"},
    "loop.measure": {"loop.output"},
    "loop.measure.trace": {"loop.output"},
    "loop.measure.shows": _MEASURE | _WORLD | {"world.dit", "input", "loop"} | _SHOW,
    "loop.measure.latency": _MEASURE | {"loop.measure.shows", "loop.output"},
    # it draws a show's pictures from its saved session, and compares ways to switch
    "loop.measure.leap": _MEASURE
    | _WORLD
    | _MODEL
    | {"loop.measure.shows", "loop.output", "loop.replay", "loop.timing", "loop.cli", "loop.worker", "world.zoo"},
    # a benchmark of the model looks into it
    "loop.measure.model": {"loop.measure", "loop.cli", "world.zoo"} | _WORLD | _MODEL,
    "loop.measure.gpu": _MEASURE
    | _WORLD
    | _MODEL
    | {
        "world.wan.family",
        "loop.measure.shows",
        "loop.cli",
        "loop.link",
        "loop.worker",
        "loop.timing",
        "loop.output",
        "world.zoo",
    },
    # it marks by what training marks by
    "loop.measure.steer": {"loop.measure", "loop.cli", "loop.output", "world.zoo", "world.compact"}
    | _WORLD
    | _MODEL
    | {"loop.link", "loop.supervise"}
    | {"world.train.judge", "world.train.marks", "world.train.story", "world.train.tale"},
    # patterns have marks in pixels, for which no reader has to be trained
    "loop.measure.methods": {"loop.measure", "loop.measure.steer", "loop.cli", "world.zoo", "world.compact"}
    | _WORLD
    | _MODEL
    | {"world.train.judge", "world.train.data", "world.train.tale"},
    "loop.__main__": _WORLD | {"input", "world.zoo", "world.train", "loop", "loop.cli"} | _COMMANDS,
}


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the four packages by its dotted name."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def room_of(module: str) -> str:
    """The room that a module lies in."""
    if module in ALLOWED:
        return module
    return module.rpartition(".")[0]


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a file imports, wherever in it; `from package import module` counts as the module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [name for name in inner if name in known] or [node.module]


def graph(root: Path = ROOT, name_of: Callable[[str], str] = room_of) -> dict[str, set[str]]:
    """For each room the other rooms that it imports; with `name_of=str` for each module the other modules."""
    known = modules(root)
    arrows: dict[str, set[str]] = {name_of(module): set() for module in known}
    for module, path in known.items():
        here = name_of(module)
        arrows[here] |= {name_of(found) for found in imports(path, known) if found in known} - {here}
    return arrows


def in_order(arrows: Mapping[str, set[str]]) -> list[str]:
    """Every name after those that it imports; raises graphlib.CycleError at a circle."""
    return list(TopologicalSorter(arrows).static_order())


def files_in(room: str, root: Path = ROOT) -> int:
    """How many files a room holds, the package's own marker left out."""
    return sum(room_of(module) == room and path.name != "__init__.py" for module, path in modules(root).items())


def main() -> None:
    """Print each room under those that it imports; ends with an error at a circle."""
    arrows = graph()
    for room in in_order(arrows):
        told = ", ".join(sorted(arrows[room])) or "none of the others"
        print(f"{room:<20}{files_in(room):>3} files   imports {told}")
    print(f"\nno circle between the rooms, and none between the {len(in_order(graph(name_of=str)))} modules")


if __name__ == "__main__":
    main()
