"""The ledger summed up: what is injected, what the figures are made of, what is printed, and one short real run."""

import argparse
import json
import os
import random
import re
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from loop.cli.world_options import add_world_options
from loop.measure.latency import run as latency
from loop.measure.latency import shows as latency_shows
from loop.measure.latency.shows import LatencyMeasurement
from loop.measure.shows import bench_loop, bench_soak, bench_switch, trial
from loop.measure.shows.bench_switch import SwitchSetting
from loop.measure.shows.bound import Bound, bound_of
from tests.support.traces import blocks, event, flips, recorded

BOUND = Bound(half_block=100.0, recache=50.0, block=80.0, first_decode=5.0, tick=20.0)
SWITCHED = {"pump": 500, "submit": 501, "encoded": 502, "take": 520, "recached": 570, "denoised": 650, "decoded": 655}


def switched(number, pump_ms=500, flip_ms=700, kind="prompt"):
    """A switch with all its stages; they keep their distances from `pump_ms`."""
    stamps = {stage: t + pump_ms - 500 for stage, t in SWITCHED.items()}
    return event(number, kind, **stamps, uploaded=flip_ms - 1, flip=flip_ms)


def measured():
    events = [*switched(1), *switched(2, 900, 1150), *event(3, "scene", pump=1300, flip=1500)]
    live = recorded(*flips(300), *events)
    return LatencyMeasurement((live,), BOUND, [float(n) for n in range(1, 18)])


def test_the_bound_is_half_a_block_and_what_an_idle_worker_takes():
    idle = bound_of(recorded(*flips(60), *switched(1), *switched(2, 900, 1150)))
    assert (idle.half_block, idle.recache, idle.block, idle.first_decode) == (100.0, 50.0, 80.0, 5.0)


def test_only_a_prompt_needs_a_recache_and_the_display_no_model():
    kinds = ("prompt", "scene", "dial", "display dial")
    assert [BOUND.of(kind) for kind in kinds] == [255.0, 205.0, 205.0, 20.0]


def test_every_kind_of_event_is_injected_with_other_words_each_time():
    idle = recorded(*flips(60))
    idle.header.update(dials={"zoom": [-1.0, 1.0], "pan": [0.0, 2.0], "steps": [1, 8], "grip": [0.0, 1.0]})
    show = latency_shows._live_show(parse_command_line(["latency", "--trials", "40", "--world", "probe"]), idle, BOUND)
    words = [entry.get("prompt", entry.get("scene")) for entry in show.script if "dial" not in entry]
    assert [sum(kind in entry for entry in show.script) for kind in ("prompt", "scene", "dial")] == [40, 40, 80]
    assert all(before != after for before, after in pairwise(words))
    turned = {(entry["dial"], entry["value"]) for entry in show.script if "dial" in entry}
    assert {("zoom", -1.0), ("zoom", 1.0), ("pan", 0.0), ("pan", 2.0)} < turned
    assert not {name for name, _ in turned} & {"steps", "grip"}, "these change what a block costs"


def test_without_a_switch_on_the_screen_there_is_no_bound():
    with pytest.raises(ChildProcessError, match="too slow"):
        bound_of(recorded(*flips(60)))


def test_each_kind_of_event_has_its_table_and_stands_beside_its_bound(capsys):
    latency.print_latency(measured())
    told = capsys.readouterr().out
    assert "prompt: 2 of 2 reached the screen" in told and "scene: 1 of 1 reached the screen" in told
    assert "the median is 0.98 of it" in told  # 250 ms of 255
    assert "this world has no dials of its own" in told and "a bare loop" in told


def test_an_event_that_never_arrived_is_told(capsys):
    live = recorded(*flips(300), *switched(1), *event(2, "prompt", pump=800, replaced=900))
    latency.print_latency(LatencyMeasurement((live,), BOUND, [1.0]))
    assert "prompt: 1 of 2 reached the screen" in capsys.readouterr().out


def test_the_figures_can_be_written_as_json():
    figures = latency.latency_figures(measured())
    assert figures["prompt"]["stages"]["pump to flip"].n == 2 and figures["bare loop"]["n"] == 17
    assert figures["prompt"]["median over bound"] == pytest.approx(250 / 255)
    assert figures["picture"]["repeats"] == 0


