"""The processes of a training stage: who starts them, where each works, and how they end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import resource_tracker

import torch
import torch.multiprocessing as mp

from world.dit.device import resolve
from world.train.job import Job
from world.train.learn.averaging import join_workers

_TERMINAL_SIGNALS = {signal.SIGINT, signal.SIGHUP}
WorkerBody = Callable[[int, Job], None]  # of a worker's rank


def run_workers(work: WorkerBody, job: Job) -> None:
    """Run `work` in each of the job's workers and wait for them; under torchrun, this process is one of its workers."""
    if "WORLD_SIZE" in os.environ:
        work(int(os.environ["RANK"]), replace(job, workers=int(os.environ["WORLD_SIZE"])))
        return
    (job.out / "meeting").unlink(missing_ok=True)
    if job.workers == 1:
        work(0, job)
    else:
        _spawn(work, job)


def _spawn(work: WorkerBody, job: Job) -> None:
    # a plain kill must end the workers too: daemons end with an interpreter that exits, not with one that is killed
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        workers = _start_sheltered(work, job)
        while not workers.join():
            pass
    finally:
        signal.signal(signal.SIGTERM, before)
        (job.out / "meeting").unlink(missing_ok=True)


def _start_sheltered(work: WorkerBody, job: Job) -> mp.ProcessContext:
    """Start the workers so that the terminal's signals wait until `enter_worker`.

    Python would answer Ctrl+C with a traceback from each of them while it loads.
    """
    resource_tracker.ensure_running()  # which ends the shelter when it is started with the first worker
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL_SIGNALS)
    try:
        workers = mp.spawn(work, (job,), nprocs=job.workers, daemon=True, join=False)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert workers is not None  # without join
    return workers


def enter_worker(rank: int, job: Job) -> None:
    """Prepare this process as one of the job's workers, with one thread: log, device, connection to the others."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL_SIGNALS)
    start_log()
    use_device(job, threads=1, rank=rank)
    join_workers(rank, job.workers, job.out / "meeting")


def use_device(job: Job, threads: int, rank: int = 0) -> None:
    """Work on the job's device, with `threads` threads of the CPU; each worker has a GPU of its own."""
    torch.set_num_threads(threads)
    device = resolve(job.device)
    if device.type != "cpu":
        torch.set_default_device(torch.device(device.type, int(os.environ.get("LOCAL_RANK", rank))))


def start_log() -> None:
    """Write log lines with the time of day to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
