import json

import pytest

from loop.cli.options import parse_command_line
from loop.measure.shows import bench_pace, trial
from tests.support.traces import event, flips, recorded

OPTIONS = parse_command_line(["bench", "pace", "--probe-pace-every", "20"])


def test_the_slow_show_has_one_speed_and_the_other_comes_back_to_its_first():
    shows = bench_pace.pace_shows(OPTIONS)
    paces = {name: parse_command_line(["play", *show.arguments]).probe_pace for name, show in shows.items()}
    assert paces == {"slow": (0.5,), "jumping": (2.0, 0.5, 2.0, 2.0)}
    assert not shows["slow"].script and shows["slow"].seconds > 40


def test_words_change_only_while_the_model_is_fast():
    show = bench_pace.pace_shows(OPTIONS)["jumping"]
    times = [entry["at_s"] for entry in show.script]
    assert any(at < 19 for at in times) and all(at < 20 or at > 20 + 40 for at in times)
    assert max(times) < show.seconds


def played(jump_s=4, back_s=8, end_s=40):
    """20 frames a second, two speeds for `jump_s` each: prompts take 100 ms before, 800 soon after, 110 in the end."""
    events = []
    for number, (at_s, took_ms) in enumerate([(1, 100), (2, 100), (9, 800), (30, 110), (31, 110), (32, 110)]):
        events += event(number, "prompt", pump=at_s * 1000, flip=at_s * 1000 + took_ms)
    lines = [{**line, "due_ns": round(line["frame"] * 50e6)} for line in flips(end_s * 60)]
    return recorded(*lines, *events)


def test_latency_is_told_before_the_jump_soon_after_it_and_later():
    told = bench_pace.latency_by_phase(played(), every_s=4)
    assert {name: (s.n, s.p50) for name, s in told.items() if name != "longer"} == {
        "before": (2, 100.0),
        "12 s after": (1, 800.0),
        "later": (3, 110.0),
    }
    assert told["longer"]["value"] == pytest.approx(10)


def test_both_shows_are_told_and_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(trial, "run_show_with_retry", lambda show: played())
    options = parse_command_line(["bench", "pace", "--probe-pace-every", "4", "--json", str(tmp_path / "pace.json")])
    assert bench_pace.run_pace_bench(options) == 0
    told, written = capsys.readouterr().out, json.loads((tmp_path / "pace.json").read_text())
    assert "slow: 100.00% of the new frames at the first tick due (99 %: reached)" in told
    assert "it takes 10.0 (10.0 to 10.0) ms longer than before" in told
    assert written["jumping"]["on time"] == 1.0 and written["jumping"]["late after s"] == []


def test_frames_too_late_are_told_by_their_second(capsys):
    late = [{**line, "due_ns": round(line["frame"] * 50e6)} for line in flips(600, lambda t: t // 3 - (t == 300))]
    bench_pace.print_pace_figures("slow", bench_pace.pace_figures(recorded(*late)))
    told = capsys.readouterr().out
    assert "late: after 5.0 s" in told and "99.50%" in told
