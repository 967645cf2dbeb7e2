"""The files that commands write: nothing is overwritten unasked, and a disk that is full costs no show."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from loop.link import ring
from loop.link.ring import FrameRing, RingSpaceError
from loop.output import trace as trace_file
from loop.output.new_file import whole_file, write_text
from loop.output.trace import Trace
from tests.support.shows import ROOT

PLAY = ("--world", "probe", "--headless", "--seconds", "2")
RENDER = ("render", "--world", "probe", "--seed", "1", "--seconds", "1")


def can_mount() -> bool:
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs the right to mount a tmpfs (unshare -m)")


def run_mounted(mount: str, *options: object) -> subprocess.CompletedProcess[str]:
    """`neverblink` with these options where `mount`, a shell command, has been run first."""
    run = " ".join(map(str, (sys.executable, "-m", "loop", *options)))
    command = ["unshare", "-m", "sh", "-c", f"{mount} && {run}; status=$?; echo left: $(ls /mnt); exit $status"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def tmpfs(kib: int, folder: str = "/mnt") -> str:
    return f"mount -t tmpfs -o size={kib}k tmpfs {folder}"


def refusal(*argv: object) -> str:
    """What is said of a command line that is refused, in one line."""
    with pytest.raises(UsageError) as refused:
        parse_command_line([str(word) for word in argv])
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        (("play",), "--trace", "a.jsonl"),
        (("play",), "--record", "a.mp4"),
        (("render", "--seconds", "1"), "--out", "a.npy"),
        (("render", "--seconds", "1"), "--out", "a.mp4"),
        (("bench", "loop"), "--json", "a.json"),
        (("bench", "model"), "--json", "a.json"),
        (("latency",), "--json", "a.json"),
        (("latency",), "--html", "a.html"),
    ],
)
def test_a_file_that_is_there_is_written_over_only_when_asked(tmp_path, command, option, name):
    path = tmp_path / name
    parse_command_line([*command, option, str(path)])
    path.touch()
    assert f"{path} exists" in refusal(*command, option, path)
    assert parse_command_line([*command, option, str(path), "--overwrite"]).overwrite


def test_an_input_is_never_written_over_by_whatever_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script, folder = tmp_path / "my.jsonl", tmp_path / "folder"
    script.write_text("")
    folder.mkdir()
    (tmp_path / "link.jsonl").symlink_to(script)
    (tmp_path / "hard.jsonl").hardlink_to(script)
    (tmp_path / "also").symlink_to(folder)
    for name in ("my.jsonl", script, "link.jsonl", "hard.jsonl", "folder/../my.jsonl", "also/../my.jsonl"):
        for more in ((), ("--overwrite",)):
            assert "--script of the same run" in refusal("--script", "my.jsonl", "--trace", name, *more)
    (folder / "config.json").write_text("{}")
    (tmp_path / "mine.safetensors").write_text("")
    assert "--world" in refusal("--world", "folder", "--trace", "also/config.json", "--overwrite")
    assert "--world" in refusal("--world", "mine.safetensors", "--trace", "mine.safetensors", "--overwrite")


def test_two_outputs_are_two_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link.html").symlink_to("a.json")
    assert "the same file" in refusal("latency", "--json", "a.json", "--html", "link.html")
    assert "the same file" in refusal("--trace", "a.mp4", "--record", f"../{tmp_path.name}/a.mp4")
    assert parse_command_line(["latency", "--json", "/dev/null"]).json == Path("/dev/null")


def test_a_name_that_cannot_be_is_refused_in_one_line(tmp_path):
    assert "can be written" in refusal("--trace", tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe.npy")
    assert "can be written" in refusal("--trace", tmp_path / "pipe.npy"), "nobody reads it"
    reader = os.open(tmp_path / "pipe.npy", os.O_RDONLY | os.O_NONBLOCK)
    assert "expected a file" in refusal("render", "--seconds", "1", "--out", tmp_path / "pipe.npy")
    os.close(reader)


def test_a_script_is_as_it_was_after_its_name_was_given_for_the_trace(tmp_path, capsys):
    script = tmp_path / "my.jsonl"
    script.write_text('{"at_s": 1, "prompt": "red"}\n')
    assert main([*PLAY, "--script", str(script), "--trace", str(script)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert script.read_text() == '{"at_s": 1, "prompt": "red"}\n'


def test_a_colon_in_a_name_is_nothing_special(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("21:30.mp4", "21:30.npy", "x" * 251 + ".npy"):
        assert main([*RENDER, "--out", name]) == 0
    assert sorted(path.name[:5] for path in tmp_path.iterdir()) == ["21:30", "21:30", "xxxxx"]


def test_a_render_keeps_a_file_that_came_while_it_ran_and_a_link(tmp_path, capsys, monkeypatch):
    (tmp_path / "link.npy").symlink_to("target.npy")
    assert main([*RENDER, "--out", str(tmp_path / "link.npy")]) == 0
    assert (tmp_path / "link.npy").is_symlink() and np.load(tmp_path / "target.npy").shape[0] == 16
    with whole_file(tmp_path / "a.txt", overwrite=False) as file:
        file.part.write_text("new")
        (tmp_path / "a.txt").write_text("somebody else's")
    assert file.path.name == "a-1.txt" and file.path.read_text() == "new"
    assert (tmp_path / "a.txt").read_text() == "somebody else's"


def test_a_part_that_is_somebody_elses_file_is_not_touched(tmp_path):
    (tmp_path / "a.npy.part").write_text("mine")
    assert main([*RENDER, "--out", str(tmp_path / "a.npy")]) == 0
    assert (tmp_path / "a.npy.part").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_a_text_file_appears_as_a_whole_or_not_at_all(tmp_path):
    write_text(Path("/dev/null"), "x", overwrite=False)
    (tmp_path / "a.json").write_text("old")
    write_text(tmp_path / "a.json", "new", overwrite=True)
    assert (tmp_path / "a.json").read_text() == "new"
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.json", "\ud800", overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_a_trace_writes_half_characters_as_escapes(tmp_path):
    trace = Trace(tmp_path / "t.jsonl")
    trace.put("event", text="a\udcff ü")
    trace.close()
    assert json.loads((tmp_path / "t.jsonl").read_text(encoding="utf-8"))["text"] == "a\udcff ü"
    assert (trace.written, trace.lost, trace.trouble) == (1, 0, "")


def test_a_trace_without_a_line_leaves_no_file(tmp_path):
    Trace(tmp_path / "t.jsonl").close()
    assert not list(tmp_path.iterdir())


def test_a_trace_that_meets_a_limit_ends_with_a_whole_line_and_counts_the_others(tmp_path):
    trace = Trace(tmp_path / "t.jsonl")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        for number in range(1_000):
            trace.put("flip", tick=number, text="x" * 50)
        trace.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    ticks = [json.loads(line)["tick"] for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert ticks == list(range(trace.written)) and 50 < trace.written < 200
    assert trace.lost == 1_000 - trace.written
    assert "File too large" in trace.trouble


def test_a_trace_whose_disk_takes_nothing_keeps_a_bounded_number_of_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(trace_file, "MOST_WAITING", 100)
    is_open, write = threading.Event(), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data) if is_open.wait() else 0)
    trace = Trace(tmp_path / "t.jsonl")
    for number in range(1_000):
        trace.put("flip", tick=number)
    begun = time.monotonic()
    trace.close(patience_s=0.1)
    assert time.monotonic() - begun < 5
    assert "0.1 s" in trace.trouble and (trace.written, trace.lost) == (0, 1_000)
    is_open.set()


def test_a_show_goes_on_without_its_trace_and_says_so(tmp_path, capsys, caplog):
    assert main([*PLAY, "--trace", "/dev/full"]) == 1
    told = capsys.readouterr().out
    assert "traced 0 lines to /dev/full" in told and "shown 3" in told
    assert [record.levelname for record in caplog.records if "the show goes on" in record.message] == ["WARNING"]


@needs_mounts
@pytest.mark.slow
def test_a_show_goes_on_when_the_disk_is_full_in_the_middle():
    run = run_mounted(tmpfs(16), *PLAY, "--seconds", 3, "--trace /mnt/t.jsonl --record /mnt/a.mp4")
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "shown 4" in run.stdout and " lost" in run.stdout
    assert "the trace /mnt/t.jsonl stopped: No space left on device" in run.stderr


@needs_mounts
@pytest.mark.slow
@pytest.mark.parametrize(("name", "kib", "seconds"), [("a.npy", 1_000, 2), ("a.mp4", 24, 60)])
def test_a_render_on_a_full_disk_ends_in_one_line_and_keeps_the_older_file(name, kib, seconds):
    mount = f"{tmpfs(kib)} && echo old > /mnt/{name}"
    run = run_mounted(mount, *RENDER, "--seconds", seconds, "--overwrite --out", f"/mnt/{name}")
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1), run.stderr
    assert "No space left on device" in run.stderr and f"left: {name}\n" in run.stdout


@needs_mounts
@pytest.mark.parametrize("options", [(*PLAY, "--trace"), (*PLAY, "--record"), (*RENDER, "--out")])
def test_a_folder_that_is_read_only_is_noticed_before_anything_starts(options):
    run = run_mounted(f"{tmpfs(100)} && mount -o remount,ro /mnt", *options, "/mnt/a.mp4")
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1 and "Read-only" in run.stderr


@needs_mounts
@pytest.mark.slow
def test_a_ring_for_which_there_is_no_memory_ends_a_show_in_one_line():
    size = "--picture 1280x720 --probe-frames 12"
    run = run_mounted(tmpfs(65_536, "/dev/shm"), *PLAY, size)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1, run.stderr
    assert "needs 101 MB of shared memory, /dev/shm has 64 MB free" in run.stderr and "--shm-size=256m" in run.stderr


def test_the_ring_takes_its_memory_before_the_first_frame(monkeypatch):
    reader = FrameRing.create(4, (64, 64))
    path = Path("/dev/shm", reader.name)
    writer = FrameRing.attach(reader.name, 4, (64, 64))
    if sys.platform == "linux":
        assert path.stat().st_blocks * 512 >= ring.ring_bytes(4, (64, 64))
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    other = FrameRing.attach(reader.name, 4, (64, 64))
    for end in (other, writer, reader):
        end.close()
    reader.unlink()
    assert issubclass(RingSpaceError, ValueError)


def test_a_video_is_reserved_on_the_disk_before_it_is_rendered(tmp_path, capsys):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        assert main([*RENDER, "--out", str(tmp_path / "a.npy")]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in capsys.readouterr().err and not list(tmp_path.iterdir())