def test_the_page_needs_nothing_from_elsewhere():
    page = pytest.importorskip("loop.measure.latency.page")
    pytest.importorskip("matplotlib", reason="pip install 'neverblink[plot]'")
    page.check_plotting()
    written = page.latency_page({"device": "a <fast> one", "versions": {"python": "3"}}, measured())
    assert written.count("<svg") == 5 and "a &lt;fast&gt; one" in written and "250.00" in written
    assert not re.search(r'(src|href)="(?!#)|@import|url\((?!#)', written)


def test_pictures_without_the_library_for_them_get_one_clear_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["latency", "--world", "probe", "--html", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err.strip() == "neverblink: --html needs matplotlib: pip install 'neverblink[plot]'"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["latency", "--trials", "0"], "whole number from 1"),
        (["latency", "--html", "page.pdf"], "ends in .html"),
        (["latency", "--switch", "fast"], "invalid choice"),
        (["latency", "--script", "a.jsonl"], "unrecognized arguments"),
        (["latency", "--world", "atlantis"], "unknown world 'atlantis'"),
        (["bench"], "required"),
        (["bench", "dance"], "invalid choice"),
        (["bench", "switch", "--reserve", "0,x"], "whole number from 0"),
        (["bench", "soak", "--minutes", "0"], "number of minutes"),
        (["bench", "pace", "--world", "small"], "bench pace plays the test card at two speeds"),
        (["bench", "pace", "--probe-pace", "2"], "bench pace plays the test card at two speeds"),
        (["bench", "loop", "--seconds", "1"], "number of seconds from 3"),
        (["bench", "loop", "--inputs", "--osc abc"], "--inputs: argument --osc: got 'abc'"),
        (["bench", "save", "--inputs", "--osc 9000"], "unrecognized arguments: --inputs"),
        (["latency", "--against", "auto"], "--against auto compares auto with itself"),
        (["bench", "leap", "--between-steps", "--out", "a.png"], "--between-steps makes no show: leave out --out"),
        (["bench", "leap", "--between-steps", "--window"], "--between-steps makes no show: leave out --window"),
        (["bench", "leap", "--between-steps", "--prompt", "red"], "--between-steps has prompts of its own"),
    ],
)
def test_a_mistake_gets_one_clear_line_and_status_2(argv, told, capsys):
    assert main(argv) == 2
    err = capsys.readouterr().err.strip()
    assert told in err and "\n" not in err


def test_the_plain_engine_is_accepted_and_not_offered(capsys):
    assert parse_command_line(["--switch", "plain"]).switch == "plain"
    with pytest.raises(SystemExit):
        parse_command_line(["play", "--help"])
    assert "plain" not in capsys.readouterr().out


def test_every_measurement_has_costs_to_hide_and_a_show_has_none():
    assert parse_command_line(["bench", "switch", "--world", "probe"]).probe_recache_ms == 120.0
    assert parse_command_line(["--world", "probe"]).probe_recache_ms == 0.0


def test_moments_are_random_and_keep_their_distance():
    times = trial.random_times(random.Random(1), 50, 0.8, 0.5)
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] > trial.WARM_S + 0.8 and len(set(gaps)) > 40
    assert all(0.8 <= gap <= 1.3001 for gap in gaps)
    assert times == trial.random_times(random.Random(1), 50, 0.8, 0.5)


def test_words_always_differ_from_those_before():
    words = [entry["prompt"] for entry in trial.prompt_script(range(20))]
    assert all(before != after for before, after in pairwise(words))


