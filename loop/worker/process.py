"""The model's process: it opens the world and serves one session. Spawned by the supervisor."""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from loop.link.message import Fault, Opened, Start, Started, WarmUp
from loop.link.ring import FrameRing
from loop.timing import gc_freeze
from loop.timing.clock import Clock, MonotonicClock
from loop.worker.follower import Follower
from loop.worker.followers import Followers
from loop.worker.no_world import NO_WORLD, NoWorld
from loop.worker.stream import Stream
from loop.worker.window_link import WindowLink
from world.block import World
from world.event import Prompt
from world.info import WorldError
from world.options import WorldOptions
from world.zoo import has_room_for_another, is_out_of_memory, memory_advice, open_in_own_process

BEAT_S = 0.25


class SerialDevice:
    """The test card's made-up device: pieces of work follow one another on it, each to an absolute deadline."""

    def __init__(self, busy: bool, clock: Clock) -> None:
        self._wait_until = clock.spin_until if busy else clock.sleep_until
        self._now_ns = clock.now_ns
        self._free_ns = 0

    def spend(self, seconds: float) -> None:
        """Return when `seconds` more of work are done."""
        if seconds <= 0:
            return
        now_ns = self._now_ns()
        is_back_to_back = now_ns - self._free_ns < 2_000_000
        self._free_ns = (self._free_ns if is_back_to_back else now_ns) + round(seconds * 1e9)
        self._wait_until(self._free_ns)


def run_process(pipe: Connection, options: WorldOptions) -> None:
    """The process's entry: open the world and serve one session with the system's clock and memory."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group: the window's process decides
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning OpenMP threads starve the window's process
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    logging.basicConfig(level=logging.INFO, format="neverblink: %(message)s", stream=sys.stderr)
    clock = MonotonicClock()
    device = SerialDevice(options.probe.busy, clock)
    machine = Machine(clock, FrameRing.attach, gc_freeze.freeze, _leaves_room, _beat, memory_advice(options))
    link = WindowLink(pipe)
    followers = Followers(options, link)

    def open_alone() -> World:
        if options.name == NO_WORLD:
            return NoWorld()
        return open_in_own_process(options, device.spend, link.tell_opening)

    serve(link, followers.open if options.ranks > 1 else open_alone, machine)
    followers.close()


@dataclass(frozen=True)
class Machine:
    """What the model's process needs of the machine that it runs on.

    attach(name, slots, picture): the ring that the window's process has made. freeze(): called once all is loaded.
    leaves_room(world): whether a second process like this one would fit. beat(link): begins to send Beats.
    memory_advice: what to change where its memory is too small, for the user.
    """

    clock: Clock
    attach: Callable[[str, int, tuple[int, int]], FrameRing]
    freeze: Callable[[], None]
    leaves_room: Callable[[World], bool]
    beat: Callable[[WindowLink], None]
    memory_advice: str


def serve(link: WindowLink, opening: Callable[[], World], machine: Machine) -> None:
    """Open the world and run its sessions; a fault is reported through the pipe before it ends the process."""
    is_opening = True
    try:
        machine.beat(link)
        world = opening()
        link.send(Opened(world.info, versions_of(world), machine.leaves_room(world)))
        while isinstance(start := link.pipe.recv(), WarmUp):
            _warm_up(world)
        while isinstance(start, Start):
            session = _begin_session(world, start, link, machine)
            is_opening = False
            start = session.run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the window's process has gone
    except WorldError as error:
        link.send(Fault(str(error), usage=True))
    except Exception as error:
        if is_out_of_memory(error):
            link.send(Fault(f"out of memory: {machine.memory_advice}", usage=is_opening))
            return
        link.send(Fault(f"{type(error).__name__}: {error}", usage=False))
        raise


def _begin_session(world: World, start: Start, link: WindowLink, machine: Machine) -> Stream | Follower:
    """A session that makes blocks, or one that follows another machine that does."""
    ring = machine.attach(start.ring, start.slots, start.picture)
    session = (Follower if start.follows else Stream)(world, start, ring, link, machine.clock)
    machine.freeze()
    link.send(Started())
    return session


def _beat(link: WindowLink) -> None:
    def beat() -> None:
        with suppress(OSError):  # the window's process has gone, which the main thread notices too
            while True:
                link.beat()
                time.sleep(BEAT_S)

    threading.Thread(target=beat, name="beat", daemon=True).start()


def _warm_up(world: World) -> None:
    """Run a few blocks, a recache and the decoder once."""
    session, state = world.session(0, world.info.showpiece), world.decoder.start()
    for words in (world.info.showpiece, world.info.showpiece, "a"):
        _, state = world.decoder.decode(state, session.step([Prompt(words)]).latents)


def _leaves_room(world: World) -> bool:
    """Whether the memory of the machine, and of the world's GPU if it is on one, would hold another such process.

    Where the system does not say how much memory is left, it would not.
    """
    try:
        own = int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]
        left = int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1])  # type: ignore[index]
    except (OSError, TypeError):
        return False
    return left > 2 * own and has_room_for_another(world)


def _die_with_parent() -> None:
    """Never outlive the window's process, however it ends."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="die with parent", daemon=True).start()


def versions_of(world: World) -> dict[str, str]:
    """Versions of what makes the latents, and the device that it runs on, for the log."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    if hasattr(world, "device"):
        from world.dit.device import describe

        versions["device"] = describe(world.device)
    return versions
