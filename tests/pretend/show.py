"""`python -m tests.pretend.show`: the program with its model's process on a pretended GPU."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from unittest.mock import patch

from loop.__main__ import main
from world.options import WorldOptions


def run_process(pipe: Connection, options: WorldOptions) -> None:
    """The model's process."""
    from loop.worker import process
    from tests.pretend.gpu import pretended_gpu

    with pretended_gpu():
        process.run_process(pipe, options)


if __name__ == "__main__":
    with (
        patch("loop.worker.process.run_process", run_process),
        patch("loop.cli.world_options.check_device", lambda device, world: None),
    ):
        sys.exit(main())
