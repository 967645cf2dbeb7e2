"""`open_world(name)`: every world there is, by name, by file or by folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from world.block import World
from world.info import WorldError
from world.options import WorldOptions

NAMES = {
    "small": "the bundled world: text-steered scenes, real time on two CPU cores",
    "probe": "a test card without a network: frame number, prompt count and a colour from the words",
}


def check_name(name: str) -> None:
    """Raise WorldError for a name that no world has, without opening one."""
    if name not in NAMES and not Path(name).is_dir() and not is_small_file(name):
        known = f"one of {', '.join(NAMES)}, a .safetensors file of your own training, or a folder of checkpoints"
        raise WorldError(f"unknown world {name!r}: expected {known}")


def is_small_file(name: str) -> bool:
    """Whether this is a world like the bundled one, in a file that `neverblink train package` wrote."""
    return Path(name).suffix == ".safetensors" and Path(name).is_file()


def no_cost(seconds: float) -> None:
    """The default for `spend`: made-up work takes no time."""


def open_world(options: WorldOptions, spend: Callable[[float], None] = no_cost) -> World:
    """Open the world that `options.name` names; raises WorldError with one line for the user.

    spend: called by the test card for its made-up costs, since a world knows no clock.
    """
    check_name(options.name)
    if options.name == "probe":
        from world.probe import ProbeWorld

        return ProbeWorld(options.probe, options.picture, spend)
    if options.name == "small" or is_small_file(options.name):
        from world.small.world import open_small

        return open_small(options)
    from world.wan.world import open_wan

    return open_wan(Path(options.name), options)
