"""Whole shows on the test card, without a window: two processes, a ring, a trace, and what happens when one dies."""

import json
import os
import signal
import sys

import av
import pytest

from tests.support.shows import children, end_all, finish, is_alive, model_pid, read_trace, segments, start, wait_until
from world.probe import read_frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and /dev/shm")


@pytest.fixture(autouse=True)
def no_show_outlives_its_test():
    yield
    end_all()


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace.jsonl"


def write_script(tmp_path, *entries):
    path = tmp_path / "script.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    return path


def runs(trace):
    return len(read_trace(trace, "flip")) > 10


def test_a_show_ends_by_itself_and_says_what_it_showed(trace):
    status, out, err = finish(start("--world", "probe", "--headless", "--seconds", 2, "--trace", trace, "--seed", 3))
    assert (status, err) == (0, "")
    flips = read_trace(trace, "flip")
    new = [line for line in flips if not line["repeat"]]
    assert "shown" in out and len({line["frame"] for line in new}) in (32, 33)
    assert [line["tick"] for line in flips] == sorted({line["tick"] for line in flips})
    header = read_trace(trace, "header")[0]
    assert (header["world"], header["seed"], header["fps"], header["tick_hz"]) == ("probe", 3, 16.0, 60)


def test_frames_are_shown_in_order_and_never_twice_after_a_newer_one(trace):
    finish(start("--world", "probe", "--headless", "--seconds", 2, "--trace", trace, "--probe-block-ms", 150))
    frames = [line["frame"] for line in read_trace(trace, "flip")]
    assert frames == sorted(frames) and frames[0] == 0


def test_a_scripted_prompt_is_followed_from_its_source_to_its_first_pixel(tmp_path, trace):
    script = write_script(tmp_path, {"at_s": 1.0, "prompt": "red"}, {"at_s": 1.5, "prompt": "blue"})
    finish(start("--world", "probe", "--headless", "--seconds", 3, "--trace", trace, "--script", script))
    events = read_trace(trace, "event")
    assert [line["event"]["text"] for line in events] == ["red", "blue"]
    for event in events:
        stamps = {line["stage"]: line["t_ns"] for line in read_trace(trace, "stage") if line["id"] == event["id"]}
        order = ["pump", "submit", "encoded", "take", "recached", "denoised", "decoded", "uploaded", "flip"]
        assert list(stamps) == order
        assert list(stamps.values()) == sorted(stamps.values())


def test_the_flip_of_an_event_is_the_flip_of_the_first_frame_under_it(tmp_path, trace):
    script = write_script(tmp_path, {"at_s": 1.0, "prompt": "red"})
    movie = tmp_path / "show.mp4"
    options = ("--seconds", 2.5, "--trace", trace, "--script", script, "--record", movie)
    finish(start("--world", "probe", "--headless", *options))
    named = next(line["t_ns"] for line in read_trace(trace, "stage") if line["stage"] == "flip")
    flip = next(line for line in read_trace(trace, "flip") if line["t_ns"] == named)
    with av.open(str(movie)) as recording:
        cards = [read_frame(frame.to_ndarray(format="rgb24")) for frame in recording.decode(video=0)]
    assert next(number for number, prompts in cards if prompts == 1) == flip["frame"]


def test_the_recording_holds_every_frame_that_was_shown(tmp_path, trace):
    movie = tmp_path / "show.mp4"
    _, out, _ = finish(start("--world", "probe", "--headless", "--seconds", 2, "--trace", trace, "--record", movie))
    shown = list(dict.fromkeys(line["frame"] for line in read_trace(trace, "flip")))
    with av.open(str(movie)) as recording:
        frames = list(recording.decode(video=0))
    assert [read_frame(frame.to_ndarray(format="rgb24"))[0] for frame in frames] == shown
    assert f"recorded {len(shown)} frames" in out and "0 dropped" in out


def test_the_model_is_restarted_when_it_is_killed_and_no_number_is_used_twice(trace):
    show = start("--world", "probe", "--headless", "--seconds", 6, "--trace", trace, "--prompt", "red")
    wait_until(lambda: len(read_trace(trace, "flip")) > 60, "the first second of the show")
    first = model_pid(show)
    signal_at = len(read_trace(trace, "flip"))
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: model_pid(show) not in (None, first) and model_pid(show), "another model process")
    assert second != first
    status, _, _ = finish(show)
    flips = read_trace(trace, "flip")
    frames = list(dict.fromkeys(line["frame"] for line in flips))
    assert status == 0 and frames == sorted(frames)
    assert flips[-1]["frame"] > flips[signal_at]["frame"] + 16
    assert [line["what"] for line in read_trace(trace, "fault")] == ["the model's process died"]


@pytest.mark.parametrize("moment", ["running", "starting the model", "opening a ring"])
def test_killing_the_window_leaves_neither_process_nor_segment(trace, moment):
    show = start("--world", "probe", "--headless", "--trace", trace)
    has_come = {
        "running": lambda: runs(trace),
        "starting the model": lambda: model_pid(show),
        "opening a ring": lambda: segments(show.pid) or runs(trace),  # a moment that a busy machine may miss
    }
    wait_until(lambda: model_pid(show), "the model's process")
    wait_until(has_come[moment], moment, every_s=0.001)
    family = children(show.pid)
    show.kill()
    show.communicate()
    wait_until(lambda: not any(is_alive(pid) for pid in family), "the end of every process")
    assert not segments(show.pid)


def test_a_running_show_has_no_segment_that_a_crash_could_leave(trace):
    show = start("--world", "probe", "--headless", "--seconds", 30, "--trace", trace)
    wait_until(lambda: runs(trace), "the show to run")
    assert not segments(show.pid)


def test_a_model_that_cannot_start_ends_a_headless_show_with_one_line(tmp_path):
    status, _, err = finish(start("--world", tmp_path, "--headless", "--seconds", 5))
    assert status == 2
    assert len(err.strip().splitlines()) == 1 and str(tmp_path) in err


def test_a_terminated_show_finishes_its_recording(tmp_path, trace):
    movie = tmp_path / "show.mp4"
    show = start("--world", "probe", "--headless", "--trace", trace, "--record", movie)
    wait_until(lambda: len(read_trace(trace, "flip")) > 30, "the show to run")
    show.send_signal(signal.SIGTERM)
    status, _, _ = finish(show)
    with av.open(str(movie)) as recording:
        assert len(list(recording.decode(video=0))) > 5
    assert status == 128 + signal.SIGTERM


@pytest.mark.slow
def test_a_killed_show_leaves_a_recording_that_still_plays(tmp_path, trace):
    movie = tmp_path / "show.mp4"
    show = start("--world", "probe", "--headless", "--trace", trace, "--record", movie, "--probe-fps", 60)
    wait_until(lambda: len(read_trace(trace, "flip")) > 300, "five seconds of show")
    show.kill()
    show.communicate()
    with av.open(str(movie)) as recording:
        assert len(list(recording.decode(video=0))) > 60
