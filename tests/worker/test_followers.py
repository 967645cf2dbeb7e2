"""A show whose blocks two processes make: it plays, it ends as one, and it goes on when one of them dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow
HAS_PROC = Path("/proc/self/task").is_dir()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    from tests.wan.wan_folder import write_folder  # needs tokenizers, which the test on GPUs does without

    return write_folder(tmp_path_factory.mktemp("wan") / "folder")


def command(folder: Path, *more: str) -> list[str]:
    world = ["--world", str(folder), "--picture", "32x16", "--device", "cpu", "--ranks", "2", "--seed", "1"]
    return [sys.executable, "-m", "loop", "play", *world, "--headless", "--spare", "off", *more]


def followers(folder: Path) -> list[int]:
    """The processes that follow; each was started with the module's name."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line, parent = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"loop.worker.followers" in line and str(folder).encode() in parent:
                found.append(int(entry.name))
    return found


def until(condition, limit_s=60.0):
    deadline = time.monotonic() + limit_s
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_two_processes_play_a_show_with_a_switch_and_a_hard_cut(folder, tmp_path):
    script, trace = tmp_path / "script.jsonl", tmp_path / "show.jsonl"
    script.write_text('{"at_s": 1, "prompt": "rain falls on roofs"}\n{"at_s": 2, "scene": "a red fox"}\n')
    show = command(folder, "--seconds", "5", "--script", str(script), "--trace", str(trace))
    done = subprocess.run(show, capture_output=True, text=True, timeout=120)
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert done.returncode == 0, done.stderr
    ends = {line["id"]: line["stage"] for line in lines if line["kind"] == "stage"}
    assert list(ends.values()) == ["flip", "flip"]
    assert not [line for line in lines if line["kind"] == "fault"]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_play_a_show_with_a_switch(tmp_path):
    script = tmp_path / "script.jsonl"
    script.write_text('{"at_s": 1, "prompt": "rain falls on roofs"}\n')
    world = ["--world", "random-wan", "--decoder", "taehv", "--device", "cuda", "--ranks", "2", "--seed", "1"]
    show = [sys.executable, "-m", "loop", "play", *world, "--headless", "--seconds", "10", "--script", str(script)]
    done = subprocess.run(show, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_shared_out_ends_with_one_line(folder):
    show = [*command(folder, "--seconds", "5"), "--ranks", "3"]
    done = subprocess.run(show, capture_output=True, text=True, timeout=120)
    told = "neverblink: 3 processes cannot share 2 heads and 2 tokens a frame evenly: possible here: 2\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc to see other processes")
def test_the_death_of_a_follower_ends_all_and_the_show_goes_on_in_new_ones(folder, tmp_path):
    trace = tmp_path / "show.jsonl"
    environment = os.environ | {"NEVERBLINK_TEST": str(folder)}
    show = subprocess.Popen(
        command(folder, "--seconds", "20", "--trace", str(trace)),
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert until(lambda: trace.exists() and '"flip"' in trace.read_text())
        (first,) = followers(folder)
        os.kill(first, signal.SIGKILL)
        assert until(lambda: [pid for pid in followers(folder) if pid != first])
        told = show.communicate(timeout=120)[1]
    finally:
        show.kill()
    assert show.returncode == 0 and "rank 1 of 2 ended with status -9" in told
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    fault = next(line["t_ns"] for line in lines if line["kind"] == "fault")
    assert any(line["kind"] == "block" and line["t_begin_ns"] > fault for line in lines)
    assert until(lambda: not followers(folder), 10)