def test_every_option_of_the_world_reaches_the_show():
    asked = [
        "--world",
        "probe",
        "--device",
        "cpu",
        "--seed",
        "5",
        "--prompt",
        "red",
        "--threads",
        "2",
        "--speed",
        "int8",
    ]
    asked += ["--picture", "64x48", "--sink", "0", "--steps", "first:4,then:2", "--positions", "absolute", "--dtype"]
    asked += ["float32", "--decoder", "taehv", "--text-device", "offload", "--ranks", "2", "--probe-fps", "12"]
    asked += [
        "--probe-frames",
        "6",
        "--probe-block-ms",
        "70",
        "--probe-recache-ms",
        "60",
        "--probe-busy",
        "--probe-latents",
        "3",
        "--carry",
        "3",
        "--sink-ema",
        "0.99,0.9",
        "--press",
        "2",
    ]
    asked += ["--memory-slots", "1"]
    options = parse_command_line(["latency", *asked, "--probe-pace", "2,0.5", "--probe-pace-every", "5"])
    shown = parse_command_line(["play", *trial.play_arguments(options)])
    of_worlds, defaults = argparse.ArgumentParser(), parse_command_line(["play"])
    add_world_options(of_worlds)
    for name in vars(of_worlds.parse_args([])):
        assert vars(options)[name] != vars(defaults)[name], f"this test leaves {name} as it is"
        assert vars(shown)[name] == vars(options)[name]
    assert shown.headless and not parse_command_line(["play", *trial.play_arguments(with_window(options))]).headless


def with_window(options):
    return argparse.Namespace(**vars(options) | {"window": True})


def test_a_show_that_fails_ends_the_measurement_with_its_own_last_words(capsys):
    show = trial.Show(("--world", "probe", "--headless", "--probe-fps", "0"), (), 1.0)
    with pytest.raises(ChildProcessError, match="status 2: neverblink: probe at 0 fps"):
        trial.run_show(show)


def failing(times, monkeypatch, recording):
    """Let `run_show` fail so often before it gives `recording`."""
    failures = iter([True] * times)

    def run_show(show, watch=None):
        if next(failures, False):
            failure = trial.ShowFailed("the show ended with status 1: out of luck")
            failure.recording = recording
            raise failure
        return recording

    monkeypatch.setattr(trial, "run_show", run_show)


def test_a_segment_that_fails_is_run_once_more_and_then_left_out(monkeypatch, caplog):
    trace = recorded(*flips(60))
    failing(1, monkeypatch, trace)
    assert trial.try_show(trial.Show((), (), 1.0)) is trace
    assert "out of luck; once more" in caplog.text
    failing(2, monkeypatch, trace)
    assert trial.try_show(trial.Show((), (), 1.0)) is None
    assert "going on without it" in caplog.text


def test_what_a_failed_soak_has_shown_is_counted_and_its_end_is_a_fault(monkeypatch):
    failing(1, monkeypatch, recorded(*flips(60)))
    saved = trial.run_show_keeping_part(trial.Show((), (), 1.0))
    assert len(saved.flips) == 60 and "out of luck" in saved.faults[-1]["what"]
    failing(1, monkeypatch, None)
    with pytest.raises(trial.ShowFailed):
        trial.run_show_keeping_part(trial.Show((), (), 1.0))


def test_a_switch_measurement_outlives_a_lost_segment_and_writes_after_each_round(monkeypatch, tmp_path):
    told = tmp_path / "switch.json"
    options = parse_command_line(["bench", "switch", "--world", "probe", "--switches", "20", "--json", str(told)])
    settings, shows, written = 6, [], []  # plain and five modes
    trace = recorded(*flips(300), *switched(1, 1600, 1800), *blocks(range(25)))

    def try_show(show):
        shows.append(show)
        written.append(told.exists())
        return None if len(shows) == 2 else trace

    monkeypatch.setattr(trial, "try_show", try_show)
    monkeypatch.setattr(bench_switch, "measure_idle", lambda options: (trace, BOUND))
    assert bench_switch.run_switch_bench(options) == 0
    assert written == [False] * settings + [True] * settings
    rows = json.loads(told.read_text())["settings"]
    assert {row["switches"] for row in rows.values()} == {1, 2} and len(rows) == settings


def test_an_interrupted_measurement_says_so_on_one_line(monkeypatch, capsys):
    def interrupt(show, watch=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "run_show", interrupt)
    assert main(["bench", "soak", "--world", "probe"]) == 130
    assert capsys.readouterr().err == "neverblink: interrupted\n"


