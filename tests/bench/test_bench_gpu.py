"""`bench gpu`: sections that stand by themselves, a table of all that was measured, and the whole at a tiny size."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.measure.gpu import command
from loop.measure.gpu.blocks import TimedStream, gather_times
from loop.measure.gpu.linears import measure_linears
from loop.measure.gpu.modes import (
    make_reference,
    measure_error,
    measure_overlap,
    measure_stages,
    measure_switches,
    relative_error,
)
from loop.measure.gpu.sections import SectionRun
from loop.measure.gpu.setting import GpuSetting, open_at_speed
from loop.measure.gpu.show import SWITCHES, _times, show_figures
from loop.measure.gpu.table import gpu_table
from loop.measure.report import Spread
from tests.support.traces import event, flips, recorded
from world.options import WorldOptions

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
CPU = torch.device("cpu")
WORLD = WorldOptions("random-wan-tiny", "cpu", 1, (16, 16))
SETTING = GpuSetting(CPU, torch.float32, WORLD, side=64, copy_mib=1, blocks=2)
EVERYTHING = ("one", "two", "three")


@pytest.fixture(scope="module")
def stream():
    stream = TimedStream(open_at_speed(WORLD, "exact"))
    stream.fill()
    yield stream
    stream.close()


def sections(wanted=EVERYTHING, budget_s=100.0):
    """A run, and what was written after each section."""
    written = []
    return SectionRun(wanted, budget_s, lambda figures: written.append(json.loads(json.dumps(figures)))), written


def fail():
    raise RuntimeError("out of memory\nand a long story")


def test_a_section_that_fails_is_noted_and_the_next_one_runs(caplog):
    run, _ = sections()
    assert run.section(("modes", "exact", "one"), 1, fail) is None
    assert run.section(("modes", "exact", "two"), 1, lambda: {"ms": 3}) == {"ms": 3}
    assert run.figures["failed"] == {"modes, exact, one": "RuntimeError: out of memory"}
    assert run.figures["modes"] == {"exact": {"two": {"ms": 3}}}
    assert "Traceback" in caplog.text


def test_all_there_is_is_written_after_each_section():
    run, written = sections()
    run.section(("one",), 1, lambda: 1), run.section(("two",), 1, fail)
    assert [figures.get("one") for figures in written] == [1, 1] and "two" in written[1]["failed"]


def test_what_does_not_fit_the_budget_is_skipped_and_it_is_said():
    run, _ = sections(budget_s=50)
    assert run.section(("one",), 60, fail) is None
    run.keep_s = 30
    assert run.section(("two",), 30, fail) is None
    assert run.section(("three",), 10, lambda: 3) == 3
    assert run.figures["skipped"] == {
        "one": "about 60 s do not fit any more: 0 of 50 s are spent",
        "two": "about 30 s do not fit any more: 0 of 50 s are spent",
    }


def test_what_was_not_asked_for_does_not_run():
    run, written = sections(wanted=("two",))
    assert run.section(("one",), 1, fail) is None and not written and run.wants("two")


def test_every_stage_of_a_block_is_timed(stream):
    found = measure_stages(stream, 3)
    stages = {"step 1", "step 2", "step 3", "step 4", "latents to the host", "decode", "upload", "clean pass"}
    assert set(found["ms"]) == stages | {"first frame", "block"} and set(found["shares"]) == stages
    assert 0.5 < sum(found["shares"].values()) < 1.5
    assert found["FPS"] == pytest.approx(12e3 / found["ms"]["block"].p50) and found["ms"]["block"].n == 3


def test_a_switch_costs_a_recache_and_one_beside_a_block_is_compared_with_none(stream):
    found = measure_switches(stream, 2)
    assert found["ms"]["recache"].n == 2 and found["ms"]["first frame"].p50 > found["ms"]["recache"].p50
    beside = measure_overlap(stream, 2)
    without, with_recache = (beside["ms"][name].p50 for name in ("two blocks", "two blocks and a recache"))
    assert beside["lost ms"] == pytest.approx(with_recache - without)
    assert stream.session.conditions.words == "words from aside, number 1"


def test_the_exact_way_has_no_error_and_another_one_shows(stream):
    reference = make_reference(stream.world)
    assert measure_error(stream.world, reference) == {"first block": 0.0, "full window": 0.0}
    other = open_at_speed(WORLD, "exact")
    next(other.dit.parameters()).data.mul_(1.1)
    assert min(measure_error(other, reference).values()) > 1e-4


def test_an_error_is_relative():
    assert relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)


def test_the_linear_layers_of_a_pass_are_called_alone(stream):
    found = measure_linears(SETTING, stream.world)
    assert found["TFLOP"] == pytest.approx(2 * 2 * 3 * (6 * 48 * 48 + 2 * 48 * 64) / 1e12)
    assert found["TFLOP/s"] == pytest.approx(found["TFLOP"] / found["ms"].p50 * 1e3)


def test_times_are_gathered_by_stage():
    assert gather_times([{"a": 1.0}, {"a": 2.0, "b": 3.0}]) == {"a": [1.0, 2.0], "b": [3.0]}


@pytest.mark.parametrize("seconds", [4.0, 60.0])
def test_switches_are_spread_over_the_show(seconds):
    times = _times(seconds)
    assert len(times) == SWITCHES and times == sorted(times) and times[0] >= 1.5 and times[-1] < seconds


def test_the_figures_of_a_show_come_from_its_trace():
    prompts = event(1, "prompt", pump=10, flip=40)
    found = show_figures(recorded(*flips(60), *prompts))
    assert found["flips"] == 60 and found["repeats"] == 0 and found["switches shown"] == 1
    assert found["prompt to pixel ms"].n == 1


def test_the_table_holds_what_was_measured_and_what_was_not():
    spread = Spread.of([2.0, 4.0])
    figures = {
        "seconds": 12.0,
        "ceilings": {"product": {"ms": spread, "TFLOP/s": 700.0}},
        "modes": {"exact": {"linears": {"ms": spread, "TFLOP/s": 490.0}}, "fp8": {"stages": {"FPS": 51.26}}},
        "failed": {"show": "ShowFailed: it ended"},
        "skipped": {"modes, fp8, vae": "too late"},
    }
    table = gpu_table({"device": "a device", "config": {"world": "random"}}, figures)
    assert "device: a device" in table and "| product | 4.00 / 4.00 | 700 TFLOP/s |" in table
    assert "| their share of the plain product | 70% | - |" in table and "| FPS with TAEHV | - | 51.3 |" in table
    assert "| recache |" not in table, "a row that nobody has is left out"
    assert "- failed: show: ShowFailed: it ended" in table and "- skipped: modes, fp8, vae: too late" in table


@without_gpu
def test_without_a_gpu_one_line_says_what_to_do(capsys):
    assert main(["bench", "gpu"]) == 2
    told = capsys.readouterr().err
    assert "torch sees no GPU here; --tiny runs the same" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--only", "ceilings,speed"], "one or more of ceilings,"), (["--speed", "warp"], "one or more of exact,")],
)
def test_a_wrong_section_or_speed_is_answered_with_those_there_are(options, told, capsys):
    assert main(["bench", "gpu", "--tiny", *options]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_holds_a_measurement_is_not_written_over(tmp_path, capsys):
    (tmp_path / "gpu.md").write_text("earlier")
    assert main(["bench", "gpu", "--tiny", "--out", str(tmp_path)]) == 2
    assert "has a gpu.md: choose another folder, or give --overwrite" in capsys.readouterr().err


def test_a_mode_that_cannot_be_opened_fails_and_the_exit_status_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "open_at_speed", lambda *options: fail())
    path = tmp_path / "gpu.json"
    assert main(["bench", "gpu", "--tiny", "--only", "stages,linears", "--json", str(path)]) == 1
    assert json.loads(path.read_text())["failed"] == {"modes, exact, open": "RuntimeError: out of memory"}


def test_the_budget_is_an_option():
    options = parse_command_line(["bench", "gpu", "--budget-s", "120", "--only", "show,first"])
    assert options.budget_s == 120 and options.only == ("show", "first") and options.speed is None


@pytest.mark.slow
def test_the_whole_command_runs_at_a_tiny_size(tmp_path, capsys):
    assert main(["bench", "gpu", "--tiny", "--seconds", "3", "--out", str(tmp_path / "out")]) == 0
    printed, written = capsys.readouterr().out, json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert (tmp_path / "out" / "gpu.md").read_text() in printed and (tmp_path / "out" / "show.jsonl").exists()
    assert written["failed"] == written["skipped"] == {}
    of_a_mode = {"open", "stages", "linears", "switch", "overlap", "error", "vae", "first"}
    assert set(written["modes"]["exact"]) == of_a_mode
    assert {"environment", "ceilings", "attention", "show"} <= set(written)
    assert written["show"]["flips"] > 0 and written["show"]["new frames"] > 0
    first = written["modes"]["exact"]["first"]
    assert 0 < first["imported"] < first["opened"] < first["first frame"] < first["window full"]
