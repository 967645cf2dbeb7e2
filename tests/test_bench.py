import torch

from loop.bench import Spread, environment
from loop.bench_model import _time_blocks
from world.config import DiTConfig
from world.random import random_wan


def test_percentiles_are_measured_values():
    spread = Spread.of([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (spread.n, spread.p50, spread.p95, spread.max) == (5, 3.0, 5.0, 5.0)


def test_the_head_of_a_benchmark_names_device_versions_and_commit():
    head = environment("a device")
    assert head["device"] == "a device" and "torch" in head["versions"] and head["commit"]


def test_every_kind_of_pass_is_timed_once_the_window_is_full():
    tiny = DiTConfig(dim=48, ffn_dim=64, text_dim=16, text_len=8, num_heads=2, num_layers=1)
    times = _time_blocks(random_wan((2, 2), torch.device("cpu"), torch.float32, tiny), blocks=4)
    assert {name: len(values) for name, values in times.items()} == {
        "recache": 1,
        "denoise": 4,
        "clean pass": 4,
        "decode": 4,
        "block without recache": 4,
    }
    assert all(value > 0 for values in times.values() for value in values)