def switch_recordings():
    """Of inline one late, held switch and one in time; snap sooner; plain with repeats."""
    inline = recorded(*flips(300), *switched(1), *switched(2, 1500, 1750), *blocks(range(20)))
    snap = recorded(*flips(300), *switched(1, 500, 600), *switched(2, 1500, 1610), *blocks(range(20)))
    held = flips(
        300, lambda tick: tick // 3 if tick < 40 else max(13, tick // 3 - 4), repeat=lambda tick: 42 < tick < 52
    )
    plain = recorded(*held, *switched(1), *blocks(range(20)))
    return {SwitchSetting("plain", 0): [plain], SwitchSetting("inline", 0): [inline], SwitchSetting("snap", 0): [snap]}


def test_each_mode_is_compared_with_inline_at_the_same_reserve():
    rows = bench_switch.switch_rows(switch_recordings())
    assert rows[SwitchSetting("snap", 0)].against_inline.value == pytest.approx(-120.0)
    assert (
        rows[SwitchSetting("inline", 0)].against_inline is None
        and rows[SwitchSetting("plain", 0)].against_inline is None
    )


def test_what_the_plain_engine_loses_shows_in_its_row(capsys):
    rows = bench_switch.switch_rows(switch_recordings())
    plain, snap = rows[SwitchSetting("plain", 0)], rows[SwitchSetting("snap", 0)]
    assert (
        plain.picture.repeats == 9
        and not plain.picture.has_no_repeats
        and plain.frames_lost == pytest.approx(4, abs=0.1)
    )
    assert snap.picture.has_no_repeats and snap.frames_lost == pytest.approx(0, abs=0.1)
    bench_switch.print_switch_rows(rows, BOUND)
    lines = {line[:20].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert " no " in lines["plain, reserve 0"] and " yes " in lines["snap, reserve 0"]
    assert json.dumps(bench_switch.switch_figures(rows, BOUND))


def test_every_mode_has_a_row_at_every_reserve_and_the_plain_engine_one():
    assert len(bench_switch.switch_settings((0, 1, 2))) == 16


def test_unfinished_blocks_count_beside_those_that_nobody_saw():
    lines = [line | {"abandoned": int(line["block"] == 3)} for line in blocks(range(19))]
    rows = bench_switch.switch_rows({SwitchSetting("snap", 0): [recorded(*flips(300), *switched(1), *lines)]})
    assert rows[SwitchSetting("snap", 0)].abandoned_blocks == pytest.approx(1 / 20)


def test_the_loop_is_compared_by_its_slowest_flips(capsys):
    slow = recorded(*(line for line in flips(600) if line["tick"] % 50 != 1))
    pairs = [
        bench_loop.SegmentPair(recorded(*flips(600)), recorded(*flips(600))),
        bench_loop.SegmentPair(slow, recorded(*flips(600))),
    ]
    assert [pair.p99_ratio for pair in pairs] == [pytest.approx(1.0, abs=1e-3), pytest.approx(2.0, abs=1e-3)]
    ratio = bench_loop.median_p99_ratio(pairs)
    assert ratio.low == pytest.approx(1.0, abs=1e-3) and ratio.high == pytest.approx(2.0, abs=1e-3)
    bench_loop.print_loop_figures(bench_loop.loop_figures(pairs))
    assert "median ratio of p99 (95 %, bootstrap over segments): 1.500 (1.000 to 2.000)" in capsys.readouterr().out


def test_the_show_with_its_inputs_is_compared_with_the_same_show_without_them(monkeypatch):
    shows = []
    monkeypatch.setattr(bench_loop.trial, "try_show", lambda show: shows.append(show) or recorded(*flips(600)))
    asked = ["bench", "loop", "--world", "probe", "--segments", "1", "--inputs", "--osc 9000 --map 'my map.toml'"]
    bench_loop.run_loop_bench(parse_command_line(asked))
    with_them, without = shows
    assert with_them.arguments == (*without.arguments, "--osc", "9000", "--map", "my map.toml")
    assert (with_them.script, with_them.module) == (without.script, "loop")


@pytest.mark.parametrize("text", ["", "osc 9000", "--map 'my map.toml"])
def test_inputs_that_are_no_options_are_refused(text):
    with pytest.raises(UsageError, match="expected options of play"):
        parse_command_line(["bench", "loop", f"--inputs={text}"])


def test_memory_grows_by_what_the_end_holds_more_than_the_beginning():
    warm = [50] * 60
    assert bench_soak.memory_growth([*warm, *[100] * 50, *[102] * 50], 60) == pytest.approx(0.02)
    assert bench_soak.memory_growth([*warm, *[100] * 100], 60) == 0.0
    assert bench_soak.memory_growth([100] * 64, 60) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_process_without_a_model_is_its_own():
    memory = bench_soak.ResidentMemory()
    memory.sample(os.getpid())
    assert list(memory.samples) == ["window's process"] and memory.samples["window's process"][0] > 2**20


def test_a_display_dial_that_did_not_arrive_is_told():
    shown = [*event(1, "dial", pump=10, flip=40), *event(2, "dial", pump=20, replaced=30)]
    lost, kept = recorded(*flips(3), *shown), recorded(*flips(3), *shown, *event(3, "dial", pump=30, flip=60))
    lost, kept = (replace(trace, events=[of_the_display(e) for e in trace.events]) for trace in (lost, kept))
    lost, kept = bench_soak.last_dial(lost), bench_soak.last_dial(kept)
    assert not lost["shown"] and kept["shown"] and (kept["set"], kept["applied"]) == (3, 2)


def of_the_display(followed):
    return replace(followed, kind="display dial")


def test_a_world_dial_has_arrived_when_the_newest_picture_was_made_under_its_value():
    def soaked(*values):
        made = [line | {"dials": {"zoom": value}} for line, value in zip(blocks(range(9)), values, strict=False)]
        return bench_soak.last_dial(recorded(*flips(60), *event(1, "dial", pump=10, flip=40), *made))

    on_its_way, there = soaked(0.0, 0.1, 0.2, 0.3, 0.4, 0.5), soaked(0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
    assert (on_its_way["reached"], on_its_way["shown"]) == (0.4, False)  # block 4 is the newest on the screen
    assert (there["reached"], there["shown"]) == (0.5, True)


def test_a_soak_is_summed_up(capsys):
    events = [*event(1, "dial", pump=3000, flip=3040), *switched(2, 4000, 4200)]
    events += [line | {"dials": {"zoom": 0.5}} for line in blocks(range(300))]
    lines = flips(60 * 60, age_ms=lambda tick: 100.0 + tick % 7)
    memory = bench_soak.ResidentMemory({"window's process": [2**20] * 60})
    result = bench_soak.soak_figures(recorded(*lines, *events), memory, every_s=3.0)
    bench_soak.print_soak_figures(result)
    told = capsys.readouterr().out
    assert "growth +0.00%" in told and "faults: none" in told and "its last value +0.500 applied and shown" in told
    assert abs(result["queue age slope, ms a minute"]["value"]) < 1 and result["picture"]["smooth"]


def test_a_soaks_dial_moves_sixty_times_a_second_from_end_to_end():
    options = parse_command_line(["bench", "soak", "--minutes", "0.5", "--every", "3"])
    show = bench_soak._soak_show(options, ("zoom", -1.0, 1.0))
    turns = [entry for entry in show.script if "dial" in entry]
    assert len(turns) == 1800 and len(show.script) == 1810
    assert min(entry["value"] for entry in turns) < -0.99 and max(entry["value"] for entry in turns) > 0.99


@pytest.mark.slow
def test_latency_of_the_test_card_is_measured_and_written(tmp_path, capsys):
    told = tmp_path / "latency.json"
    assert main(["latency", "--world", "probe", "--trials", "3", "--json", str(told)]) == 0
    figures = json.loads(told.read_text())
    assert figures["prompt"]["stages"]["pump to flip"]["n"] == 3 and figures["scene"]["injected"] == 3
    assert 0 < figures["bare loop"]["pump to flip"]["p50"] < figures["prompt"]["stages"]["pump to flip"]["p50"]
    assert "bound" in capsys.readouterr().out
