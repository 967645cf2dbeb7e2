"""The model's process where there is a GPU, which is pretended."""

from __future__ import annotations

from multiprocessing.connection import Connection

from loop.worker import process
from tests.pretend.gpu import pretended_gpu
from world.options import WorldOptions

run_there = process.run_process


def run_process(pipe: Connection, options: WorldOptions) -> None:
    """As `loop.worker.process.run_process`."""
    with pretended_gpu():
        run_there(pipe, options)
