"""Checkpoint files: found, read without running code, checked by name, and put into a model without a copy."""

import os
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from world.info import WorldError
from world.wan.checkpoint import only_tensors, read_checkpoint
from world.wan.family.places import need
from world.wan.weights import fill

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
    assert torch.equal(read_checkpoint(saved(tmp_path / name, {"w": weight}))["w"], weight)


def test_files_of_the_older_kind_are_read(tmp_path):
    path = saved(tmp_path / "a.pt", {"w": torch.ones(2)}, _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(path)["w"], torch.ones(2))


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("left", [0, 100, 900])
def test_a_file_that_is_cut_short_says_so_in_one_line(tmp_path, name, left):
    path = cut(saved(tmp_path / name, {"w": torch.randn(20, 20)}), left)
    with pytest.raises(WorldError, match=rf"{name} cannot be read \({left} bytes\): it is cut short") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_page_saved_in_place_of_a_checkpoint_says_so(tmp_path):
    path = tmp_path / "a.pt"
    path.write_text("<html>not found</html>")
    with pytest.raises(WorldError, match="cut short or not a checkpoint"):
        read_checkpoint(path)


def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "a.pt", {"generator": Harm()})
    with pytest.raises(WorldError, match=r"holds Python code \(.*mkdir\), not only tensors; it was not run") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harmed").exists()


def test_a_pointer_of_git_lfs_says_how_to_get_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(WorldError, match=r"a\.safetensors is only a pointer to the file: run `git lfs pull`"):
        read_checkpoint(path)


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.pt", {"w": torch.ones(2)})

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WorldError, match=r"a\.pt cannot be read: Permission denied$"):
        read_checkpoint(path)
    monkeypatch.setattr(Path, "lstat", refuse)
    with pytest.raises(WorldError, match=r"a\.pt cannot be looked for: Permission denied$"):
        need(tmp_path, (".",), "a.pt")


def rezipped(path: Path, compression: int, **larger: int) -> Path:
    """The same archive with its entries compressed, or with so many bytes more in an entry."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content + bytes(larger.get(Path(name).stem, 0)))
    return path


def test_a_compressed_archive_is_refused_and_not_mapped(tmp_path):
    path = rezipped(saved(tmp_path / "a.pt", {"w": torch.ones(999)}), zipfile.ZIP_DEFLATED)
    with pytest.raises(WorldError, match=r"a\.pt is a compressed archive: unpack it"):
        read_checkpoint(path)


def test_an_archive_with_too_much_besides_its_tensors_is_refused(tmp_path):
    path = rezipped(saved(tmp_path / "a.pt", {"w": torch.ones(9)}), zipfile.ZIP_STORED, data=2**26)
    with pytest.raises(WorldError, match=r"holds 67,10\d,\d\d\d bytes besides its tensors"):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite_is_named_and_nothing_is_loaded(value):
    layer = nn.Linear(3, 2)
    before = layer.weight.clone()
    tensors = {"weight": torch.zeros(2, 3), "bias": torch.tensor([0.0, value])}
    with pytest.raises(WorldError, match=r"^a\.pt: bias has numbers that are not finite$"):
        fill(layer, tensors, Path("a.pt"), torch.float32, CPU)
    assert torch.equal(layer.weight, before)


def test_a_number_that_is_too_large_for_the_dtype_that_was_asked_for_is_refused():
    tensors = {"weight": torch.full((2, 3), 1e300, dtype=torch.float64), "bias": torch.zeros(2)}
    with pytest.raises(WorldError, match="weight has numbers that are not finite"):
        fill(nn.Linear(3, 2), tensors, Path("a.pt"), torch.float32, CPU)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_numbers_that_are_no_floats_are_named(dtype):
    tensors = {"weight": torch.ones(2, 3, dtype=dtype), "bias": torch.zeros(2)}
    with pytest.raises(WorldError, match=rf"1 of no floating-point numbers: weight is {str(dtype)[6:]}$"):
        fill(nn.Linear(3, 2), tensors, Path("a.pt"), torch.float32, CPU)


def test_one_entry_that_is_no_tensor_is_named():
    with pytest.raises(WorldError, match=r"a\.pt holds a int among its weights \(step\), expected tensors only"):
        only_tensors({"weight": torch.ones(2), "step": 3}, Path("a.pt"))


def test_names_are_told_on_one_line():
    for name in ("two\nlines", 7, "x" * 1000):
        with pytest.raises(WorldError, match=r"has a tensor whose name is no plain text: .{1,120}$"):
            only_tensors({name: torch.ones(2)}, Path("a.pt"))


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


def test_a_change_is_made_to_each_weight_on_its_way():
    layer = nn.Linear(3, 2)
    tensors = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    fill(layer, tensors, Path("a.pt"), torch.float32, CPU, lambda name, t: t + 1 if name == "weight" else t)
    assert layer.weight.eq(2).all() and layer.bias.eq(0).all()
    assert tensors["weight"].eq(1).all()
