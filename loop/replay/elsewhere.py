"""A session on another machine than the one that made it."""

from __future__ import annotations

import logging
from dataclasses import replace

from loop.cli.gpu import check_device
from world.info import WorldError
from world.options import WorldOptions

log = logging.getLogger(__name__)


def as_here(world: WorldOptions) -> WorldOptions:
    """How to open a session's world: as it was, or on the CPU where it needed a GPU and there is none here."""
    try:
        check_device("cuda" if world.speed == "fp8" else world.device, world.name)
    except WorldError:
        log.warning("it was made on a GPU, and there is none here: it is made again on the CPU")
        return replace(world, device="cpu", speed=None)
    return world
