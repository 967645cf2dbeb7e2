"""The other processes that make a stream together with the model's process, which leads them as rank 0.

They end with it, and it ends with any of them, so that the window's process, which starts it again, starts them all.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from typing import NoReturn

from loop.link.message import Fault
from loop.worker.window_link import WindowLink
from world.block import World
from world.info import WorldError
from world.options import WorldOptions
from world.zoo import follow_world, lead_world

log = logging.getLogger(__name__)
USAGE = 2  # the exit status of a follower that could not open the world as asked


class Followers:
    """Owned by the model's process. options.ranks: how many processes there are, this one included."""

    def __init__(self, options: WorldOptions, link: WindowLink) -> None:
        self._options, self._link = options, link
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_closing = False

    def open(self) -> World:
        """Start them, and open the world that all share. Raises WorldError as `open_world` does."""
        return lead_world(self._options, self._start)

    def _start(self, port: int) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # they find the same modules
        for rank in range(1, self._options.ranks):
            command = [sys.executable, "-m", __name__]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
            assert process.stdin is not None
            process.stdin.write(pickle.dumps((self._options, rank, port)))
            process.stdin.flush()
            self._processes.append(process)
            threading.Thread(target=self._watch, args=(process, rank), name=f"rank {rank}", daemon=True).start()

    def close(self) -> None:
        """End them."""
        self._is_closing = True
        for process in self._processes:
            process.kill()

    def _watch(self, process: subprocess.Popen[bytes], rank: int) -> None:
        """End this process when a follower has ended: a pass that waits for it would wait for ever."""
        status = process.wait()
        if not self._is_closing:
            told = f"rank {rank} of {self._options.ranks} ended with status {status}"
            self._link.send(Fault(told, usage=status == USAGE))
            os._exit(1)


def main() -> NoReturn:
    """The entry of a process that follows. What it opens comes through standard input, which ends with the leader."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group: the window's process decides
    options, rank, port = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_leader, name="end with leader", daemon=True).start()
    try:
        follow_world(options, rank, port)
    except WorldError as error:
        log.error("rank %d: %s", rank, error)
        sys.exit(USAGE)


def _end_with_leader() -> NoReturn:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
