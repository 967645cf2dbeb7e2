"""The model's process: opens the world, takes events at block boundaries, fills the ring. Spawned by the supervisor."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from multiprocessing import connection
from multiprocessing.connection import Connection

import numpy as np

from loop.link.message import Fault, Opened, Start, Started
from loop.timing import gc_freeze
from loop.worker.stream import Stream
from world.info import WorldError
from world.options import WorldOptions
from world.zoo import open_in_own_process

now_ns = time.perf_counter_ns


class SerialDevice:
    """The test card's made-up device: work queues up on it, one piece after the other, to absolute deadlines."""

    def __init__(self, busy: bool) -> None:
        self._busy = busy
        self._free_ns = 0

    def spend(self, seconds: float) -> None:
        """Return when `seconds` more of work are done."""
        if seconds <= 0:
            return
        now = now_ns()
        back_to_back = now - self._free_ns < 2_000_000
        self._free_ns = (self._free_ns if back_to_back else now) + round(seconds * 1e9)
        while now_ns() < self._free_ns:
            if not self._busy:
                time.sleep(max(0.0, (self._free_ns - now_ns()) / 1e9))


def main(pipe: Connection, options: WorldOptions) -> None:
    """The process's entry: open the world, then serve one session; a fault is reported before it ends the process."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group: the window's process decides
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning OpenMP threads starve the window's process
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    try:
        _serve(pipe, options)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the window's process has gone
    except WorldError as error:
        pipe.send(Fault(str(error), usage=True))
    except Exception as error:
        pipe.send(Fault(f"{type(error).__name__}: {error}", usage=False))
        raise


def _serve(pipe: Connection, options: WorldOptions) -> None:
    world = open_in_own_process(options, SerialDevice(options.probe.busy).spend)
    pipe.send(Opened(world.info, _versions()))
    start = pipe.recv()
    if isinstance(start, Start):
        stream = Stream(world, start, pipe)
        gc_freeze.freeze()
        pipe.send(Started())
        stream.run()


def _die_with_parent() -> None:
    """Never outlive the window's process, however it ends."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="die with parent", daemon=True).start()


def _versions() -> dict[str, str]:
    """Versions of what made the latents, for the log."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    return versions
