import json

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.measure.model import bench_model
from loop.measure.model.bench_model import _time_blocks
from loop.measure.report import Spread, environment
from world.dit.config import DiTConfig
from world.dit.dit import CausalDiT
from world.options import WorldOptions
from world.wan.random import random_wan
from world.zoo import open_world


def test_percentiles_are_measured_values():
    spread = Spread.of([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (spread.n, spread.p50, spread.p95, spread.max) == (5, 3.0, 5.0, 5.0)


def test_the_head_of_a_benchmark_names_device_versions_and_commit():
    head = environment("a device")
    assert head["device"] == "a device" and "torch" in head["versions"] and head["commit"]


TINY = DiTConfig(dim=48, ffn_dim=64, text_dim=16, text_len=8, num_heads=2, num_layers=1)
CPU = torch.device("cpu")
FAST_DECODER = WorldOptions("random-wan", decoder="taehv")


def test_every_kind_of_pass_is_timed_once_the_window_is_full():
    times = _time_blocks(random_wan((2, 2), CPU, torch.float32, TINY, options=FAST_DECODER), blocks=4)
    assert {name: len(values) for name, values in times.items()} == {
        "recache": 1,
        "denoise": 4,
        "clean pass": 4,
        "decode": 4,
        "block without recache": 4,
    }
    assert all(value > 0 for values in times.values() for value in values)


def test_the_first_picture_is_timed_by_itself_where_each_is_drawn_by_itself():
    times = _time_blocks(open_world("small", device="cpu"), blocks=1)
    assert len(times["first picture"]) == len(times["decode"]) == 1


def test_a_single_block_is_enough_to_time_a_recache():
    times = _time_blocks(random_wan((2, 2), CPU, torch.float32, TINY, options=FAST_DECODER), blocks=1)
    assert len(times["recache"]) == 1


def test_random_worlds_of_one_geometry_are_alike():
    one, other = (random_wan((2, 4), CPU, torch.float32, TINY, options=FAST_DECODER) for _ in range(2))
    assert one.session(1, "a").step().digest == other.session(1, "a").step().digest
    assert one.session(1, "a").step().digest != one.session(1, "b").step().digest


def test_the_command_prints_what_it_measured_and_on_what(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("world.wan.random.DiTConfig", lambda: TINY)
    monkeypatch.setitem(bench_model.PRODUCT, "cpu", 64)
    path = tmp_path / "figures.json"
    told = ["--latent", "2x4", "--dtype", "bfloat16", "--decoder", "taehv", "--positions", "absolute", "--threads", "1"]
    assert main(["bench", "model", "--world", "wan-1.3b", *told, "--blocks", "1", "--json", str(path)]) == 0
    printed, written = capsys.readouterr().out, json.loads(path.read_text())
    assert all(name in printed for name in ("machine", "commit", "p95", "clean pass", "share of the product's rate"))
    assert written["environment"]["config"]["dtype"] == "bfloat16"
    assert "absolute positions" in written["environment"]["config"]["window"]
    figures = written["figures"]
    share = figures["TFLOP/s achieved in the denoising steps"] / figures["TFLOP/s of a plain product"]
    assert figures["share of the product's rate"] == pytest.approx(share)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--world", "probe"], "has no model to measure"),
        (["--world", "wan-1.3b", "--latent", "3x4"], "patches are 2x2, give even sides"),
        (["--world", "small", "--dtype", "bfloat16"], "--dtype is for a folder of checkpoints"),
    ],
)
def test_what_cannot_be_measured_is_told_on_one_line(options, expected, capsys):
    assert main(["bench", "model", *options]) == 2
    told = capsys.readouterr().err
    assert expected in told and told.count("\n") == 1


@pytest.mark.slow
def test_a_block_of_the_true_geometry_runs_in_bfloat16():
    world = random_wan((8, 8), CPU, torch.bfloat16)
    with torch.device("meta"):  # layers that are laid out for a CPU have no parameters
        assert sum(weight.numel() for weight in CausalDiT(world.config.dit).parameters()) == 1_418_996_800
    block = world.session(1, "a red fox").step()
    frames, _ = world.decoder.decode(world.decoder.start(), block.latents[:, :1])
    assert np.isfinite(block.latents).all() and block.latents.std() > 0.1 and frames.shape == (1, 64, 64, 3)
