"""The golden numbers of the reference, through our own classes; and proof that a wrong number is noticed."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conformance import Verdict, cases, measure
from tests.conformance.__main__ import main

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", cases(GOLDEN), ids=lambda path: path.stem)
def test_the_golden_numbers_are_reproduced(path):
    with torch.no_grad():
        verdict = measure(path)
    assert verdict.passed, verdict.errors


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("a1_cached_w9_s3_b3", "out"),
        ("a5_relrope_w9_s3_b3", "final.v.0"),
        ("b_uncached", "tf.aug.out"),
        ("c_scheduler", "shift5.warped.a"),
        ("d1_interactive_w9_s3_b3", "keep.latents"),
    ],
)
def test_one_wrong_number_fails(name, tensor, tmp_path, capsys):
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    tensors[tensor].flatten()[-1] += 0.01
    save_file(tensors, tmp_path / f"{name}.safetensors")
    (tmp_path / f"{name}.json").write_text((GOLDEN / f"{name}.json").read_text())
    assert main([str(tmp_path)]) == 1
    line, summary = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{name} ") and line.endswith(" FAIL") and summary == "0 passed, 1 failed"


def test_a_wrong_pointer_fails(tmp_path):
    case = json.loads((GOLDEN / "a1_cached_w9_s3_b3.json").read_text())
    case["calls"][-1]["local_end_index"] -= 6
    (tmp_path / "a.json").write_text(json.dumps(case))
    (tmp_path / "a.safetensors").write_bytes((GOLDEN / "a1_cached_w9_s3_b3.safetensors").read_bytes())
    with torch.no_grad():
        assert measure(tmp_path / "a.json").worst == 6


def test_a_case_without_its_tensors_fails(tmp_path, capsys):
    (tmp_path / "a.json").write_text((GOLDEN / "c_scheduler.json").read_text())
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"


def test_comparing_nothing_or_not_a_number_fails():
    assert not Verdict("a", "kind", {}, 1.0).passed
    assert Verdict("a", "kind", {"x": math.nan, "y": 0.0}, 1.0).worst == math.inf


@pytest.mark.parametrize("arguments", [[], ["/nowhere"], ["a", "b"]])
def test_nothing_to_run_is_a_mistake_of_usage(arguments, capsys):
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
