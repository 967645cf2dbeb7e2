"""The settings that are compared: each a line of options, as they are typed."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from loop.cli.method_options import WORLD_METHODS, add_memory_option, add_method_options
from loop.cli.usage import UsageError
from world.options import WorldOptions

AS_SHIPPED = "as shipped"
BUILT_IN = (
    "",
    "--steps 2",
    "--steps first:4,then:2",
    "--carry 3",
    "--sink 3",
    "--sink-ema 0.99",
    "--sink-ema 0.99,0.9",
    "--sink 3 --memory like",
    "--sink 3 --memory words",
    "--sink 3 --memory switch",
    "--sink 3 --memory like --memory-slots 1",
)


@dataclass(frozen=True)
class MethodSetting:
    """A setting by the line that asks for it. world: fields of WorldOptions; memory: as `--memory`."""

    name: str
    world: dict[str, Any] = field(default_factory=dict)
    memory: str = "named"

    def of(self, base: WorldOptions) -> WorldOptions:
        """`base` with what this setting changes; raises WorldError for what no world can be."""
        return replace(base, **self.world)


class _LineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def setting_of(line: str) -> MethodSetting:
    """The setting that a line of options asks for; an empty one is the world as it is. Raises UsageError."""
    parser = _LineParser(add_help=False, allow_abbrev=False)
    add_method_options(parser)
    add_memory_option(parser)
    try:
        given = vars(parser.parse_args(shlex.split(line)))
    except (UsageError, ValueError) as error:
        raise UsageError(f"setting {line.strip()[:60]!r}: {error}") from None
    world = {name: given[name] for name in WORLD_METHODS if given[name] is not None}
    return MethodSetting(line.strip() or AS_SHIPPED, world, given["memory"])


def read_settings(path: Path | None) -> list[MethodSetting]:
    """The settings of a file, one in each line, the first of which the others are held against; or those built in.

    Raises UsageError for a line that is none, and where there are no two to compare.
    """
    lines = BUILT_IN if path is None else path.read_text(encoding="utf-8").splitlines()
    settings = [setting_of(line) for line in lines]
    if len(settings) < 2:
        raise UsageError(f"--settings {path} holds {len(settings)} settings: expected two lines of options or more")
    return settings
