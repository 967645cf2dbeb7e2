"""What `bench gpu` measures on: the device, the sizes, and the world in each way of running it."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from loop.cli.usage import UsageError
from world.diffusion.world import DiffusionWorld
from world.dit.device import gpu_ms, resolve, take_precedence, use_threads, wait, working_dtype
from world.dit.speed import speed_for
from world.info import WorldError
from world.options import SPEEDS, WorldOptions, default_threads
from world.wan.family.picture import checked_picture
from world.zoo import open_options


@dataclass(frozen=True)
class GpuSetting:
    """The sizes of a measurement. The world has random weights at the sizes of its name (world.wan.random.SIZES).

    side: of the square matrices of the plain product. copy_mib: size of the copies on the device.
    blocks: timed for each stage, once the window is full.
    """

    device: torch.device
    dtype: torch.dtype
    world: WorldOptions
    side: int
    copy_mib: int
    blocks: int

    @property
    def picture(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return checked_picture(self.world.picture)


def open_at_speed(options: WorldOptions, speed: str, decoder: str = "taehv") -> DiffusionWorld:
    """A world of random weights in one of its ways of running, not warm; raises WorldError where it cannot run so."""
    world = open_options(replace(options, decoder=decoder, speed=speed))
    assert isinstance(world, DiffusionWorld)  # as every world of random weights is
    return world


def speeds_here(setting: GpuSetting) -> tuple[str, ...]:
    """The ways of running that the device has."""
    return tuple(speed for speed in SPEEDS if _is_here(setting, speed))


def _is_here(setting: GpuSetting, speed: str) -> bool:
    try:
        return speed_for(setting.device, speed, setting.dtype) == speed
    except WorldError:
        return False


def gpu_setting(options: Namespace) -> GpuSetting:
    """The setting that the command's options ask for; raises UsageError without a GPU, unless it is to be tiny."""
    device = resolve("auto")
    if device.type != "cuda" and not options.tiny:
        raise UsageError("bench gpu: torch sees no GPU here; --tiny runs the same at a tiny size on a CPU")
    use_threads(default_threads())
    take_precedence(device)  # as a process does that runs a model alone
    name, picture = ("random-wan-tiny", (16, 16)) if options.tiny else ("random-wan", None)
    world = WorldOptions(name, device.type, default_threads(), picture)
    side, copy_mib, blocks = (256, 4, 3) if options.tiny else (8192, 1024, 16)
    return GpuSetting(device, working_dtype(device), world, side, copy_mib, blocks)


def times_ms(device: torch.device, work: Callable[[], Any], repeats: int, warm_up: int = 2) -> list[float]:
    """Milliseconds of `work`, several times in a row after a few that do not count."""
    for _ in range(warm_up):
        work()
    wait(device)
    return [gpu_ms(work) if device.type == "cuda" else _cpu_ms(work) for _ in range(repeats)]


def _cpu_ms(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3
