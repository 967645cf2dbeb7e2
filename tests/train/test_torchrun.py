import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from world.train.run import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training folder with one clip of each kind."""
    folder = tmp_path_factory.mktemp("run")
    assert main(["latents", "--out", str(folder), "--clips", "1", "--device", "cpu"]) == 0
    return folder


def test_two_processes_train_together_under_torchrun(folder: Path):
    stage = ["world.train", "base", "--out", str(folder), "--minutes", "0.2", "--device", "cpu"]
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517", "-m"]
    done = subprocess.run([*run, *stage], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    state = torch.load(folder / "base.pt")
    assert state["step"] > 0 and state["spent_s"] >= 0.2 * 60


def test_training_goes_on_from_its_checkpoint_with_workers_of_its_own(folder: Path):
    before = torch.load(folder / "base.pt")
    assert main(["base", "--out", str(folder), "--minutes", "0.4", "--workers", "2", "--device", "cpu"]) == 0
    after = torch.load(folder / "base.pt")
    assert after["step"] > before["step"] and after["spent_s"] > before["spent_s"]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see other processes")
def test_a_kill_ends_the_workers_too(folder: Path):
    given = ["base", "--out", str(folder), "--minutes", "60", "--workers", "2", "--device", "cpu"]
    run = subprocess.Popen([sys.executable, "-m", "world.train", *given], stderr=subprocess.DEVNULL)
    try:
        assert _within(60, lambda: len(_workers(run.pid)) == 2)
        workers = _workers(run.pid)
        run.terminate()
        assert run.wait(timeout=60) == 143
        assert _within(10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    finally:
        run.kill()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see other processes")
def test_ctrl_c_while_the_workers_load_shows_no_traceback(folder: Path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in the background of a script
    command = [sys.executable, "-m", "loop", "train", "base", "--out", str(folder), "--minutes", "60", "--workers", "2"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert _within(60, lambda: len(_workers(run.pid)) == 2)
        time.sleep(0.5)
        os.killpg(run.pid, signal.SIGINT)
        told = run.communicate(timeout=60)[1]
        assert (run.returncode, told) == (130, "neverblink: interrupted\n")
    finally:
        run.kill()
        signal.signal(signal.SIGINT, before)


def _workers(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def _within(limit_s: float, happens: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + limit_s
    while not (done := happens()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return done
