"""Checkpoint files: found, read without running code, checked by name, and put into a model without a copy."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from world.checkpoint import fill, merge_lora, need, only_tensors, read
from world.info import WorldError

CPU = torch.device("cpu")


class Harm:
    """Runs a command when a careless reader unpickles it."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


def saved(path: Path, content: object, **options) -> Path:
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path, **options)
    return path


def cut(path: Path, left: int) -> Path:
    path.write_bytes(path.read_bytes()[:left])
    return path


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.safetensors"])
def test_what_was_saved_is_read(tmp_path, name):
    weight = torch.randn(3, 4)
    assert torch.equal(read(saved(tmp_path / name, {"w": weight}))["w"], weight)


def test_files_of_the_older_kind_are_read(tmp_path):
    path = saved(tmp_path / "a.pt", {"w": torch.ones(2)}, _use_new_zipfile_serialization=False)
    assert torch.equal(read(path)["w"], torch.ones(2))


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("left", [0, 100, 900])
def test_a_file_that_is_cut_short_says_so_in_one_line(tmp_path, name, left):
    path = cut(saved(tmp_path / name, {"w": torch.randn(20, 20)}), left)
    with pytest.raises(WorldError, match=rf"{name} cannot be read \({left} bytes\): it is cut short") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_page_saved_in_place_of_a_checkpoint_says_so(tmp_path):
    path = tmp_path / "a.pt"
    path.write_text("<html>not found</html>")
    with pytest.raises(WorldError, match="cut short or not a checkpoint"):
        read(path)


def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "a.pt", {"generator": Harm()})
    with pytest.raises(WorldError, match=r"holds Python code \(.*mkdir\), not only tensors; it was not run") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harmed").exists()


def test_a_missing_file_says_where_was_looked(tmp_path):
    with pytest.raises(WorldError, match=r"has no a\.pt: looked for models/a\.pt, a\.pt"):
        need(tmp_path, ("models", "."), "a.pt")


def test_the_first_place_that_has_a_file_wins(tmp_path):
    (tmp_path / "models").mkdir()
    for place in (".", "models"):
        (tmp_path / place / "a.pt").touch()
    assert need(tmp_path, ("models", "."), "a.pt") == tmp_path / "models" / "a.pt"


def test_weights_are_taken_over_without_a_copy():
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    tensors = {"weight": torch.randn(2, 3), "bias": torch.randn(2)}
    fill(layer, tensors, Path("a.pt"), torch.float32, CPU)
    assert layer.weight.data_ptr() == tensors["weight"].data_ptr()
    assert not layer.weight.requires_grad and not layer.training


def test_weights_take_the_dtype_that_was_asked_for():
    layer = nn.Linear(3, 2)
    fill(layer, {"weight": torch.randn(2, 3), "bias": torch.randn(2)}, Path("a.pt"), torch.bfloat16, CPU)
    assert layer.weight.dtype == layer.bias.dtype == torch.bfloat16


def test_names_that_do_not_fit_are_listed_by_kind_and_nothing_is_loaded():
    layer = nn.Linear(3, 2)
    before = layer.weight.clone()
    wrong = {"weight": torch.zeros(3, 3), **{f"extra.{i}": torch.zeros(1) for i in range(5)}}
    with pytest.raises(WorldError) as caught:
        fill(layer, wrong, Path("a.pt"), torch.float32, CPU)
    assert str(caught.value) == (
        "a.pt does not fit the model: 1 missing: bias; 5 not expected: extra.0, extra.1, extra.2, ...; "
        "1 of another shape: weight is 3x3, expected 2x3"
    )
    assert torch.equal(layer.weight, before)


def test_a_training_file_without_weights_by_name_is_refused():
    with pytest.raises(WorldError, match=r"a\.pt holds no weights by name: found step, optimizer"):
        only_tensors({"step": 3, "optimizer": {}}, Path("a.pt"))


@pytest.mark.parametrize("prefix", ["base_model.model.", ""])
@pytest.mark.parametrize("suffix", [".weight", ".default.weight"])
def test_a_merged_lora_multiplies_like_the_two_small_matrices(prefix, suffix):
    weight, a, b, x = torch.randn(6, 5), torch.randn(2, 5), torch.randn(6, 2), torch.randn(4, 5)
    lora = {f"{prefix}blocks.0.q.lora_A{suffix}": a, f"{prefix}blocks.0.q.lora_B{suffix}": b}
    merged = merge_lora({"blocks.0.q.weight": weight}, lora, Path("lora.pt"), alpha=6.0)
    beside = x @ weight.T + (x @ a.T) @ b.T * 3
    assert torch.allclose(x @ merged["blocks.0.q.weight"].T, beside, atol=1e-4)


def test_without_an_alpha_the_lora_is_added_as_it_is():
    a, b = torch.randn(2, 5), torch.randn(6, 2)
    lora = {"q.lora_A.weight": a, "q.lora_B.weight": b}
    assert torch.allclose(merge_lora({"q.weight": torch.zeros(6, 5)}, lora, Path("lora.pt"))["q.weight"], b @ a)


def test_merging_leaves_other_weights_and_its_own_input_alone():
    weights = {"q.weight": torch.zeros(6, 5), "k.weight": torch.ones(6, 5)}
    lora = {"q.lora_A.weight": torch.ones(2, 5), "q.lora_B.weight": torch.ones(6, 2)}
    merged = merge_lora(weights, lora, Path("lora.pt"))
    assert merged["k.weight"] is weights["k.weight"]
    assert weights["q.weight"].abs().max() == 0


@pytest.mark.parametrize(
    ("lora", "complaint"),
    [
        ({"q.lora_A.weight": torch.ones(2, 5)}, "1 layers have lora_A or lora_B but not both: q"),
        ({"q.weight": torch.ones(2, 5)}, r"q\.weight is not a LoRA tensor"),
        (
            {"z.lora_A.weight": torch.ones(2, 5), "z.lora_B.weight": torch.ones(6, 2)},
            "layers that the model has not: z",
        ),
        ({"q.lora_A.weight": torch.ones(2, 4), "q.lora_B.weight": torch.ones(6, 2)}, "6x2 times 2x4 onto 6x5"),
    ],
)
def test_a_lora_that_does_not_fit_says_what_is_wrong(lora, complaint):
    with pytest.raises(WorldError, match=complaint):
        merge_lora({"q.weight": torch.zeros(6, 5)}, lora, Path("lora.pt"))
