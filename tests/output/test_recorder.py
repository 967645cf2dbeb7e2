"""The recordings and the trace: what they write, what they leave out, and how an error comes back."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import numpy as np
import pytest

from loop.output.mp4 import Mp4
from loop.output.new_file import create_new
from loop.output.recorder import QUEUE_FRAMES, ConstantRate, Recorder
from loop.output.recordings import Recordings
from loop.output.trace import Trace
from loop.screen.display_dials import DisplayDials

MS = 1_000_000  # ns


def grey(level: int, width: int = 64, height: int = 36) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def read(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(seconds, pixels [Y, X, 3]) of every frame."""
    with av.open(str(path)) as movie:
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in movie.decode(video=0)]


def pictures(path: Path) -> list[np.ndarray]:
    """Every frame of a film, uint8 [Y, X, 3]."""
    return [pixels for _, pixels in read(path)]


def recorded(path: Path, shown: list[tuple[int, float]], end_ms: float, fps: float = 16.0) -> Recorder:
    """A finished recording of grey pictures that were shown at times in ms."""
    recorder = Recorder(lambda: path, fps)
    for level, ms in shown:
        recorder.add(grey(level), 7_000 * MS + round(ms * MS))
    recorder.hold(7_000 * MS + round(end_ms * MS))
    recorder.stop()
    recorder.join()
    assert recorder.error is None
    return recorder


