"""How long a new process takes to its first frame: import, open (warm-up of a fast model included), first block.

`python -m loop.measure.gpu.first_frame OPTIONS SPEED` prints the stamps; OPTIONS are those of a world, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from world.options import WorldOptions

_LIMIT_S = 300  # for a process that compiles for long


def measure_first_frame(world: WorldOptions, speed: str) -> dict[str, Any]:
    """Seconds from the start of a process until it has imported, opened the world, made a frame, and filled a window.

    Raises CalledProcessError if the process fails, and TimeoutExpired.
    """
    options = {"name": world.name, "device": world.device, "threads": world.threads, "picture": world.picture}
    command = [sys.executable, "-m", __name__, json.dumps(options), speed]
    begun = time.perf_counter()  # one clock for both processes
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=_LIMIT_S, check=True)
    stamps = json.loads(done.stdout.splitlines()[-1])
    return {name: at - begun for name, at in stamps.items()}


def print_stamps(options: dict[str, Any], speed: str) -> None:
    """Come to the first frame, and print the time of each stage on the way."""
    from loop.measure.gpu.blocks import TimedStream
    from world.diffusion.world import DiffusionWorld
    from world.zoo import open_in_own_process

    stamps = {"imported": time.perf_counter()}
    world = open_in_own_process(WorldOptions(**options, decoder="taehv", speed=speed))
    assert isinstance(world, DiffusionWorld)  # as every world of random weights is
    stamps["opened"] = time.perf_counter()
    stream = TimedStream(world)
    begun = time.perf_counter()
    stamps["first frame"] = begun + stream.block()["first frame"] / 1e3
    stream.fill()
    stamps["window full"] = time.perf_counter()
    stream.close()
    print(json.dumps(stamps))


if __name__ == "__main__":
    print_stamps(json.loads(sys.argv[1]), sys.argv[2])
