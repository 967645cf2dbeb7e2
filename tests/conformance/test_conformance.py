"""The golden numbers of the reference, through our own classes; and proof that a wrong number is noticed."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conformance import KINDS, Verdict, cases, causal, interactive, load, measure, uncached
from tests.conformance.__main__ import main
from world.dit import attend
from world.dit.speed import pack_layers

GOLDEN = Path(__file__).parent.parent / "golden"
RELATIVE = "a5_relrope_w9_s3_b3"
GIVEN = {  # what is not compared, by kind: weights and inputs
    "causal_dit_cached": ("sd.", "context", "x", "t"),
    "dit_uncached": ("sd.", "x", "clean_x", "context", "bidir.t", "causal.t"),
    "scheduler": ("shift5.x0", "shift5.noise", "shift5.flow", "shift5.t", "shift5.score_t_raw"),
    "interactive": ("sd.", "noise", "renoise", "prompts"),
    "wan_vae": ("sd.", "latents", "video"),
    "taehv": ("sd.", "latents", "video"),
    "umt5_encoder": ("sd.", "ids", "mask"),
    "dmd_loss": (
        "fake.",
        "x",
        "noise",
        "context",
        "uncond",
        "raw_t",
        "critic.noise",
        "critic.t",
        "x0_real_cond",
        "x0_real_uncond",
    ),
}


def measured(path: Path, device: str = "cpu") -> Verdict:
    with torch.no_grad():
        return measure(path, device)


def outputs(tensors: dict[str, torch.Tensor], kind: str) -> list[str]:
    given = GIVEN[kind]
    return [
        name for name in tensors if name not in given and not name.startswith(tuple(g for g in given if g[-1] == "."))
    ]


def copied(name: str, folder: Path) -> Path:
    """A copy of a golden case in `folder`, to be bent: its .json."""
    for ending in (".json", ".safetensors"):
        shutil.copyfile(GOLDEN / f"{name}{ending}", folder / f"{name}{ending}")
    return folder / f"{name}.json"


@pytest.mark.parametrize("path", cases(GOLDEN), ids=lambda path: path.stem)
def test_the_golden_numbers_are_reproduced(path):
    verdict = measured(path)
    assert verdict.passed and verdict.worst < 1e-5, verdict.errors


@pytest.mark.parametrize("name", [RELATIVE, "b_uncached", "d1_interactive_w9_s3_b3"])
def test_the_golden_numbers_are_reproduced_by_layers_as_a_cpu_plays_them(name, monkeypatch):
    packed, build = [], uncached.build

    def build_packed(tensors, case):
        dit = build(tensors, case)
        pack_layers(dit, tokens=12)
        packed.append(dit)
        return dit

    for kind in (causal, interactive, uncached):
        monkeypatch.setattr(kind, "build", build_packed)
    monkeypatch.setattr(attend, "MANY", 1)  # as if every attention were a large one
    verdict = measured(GOLDEN / f"{name}.json")
    assert packed and verdict.passed and verdict.worst < 1e-5, verdict.errors


@pytest.mark.parametrize("path", cases(GOLDEN), ids=lambda path: path.stem)
def test_the_golden_numbers_are_reproduced_on_a_gpu(cuda, path, without_tf32):
    verdict = measured(path, "cuda")
    # the scheduler's case allows less than the last bit of a timestep, 6e-5, and a GPU rounds twice in its own way
    limit = 2e-4 if verdict.kind == "scheduler" else verdict.tolerance
    assert verdict.worst <= limit, verdict.errors


def test_every_kind_has_a_case_and_they_stay_small():
    assert {json.loads(path.read_text())["kind"] for path in cases(GOLDEN)} == set(KINDS)
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 6_000_000


@pytest.mark.parametrize("path", cases(GOLDEN), ids=lambda path: path.stem)
def test_each_output_of_a_case_is_noticed_when_it_is_wrong(path, tmp_path):
    tensors, case = load(path)
    expected = outputs(tensors, case["kind"])
    for name in expected:
        tensors[name] = tensors[name].clone()
        tensors[name].view(-1)[-1] += 0.01
    bent = copied(path.stem, tmp_path)
    save_file(tensors, bent.with_suffix(".safetensors"))
    verdict = measured(bent)
    assert [name for name in expected if not verdict.errors[name] > verdict.tolerance] == []


def test_one_wrong_number_fails_and_says_where(tmp_path, capsys):
    bent = copied(RELATIVE, tmp_path).with_suffix(".safetensors")
    tensors = load_file(bent)
    tensors["final.v.0"].view(-1)[-1] += 0.01
    save_file(tensors, bent)
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr()
    line, summary = told.out.splitlines()
    assert line.startswith(f"{RELATIVE} causal_dit_cached 1.0") and line.endswith(" FAIL")
    assert summary == "0 passed, 1 failed"
    assert told.err.startswith(f"{RELATIVE}: final.v.0 is off by 1.0") and len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "where", "error"),
    [
        (RELATIVE, ("calls", -1, "local_end_index"), 6),
        ("d1_interactive_w9_s3_b3", ("pointers_after_switch", "recache_gs1.0", "global_end_index"), 6),
        ("d1_interactive_w9_s3_b3", ("denoising_timesteps", 1), 6),
        ("d1_interactive_w9_s3_b3", ("actual_switch_frames", 0), 6),
        ("e_wan_vae", ("stream_chunk_frames", 2), 1),
        ("f_taehv", ("config", "frames_per_chunk", 0), 1),
        ("g_umt5", ("config", "lens", 1), 1),
    ],
)
def test_a_wrong_number_in_the_description_fails(name, where, error, tmp_path):
    path = copied(name, tmp_path)
    case = json.loads(path.read_text())
    place = case
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] -= 6
    path.write_text(json.dumps(case))
    assert measured(path).worst == error


def test_what_a_case_leaves_out_is_not_asked_for(tmp_path):
    path = copied("e_wan_vae", tmp_path)
    tensors = load_file(path.with_suffix(".safetensors"))
    for name in ("video", "encode.latents"):
        del tensors[name]
    save_file(tensors, path.with_suffix(".safetensors"))
    assert set(measured(path).errors) == {"decode.raw", "stream", "stream_chunk_frames"}


def test_a_case_that_cannot_be_run_is_told_and_counted_and_the_others_run(tmp_path, capsys):
    copied("c_scheduler", tmp_path)
    (tmp_path / "d.json").write_text('{"kind": "weather"}')
    (tmp_path / "e.json").write_text('{"kind": "taehv", "config": {}}')
    (tmp_path / "f.json").write_text("{")
    save_file({"x": torch.zeros(1)}, tmp_path / "g.safetensors")
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr()
    *lines, summary = told.out.splitlines()
    assert [line.split()[0::4] for line in lines] == [["c_scheduler", "ok"], *([name, "FAIL"] for name in "defg")]
    assert [line.split()[1] for line in lines] == ["scheduler", "weather", "taehv", "?", "?"]
    assert summary == "1 passed, 4 failed"
    reasons = told.err.splitlines()
    assert [reason.split(":")[0] for reason in reasons] == ["d", "e", "f", "g"]
    assert "unknown kind 'weather': expected one of causal_dit_cached" in reasons[0] and "Traceback" not in told.err


def test_comparing_nothing_or_not_a_number_fails():
    assert not Verdict("a", "kind", {}, 1.0).passed
    assert Verdict("a", "kind", {"x": math.nan, "y": 0.0}, 1.0).worst == math.inf


@pytest.mark.parametrize("arguments", [[], ["/nowhere"], ["a", "b"]])
def test_nothing_to_run_is_a_mistake_of_usage(arguments, capsys):
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