def levels(path: Path) -> list[int]:
    """The mean grey of each frame, to ten levels."""
    return [round(float(pixels.mean()), -1) // 1 for pixels in pictures(path)]


def test_a_recording_has_a_constant_rate_and_repeats_what_stands(tmp_path):
    recorder = recorded(tmp_path / "show.mp4", [(50, 0), (100, 63), (200, 250)], end_ms=500)
    frames = read(tmp_path / "show.mp4")
    assert [at_s for at_s, _ in frames] == [Fraction(n, 16) for n in range(8)]
    assert levels(tmp_path / "show.mp4") == [50, 100, 100, 100, 200, 200, 200, 200]
    assert (recorder.recorded, recorder.dropped) == (8, 0)
    with av.open(str(tmp_path / "show.mp4")) as film:
        assert film.streams.video[0].average_rate == 16


def test_the_jitter_of_ticks_repeats_no_picture_and_leaves_none_out():
    ticks_ns = [-(-frame * 10**9 * 60 // (24 * 10**9)) * 10**9 // 60 for frame in range(2_400)]
    rate = ConstantRate(24.0, ticks_ns[0])
    assert not any(rate.missing(t_ns, frame) or rate.is_early(t_ns, frame) for frame, t_ns in enumerate(ticks_ns))


@pytest.mark.parametrize("speed", [0.5, 0.95, 1.05, 2.0])
def test_a_film_is_as_long_as_the_show_whatever_the_speed_of_the_model(speed):
    rate, frames = ConstantRate(24.0, 0), 0
    for picture in range(1_000):
        t_ns = round(picture / 24 / speed * 1e9)
        frames += rate.missing(t_ns, frames)
        frames += not rate.is_early(t_ns, frames)
        assert abs(frames - picture / speed) < 2.2
    assert frames + rate.missing_at_end(t_ns, frames) == pytest.approx(1_000 / speed, abs=2)


def test_a_picture_that_changes_at_every_tick_is_in_the_film_as_soon_as_its_rate_allows():
    rate, frames, behind_ms = ConstantRate(24.0, 0), 0, []
    for tick in range(1_000):
        t_ns = round(tick / 60 * 1e9)
        frames += rate.missing(t_ns, frames)
        if not rate.is_early(t_ns, frames):
            behind_ms.append((frames / 24 - tick / 60) * 1e3)
            frames += 1
    assert max(behind_ms) < 26


def test_a_picture_that_came_too_early_for_a_frame_is_shown_if_it_stands(tmp_path):
    recorded(tmp_path / "show.mp4", [(50, 0), (100, 1), (150, 2), (200, 3)], end_ms=500)
    assert levels(tmp_path / "show.mp4")[0] == 50
    assert levels(tmp_path / "show.mp4")[3:] == [200] * 5


def test_a_picture_that_stands_is_recorded_while_it_stands(tmp_path):
    recorder = Recorder(lambda: tmp_path / "show.mp4", 24.0)
    recorder.add(grey(100), 0)
    for second in range(1, 4):
        recorder.hold(second * 1_000 * MS)
        wait_until(lambda second=second: recorder.recorded >= 24 * second - 2)
    recorder.stop()
    recorder.join()
    assert len(read(tmp_path / "show.mp4")) == 72


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_frame_of_the_ring_may_be_overwritten_once_it_was_shown(tmp_path):
    recorder, dials, pixels = Recorder(lambda: tmp_path / "show.mp4", 16.0), DisplayDials(), grey(200)
    recorder.add(dials.picture(pixels), 0)
    pixels[:] = 0
    recorder.stop()
    recorder.join()
    assert read(tmp_path / "show.mp4")[0][1].mean() == pytest.approx(200, abs=3)


COLOURS = [(0, 180, 0), (255, 0, 0), (0, 0, 255), (200, 120, 40), (255, 255, 255), (0, 0, 0), (16, 200, 235)]


@pytest.mark.parametrize("size", [None, (128, 72), (640, 480)])
@pytest.mark.parametrize("color", COLOURS)
def test_a_film_has_the_colours_of_the_picture(tmp_path, color, size):
    film = Mp4(tmp_path / "colour.mp4", (64, 36), 16.0, size)
    film.add(np.full((36, 64, 3), color, np.uint8))
    film.close()
    shown = pictures(tmp_path / "colour.mp4")[0]
    middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
    assert middle.tolist() == pytest.approx(list(color), abs=3)


def test_a_film_says_that_its_colours_are_those_of_bt709(tmp_path):
    film = Mp4(tmp_path / "tagged.mp4", (64, 36), 16.0)
    film.add(grey(100))
    film.close()
    with av.open(str(tmp_path / "tagged.mp4")) as opened:
        codec = opened.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range) == (1, 1, 1, 1)
    assert b"colrnclx" in (tmp_path / "tagged.mp4").read_bytes()


def test_a_film_of_another_size_keeps_the_aspect_with_black_around(tmp_path):
    film = Mp4(tmp_path / "large.mp4", (64, 36), 16.0, (640, 480))
    film.add(grey(200))
    film.close()
    shown = pictures(tmp_path / "large.mp4")[0]
    assert shown.shape == (480, 640, 3)
    assert shown[:56].max() < 8 and shown[-56:].max() < 8
    assert shown[64:-64].min() > 190


def test_a_colon_in_a_name_belongs_to_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = Mp4(Path("21:30.mp4"), (64, 36), 16.0)
    film.add(grey(100))
    film.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["21:30.mp4"]
    assert len(read(tmp_path / "21:30.mp4")) == 1


def test_an_odd_side_loses_its_last_row_or_column(tmp_path):
    movie = Mp4(tmp_path / "odd.mp4", (65, 37), 16.0)
    movie.add(grey(100, 65, 37))
    movie.close()
    assert read(tmp_path / "odd.mp4")[0][1].shape == (36, 64, 3)


def test_a_recording_that_was_never_closed_can_be_played_up_to_its_last_fragment(tmp_path):
    movie = Mp4(tmp_path / "killed.mp4", (64, 36), 16.0)
    for number in range(16 * 10):
        movie.add(grey(number))
    left_behind = tmp_path / "left_behind.mp4"
    left_behind.write_bytes((tmp_path / "killed.mp4").read_bytes())
    movie.close()
    assert len(read(left_behind)) >= 16 * 6


def test_frames_that_find_the_queue_full_are_dropped_and_the_film_is_no_shorter(tmp_path, monkeypatch):
    is_open, take = Event(), Mp4.take
    monkeypatch.setattr(Mp4, "take", lambda *args: is_open.wait() and take(*args))
    recorder = Recorder(lambda: tmp_path / "show.mp4", 16.0)
    for number in range(2 * QUEUE_FRAMES):
        recorder.add(grey(number), round(number / 16 * 1e9))
    recorder.hold(round(2 * QUEUE_FRAMES / 16 * 1e9))
    recorder.stop()
    is_open.set()
    recorder.join()
    assert recorder.dropped == QUEUE_FRAMES
    assert len(read(tmp_path / "show.mp4")) == recorder.recorded == 2 * QUEUE_FRAMES


def test_an_error_of_the_encoder_is_kept_and_holds_nothing_up(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Mp4, "take", fail)
    recorder = Recorder(lambda: tmp_path / "show.mp4", 16.0)
    for number in range(2 * QUEUE_FRAMES):
        recorder.add(grey(number), number * MS)
    recorder.stop()
    recorder.join()
    assert recorder.recorded == 0 and "No space left" in str(recorder.error)
    assert not (tmp_path / "show.mp4").exists(), "an empty film is not left behind"


def test_a_disk_that_hangs_does_not_hold_up_the_end_for_ever(tmp_path, monkeypatch):
    is_open, take = Event(), Mp4.take
    monkeypatch.setattr(Mp4, "take", lambda *args: is_open.wait() and take(*args))
    recorder = Recorder(lambda: tmp_path / "show.mp4", 16.0)
    recorder.add(grey(1), 0)
    recorder.stop()
    recorder.join(timeout_s=0.05)
    assert "not written within 0.05 s" in str(recorder.error)
    is_open.set()


def test_a_file_that_cannot_grow_ends_the_recording_and_says_why(tmp_path):
    resource = pytest.importorskip("resource", reason="a limit on the size of files is set in another way here")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder, chance = Recorder(lambda: tmp_path / "show.mp4", 16.0), np.random.default_rng(7)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        for number in range(160):
            recorder.add(chance.integers(0, 256, (36, 64, 3), np.uint8), number * 62 * MS)
        recorder.stop()
        recorder.join()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert getattr(recorder.error, "strerror", None) == "File too large"
    assert len(read(tmp_path / "show.mp4")) >= 16, "what was written until then can be played"


def test_a_recorder_that_was_given_no_frame_writes_no_file(tmp_path):
    recorder = Recorder(lambda: tmp_path / "show.mp4", 16.0)
    recorder.stop()
    recorder.join()
    assert recorder.path is None and not (tmp_path / "show.mp4").exists()


def test_a_new_file_never_takes_the_place_of_another(tmp_path):
    names = [create_new(tmp_path / "show.mp4").name for _ in range(3)]
    assert names == ["show.mp4", "show-1.mp4", "show-2.mp4"]


@pytest.fixture
def in_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Show:
    """Ticks of a show of 60 a second whose model makes 16 grey frames a second."""

    def __init__(self, recordings: Recordings) -> None:
        self.recordings, self.tick = recordings, 0

    def play(self, seconds: float, level: int | None, is_black: bool = False) -> None:
        """level: of the new pictures; None: the picture stands."""
        for _ in range(round(60 * seconds)):
            is_due = level is not None and self.tick * 16 // 60 != (self.tick - 1) * 16 // 60
            self.recordings.show(grey(level) if is_due else None, self.tick * 10**9 // 60, 16.0, is_black)
            self.tick += 1


def test_recordings_are_begun_and_ended_and_each_has_a_file_of_its_own(in_folder):
    (in_folder / "show-1.mp4").write_bytes(b"somebody else's")
    recordings = Recordings(Path("show.mp4"))
    show = Show(recordings)
    assert recordings.is_on
    show.play(1, 50)
    recordings.toggle()
    assert not recordings.is_on and recordings.seconds is None
    show.play(1, 100)
    recordings.toggle()
    show.play(0.5, 150)
    recordings.toggle()
    recordings.toggle()
    show.play(2, None)
    recordings.close()
    assert recordings.errors == []
    assert (in_folder / "show-1.mp4").read_bytes() == b"somebody else's"
    films = {name: levels(in_folder / name) for name in ("show.mp4", "show-2.mp4", "show-3.mp4")}
    assert films["show.mp4"] == [50] * 16
    assert films["show-2.mp4"][1:] == [150] * 7, "the first is the picture that stood"
    assert films["show-3.mp4"] == [150] * 32, "it begins with what stands, and goes on while that stands"
    assert [line.split(",")[0] for line in recordings.report()] == [
        "recorded 16 frames to show.mp4",
        "recorded 8 frames to show-2.mp4",
        "recorded 32 frames to show-3.mp4",
    ]


def test_a_blackout_is_recorded_when_the_picture_stands(in_folder):
    recordings = Recordings(Path("show.mp4"))
    show = Show(recordings)
    show.play(0.5, 100)
    show.play(0.5, None, is_black=True)
    show.play(0.5, None)
    recordings.close()
    film = levels(in_folder / "show.mp4")
    assert len(film) == 24
    assert film[:8] == [100] * 8 and film[9:15] == [0] * 6 and film[17:] == [100] * 7


def test_without_a_name_a_recording_is_called_by_date_and_time(in_folder):
    recordings = Recordings(None)
    show = Show(recordings)
    show.play(0.2, 50)
    recordings.toggle()
    show.play(0.5, 100)
    recordings.close()
    (name,) = [entry.name for entry in in_folder.iterdir()]
    assert re.fullmatch(r"neverblink-\d{4}-\d\d-\d\d-\d{6}\.mp4", name)


def test_a_recording_that_fails_stops_is_named_and_another_can_be_begun(in_folder, monkeypatch):
    take = Mp4.take

    def fail(film: Mp4, pixels: np.ndarray) -> None:
        if film.frames >= 8:
            raise OSError(28, "No space left on device")
        take(film, pixels)

    recordings = Recordings(Path("show.mp4"))
    show = Show(recordings)
    monkeypatch.setattr(Mp4, "take", fail)
    show.play(1, 50)
    wait_until(lambda: recordings.made[0].error is not None)
    show.play(0.1, 50)
    assert not recordings.is_on and recordings.seconds is None
    assert recordings.errors == ["the recording show.mp4 stopped after 0.5 s: No space left on device"]
    monkeypatch.setattr(Mp4, "take", take)
    recordings.toggle()
    show.play(1, 100)
    recordings.close()
    assert len(recordings.errors) == 1
    assert len(read(in_folder / "show-1.mp4")) == pytest.approx(16, abs=1)


def test_a_folder_that_cannot_be_written_is_an_error_of_the_recording(in_folder):
    recordings = Recordings(Path("nowhere/show.mp4"))
    Show(recordings).play(0.5, 50)
    recordings.close()
    assert recordings.errors == ["the recording stopped after 0.0 s: No such file or directory"]
    assert recordings.report() == []


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
    assert (trace.written, trace.lost, trace.trouble) == (0, 0, "")


@pytest.mark.skipif(os.name == "nt", reason="a folder opens differently there")
def test_a_trace_that_cannot_be_written_says_so_at_once(tmp_path):
    with pytest.raises(OSError):
        Trace(tmp_path)
