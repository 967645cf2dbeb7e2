"""What is left of a command that is asked to end: nothing that it started, nothing half-written, and one line."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from loop.cli.signals import Interrupted, SignalWatch, sheltered
from tests.support.shows import ROOT, end_all, finish, is_alive, read_trace, segments, start, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and /dev/shm")
PLAY = ("--world", "probe", "--headless")


@pytest.fixture(autouse=True)
def a_quiet_end(monkeypatch):
    """Each command has a group of its own, and no signal is ignored, as in the background of a script or by nohup."""
    before = [signal.signal(signal.SIGINT, signal.default_int_handler), signal.signal(signal.SIGHUP, signal.SIG_DFL)]
    yield
    for number, handler in zip((signal.SIGINT, signal.SIGHUP), before, strict=True):
        signal.signal(number, handler)
    end_all()


def family(session: int) -> list[str]:
    """The command lines of the living processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((entry.parent / "cmdline").read_text())
        except OSError:
            continue
    return found


def begin(*options):
    return start(*options, start_new_session=True)


def finish_family(command):
    """(exit status, stdout, stderr) of a command of which no process is left a moment later."""
    ended = finish(command, 30)
    wait_until(lambda: not family(command.pid), f"the end of {family(command.pid)}", 5)
    return ended


def shows_of(command):
    """The shows that a measurement has started."""
    return [line for line in family(command.pid) if "--trace" in line]


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGHUP, "ended, since")])
def test_a_show_that_is_asked_to_end_names_its_files_and_ends_with_the_signals_status(tmp_path, number, word):
    movie, trace = tmp_path / "show.mp4", tmp_path / "trace.jsonl"
    show = begin(*PLAY, "--trace", trace, "--record", movie)
    wait_until(lambda: len(read_trace(trace, "flip")) > 40, "the show to run")
    os.killpg(show.pid, number)
    status, out, err = finish_family(show)
    with av.open(str(movie)) as recording:
        frames = len(list(recording.decode(video=0)))
    assert status == 128 + number
    assert f"recorded {frames} frames to {movie}" in out and f"neverblink: {word}" in err and "Traceback" not in err
    assert len(read_trace(trace, "flip")) > 40


def watches_signals(command):
    """Whether the command catches SIGTERM, as it does before it loads anything."""
    caught = Path(f"/proc/{command.pid}/status").read_text().split("SigCgt:")[1].split()[0]
    return int(caught, 16) >> (signal.SIGTERM - 1) & 1


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.8, 1.5, 2.5])
def test_a_command_that_is_interrupted_while_it_loads_says_one_line(after_s, tmp_path):
    for options in (("--world", "small", "--headless"), ("render", "--seconds", "60", "--out", tmp_path / "a.npy")):
        command = begin(*options)
        wait_until(lambda: watches_signals(command), "the command to load")  # noqa: B023  used at once
        time.sleep(after_s)
        os.killpg(command.pid, signal.SIGINT)
        status, out, err = finish_family(command)
        assert (status, err.strip()) == (130, "neverblink: interrupted")
        assert out == "" or out.startswith("seed")
        assert not segments(command.pid)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_render_that_is_asked_to_end_leaves_only_what_was_there(tmp_path, number):
    (tmp_path / "a.mp4").write_text("an earlier film")
    options = ("--out", tmp_path / "a.mp4", "--overwrite", "--seconds", "6000", "--picture", "1280x720")
    command = begin("render", "--world", "probe", *options)
    wait_until(lambda: len(list(tmp_path.iterdir())) > 1, "the render to begin")
    command.send_signal(number)
    assert finish_family(command)[0] == 128 + number
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.mp4", "an earlier film")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_measurement_that_ends_leaves_no_show_behind(number):
    measurement = begin("latency", "--world", "probe", "--trials", "5")
    show = wait_until(lambda: shows_of(measurement), "the first show")
    measurement.send_signal(number)
    status, _, err = finish_family(measurement)
    assert show and "Traceback" not in err
    assert status == (-9 if number == signal.SIGKILL else 128 + number)


def test_a_second_signal_at_the_same_time_does_not_stop_the_closing(tmp_path):
    movie, trace = tmp_path / "show.mp4", tmp_path / "trace.jsonl"
    show = begin(*PLAY, "--trace", trace, "--record", movie)
    wait_until(lambda: len(read_trace(trace, "flip")) > 40, "the show to run")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        show.send_signal(number)
    status, out, err = finish_family(show)
    assert status in (130, 143) and "recorded" in out and "Traceback" not in err


def test_a_signal_that_is_ignored_from_the_start_stays_ignored():
    """As nohup does it."""
    ignore = (
        "import signal, sys, os; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-c", ignore, sys.executable, "-m", "loop", *PLAY, "--seconds", "2"]
    show = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    time.sleep(1.5)
    show.send_signal(signal.SIGHUP)
    assert "shown" in show.communicate(timeout=30)[0] and show.returncode == 0


@pytest.mark.parametrize("command", [("worlds",), ("doctor",), ("--help",), ("play", "--help")])
def test_a_closed_pipe_is_no_error(command):
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.Popen(
        [sys.executable, "-m", "loop", *command], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert run.communicate(timeout=60)[1] == ""
    assert run.returncode in (0, 141)


def test_a_show_and_a_render_go_on_when_nobody_reads_their_words(tmp_path):
    for command, made in (
        ((*PLAY, "--seconds", "1", "--trace", tmp_path / "t.jsonl"), tmp_path / "t.jsonl"),
        (("render", "--world", "probe", "--seconds", "1", "--out", tmp_path / "a.npy"), tmp_path / "a.npy"),
    ):
        reader, writer = os.pipe()
        os.close(reader)
        run = subprocess.Popen(
            [sys.executable, "-m", "loop", *map(str, command)], cwd=ROOT, stdout=writer, stderr=writer
        )
        os.close(writer)
        assert run.wait(60) == 0 and made.stat().st_size > 1000


def test_a_full_disk_behind_stdout_is_said_in_one_line():
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "loop", "worlds"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1 and run.stderr.count("\n") == 1 and "No space left" in run.stderr


def test_an_interruption_that_python_drops_in_a_callback_is_raised_again():
    class Fragile:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    with SignalWatch(), pytest.raises(Interrupted):
        fragile = Fragile()
        del fragile
        time.sleep(5)


def test_a_signal_that_comes_while_a_library_is_loaded_waits_until_it_is(tmp_path, monkeypatch):
    (tmp_path / "slow_to_load.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\nis_whole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    loaded = []
    with SignalWatch(), pytest.raises(Interrupted):
        loaded.append(importlib.import_module("slow_to_load"))
        time.sleep(5)
    assert loaded[0].is_whole


def test_a_sheltered_process_does_not_hear_the_terminal_and_can_still_be_terminated():
    with sheltered():
        child = subprocess.Popen([sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"], stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert is_alive(child.pid)
    child.terminate()
    assert child.wait(5) == -signal.SIGTERM
    child.stdout.close()
