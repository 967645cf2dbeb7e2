"""The recorder and the trace: what they write, what they drop, and how an error comes back."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest

from loop.output.recorder import QUEUE_FRAMES, Mp4, Recorder
from loop.output.trace import Trace

MS = 1_000_000  # ns


def grey(level: int, width: int = 64, height: int = 36) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def read(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(seconds, pixels [Y, X, 3]) of every frame."""
    with av.open(str(path)) as movie:
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in movie.decode(video=0)]


def test_a_recording_holds_the_frames_at_the_times_at_which_they_were_shown(tmp_path):
    recorder, shown = Recorder(tmp_path / "show.mp4"), [(50, 0), (100, 63), (200, 250)]
    for level, ms in shown:
        recorder.add(grey(level), 7_000 * MS + ms * MS, 16.0)
    recorder.close()
    frames = read(tmp_path / "show.mp4")
    assert [float(at_s) for at_s, _ in frames] == pytest.approx([ms / 1e3 for _, ms in shown], abs=1e-4)
    assert [int(pixels.mean()) for _, pixels in frames] == pytest.approx([level for level, _ in shown], abs=3)
    assert (recorder.recorded, recorder.dropped) == (3, 0)


def test_a_frame_may_be_overwritten_once_it_was_added(tmp_path):
    recorder, pixels = Recorder(tmp_path / "show.mp4"), grey(200)
    recorder.add(pixels, 0, 16.0)
    pixels[:] = 0
    recorder.close()
    assert read(tmp_path / "show.mp4")[0][1].mean() == pytest.approx(200, abs=3)


def test_an_odd_side_loses_its_last_row_or_column(tmp_path):
    movie = Mp4(tmp_path / "odd.mp4", (65, 37), 16.0)
    movie.add(grey(100, 65, 37), 0)
    movie.close()
    assert read(tmp_path / "odd.mp4")[0][1].shape == (36, 64, 3)


def test_two_frames_of_the_same_time_follow_one_another(tmp_path):
    movie = Mp4(tmp_path / "fast.mp4", (64, 36), 16.0)
    movie.add(grey(50), 0)
    movie.add(grey(200), 0)
    movie.close()
    first, second = (at_s for at_s, _ in read(tmp_path / "fast.mp4"))
    assert first < second


def test_a_recording_that_was_never_closed_can_be_played_up_to_its_last_fragment(tmp_path):
    movie = Mp4(tmp_path / "killed.mp4", (64, 36), 16.0)
    for number in range(16 * 10):
        movie.add(grey(number), number * 62 * MS)
    left_behind = tmp_path / "left_behind.mp4"
    left_behind.write_bytes((tmp_path / "killed.mp4").read_bytes())
    movie.close()
    assert len(read(left_behind)) >= 16 * 6


def test_frames_that_find_the_queue_full_are_dropped_and_counted(tmp_path, monkeypatch):
    is_open, add = Event(), Mp4.add
    monkeypatch.setattr(Mp4, "add", lambda *args: is_open.wait() and add(*args))
    recorder = Recorder(tmp_path / "show.mp4")
    for number in range(2 * QUEUE_FRAMES):
        recorder.add(grey(number), number * MS, 16.0)
    is_open.set()
    recorder.close()
    assert recorder.dropped >= QUEUE_FRAMES - 1, "one frame may be in the encoder's hands"
    assert recorder.recorded + recorder.dropped == 2 * QUEUE_FRAMES
    assert len(read(tmp_path / "show.mp4")) == recorder.recorded


def test_an_error_of_the_encoder_is_raised_by_close_and_holds_nothing_up(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(Mp4, "add", fail)
    recorder = Recorder(tmp_path / "show.mp4")
    for number in range(2 * QUEUE_FRAMES):
        recorder.add(grey(number), number * MS, 16.0)
    with pytest.raises(OSError, match="no space left"):
        recorder.close()
    assert recorder.recorded == 0


def test_a_recorder_that_was_given_no_frame_writes_no_file(tmp_path):
    Recorder(tmp_path / "show.mp4").close()
    assert not (tmp_path / "show.mp4").exists()


def test_a_trace_keeps_its_lines_in_order_with_their_kind_first(tmp_path):
    trace = Trace(tmp_path / "trace.jsonl")
    for tick in range(1_000):
        trace.put("flip", tick=tick)
    trace.put("event", text="日本")
    trace.close()
    lines = (tmp_path / "trace.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["tick"] for line in lines[:-1]] == list(range(1_000))
    assert lines[-1] == '{"kind": "event", "text": "日本"}'


def test_a_trace_without_a_file_takes_lines_and_keeps_none():
    trace = Trace(None)
    trace.put("flip", tick=1)
    trace.close()


@pytest.mark.skipif(os.name == "nt", reason="a folder opens differently there")
def test_a_trace_that_cannot_be_written_says_so_at_once(tmp_path):
    with pytest.raises(OSError):
        Trace(tmp_path)
