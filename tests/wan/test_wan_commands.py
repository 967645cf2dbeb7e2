"""Folders of checkpoints through the command line: rendered, and refused on one line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from loop.__main__ import main
from loop.cli.options import parse_command_line
from loop.cli.usage import UsageError
from loop.cli.world_options import world_options
from tests.wan.wan_folder import LONGLIVE, WAN, Sizes, write_folder

BASE, CONFIG = LONGLIVE / "longlive_base.pt", WAN / "config.json"
ENCODER, VAE, TOKENIZER = WAN / "models_t5_umt5-xxl-enc-bf16.pth", WAN / "Wan2.1_VAE.pth", WAN / "google/umt5-xxl"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("wan") / "folder")


@pytest.fixture
def folder(sound, tmp_path) -> Path:
    """A copy of the sound folder, to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "folder"))


def render(folder: Path, out: Path, *more: str) -> int:
    common = ["--device", "cpu", "--picture", "32x16", "--seed", "1", "--threads", "1", "--prompt", "a red fox"]
    return main(["render", "--world", str(folder), *common, "--seconds", "1", "--out", str(out), *more])


class Harm:
    """Makes a folder when a careless reader unpickles it."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def bend(path: Path, **changes) -> None:
    """Change tensors of a checkpoint by name; None removes one."""
    content = torch.load(path, weights_only=True)
    tensors = content.get("generator", content)
    for name, tensor in changes.items():
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    torch.save(content, path)


def configured(folder: Path, **sizes) -> None:
    (folder / CONFIG).write_text(json.dumps({**Sizes().config(), **sizes}))


OTHER_TOKENIZER = json.dumps({"model": {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"}})

DAMAGE = {
    "a transformer cut short": (lambda f: cut(f / BASE), "longlive_base.pt cannot be read"),
    "a LoRA cut short": (lambda f: cut(f / LONGLIVE / "lora.pt"), "lora.pt cannot be read"),
    "a decoder cut short": (lambda f: cut(f / VAE), "Wan2.1_VAE.pth cannot be read"),
    "a text encoder cut short": (lambda f: cut(f / ENCODER), "enc-bf16.pth cannot be read"),
    "a tokenizer cut short": (lambda f: cut(f / TOKENIZER / "tokenizer.json"), "cannot be read as a tokenizer"),
    "an empty file": (lambda f: (f / BASE).write_bytes(b""), "cannot be read (0 bytes)"),
    "a folder for a file": (lambda f: ((f / VAE).unlink(), (f / VAE).mkdir()), "Wan2.1_VAE.pth cannot be read"),
    "a missing tensor": (
        lambda f: bend(f / BASE, **{"model.blocks.1.norm3.bias": None}),
        "longlive_base.pt does not fit the model: 1 missing: blocks.1.norm3.bias",
    ),
    "an extra tensor": (lambda f: bend(f / BASE, stranger=torch.zeros(1)), "1 not expected: stranger"),
    "a wrong shape": (
        lambda f: bend(f / VAE, **{"conv2.bias": torch.zeros(3)}),
        "1 of another shape: conv2.bias is 3, expected 16",
    ),
    "code in a pickle": (lambda f: torch.save({"generator": Harm()}, f / BASE), "not only tensors; it was not run"),
    "a bare module": (lambda f: torch.save(torch.nn.Linear(1, 1), f / VAE), "not only tensors; it was not run"),
    "another folder": (lambda f: shutil.rmtree(f / "wan_models"), "is not a folder of Wan checkpoints: looked for"),
    "no decoder": (lambda f: (f / VAE).unlink(), "has no Wan2.1_VAE.pth: looked for"),
    "a config that is no JSON": (lambda f: (f / CONFIG).write_text("{"), "config.json does not describe a Wan"),
    "a config of nothing": (lambda f: (f / CONFIG).write_text("null"), "config.json does not describe a Wan"),
    "a config in bytes": (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe\x00"), "config.json does not describe a Wan"),
    "a config of no heads": (lambda f: configured(f, num_heads=0), "expected whole numbers above 0"),
    "a config of fractions": (lambda f: configured(f, dim=24.0), "expected whole numbers above 0"),
    "a number that is not finite": (
        lambda f: bend(f / BASE, **{"model.head.head.bias": torch.full((64,), float("nan"))}),
        "longlive_base.pt: head.head.bias has numbers that are not finite",
    ),
    "whole numbers": (
        lambda f: bend(f / ENCODER, **{"norm.weight": torch.ones(8, dtype=torch.int64)}),
        "1 of no floating-point numbers: norm.weight is int64",
    ),
    "a DoRA": (
        lambda f: (f / LONGLIVE / "adapter_config.json").write_text('{"lora_alpha": 2, "use_dora": true}'),
        "adapter_config.json does not describe a plain LoRA: DoRA cannot be merged here",
    ),
    "a pipe for a file": (
        lambda f: ((f / LONGLIVE / "lora.pt").unlink(), os.mkfifo(f / LONGLIVE / "lora.pt")),
        "lora.pt cannot be read: it is no file",
    ),
    "a link to itself": (
        lambda f: ((f / VAE).unlink(), (f / VAE).symlink_to("Wan2.1_VAE.pth")),
        "Wan2.1_VAE.pth cannot be read: it is no file, or a link that leads nowhere",
    ),
    "another tokenizer": (
        lambda f: (f / TOKENIZER / "tokenizer.json").write_text(OTHER_TOKENIZER),
        "tokenizer.json has no end mark </s>",
    ),
    "a config of short text": (lambda f: configured(f, text_len=77), "text_len is 77, the text encoder gives 512 rows"),
}


def test_a_missing_lora_is_told_on_one_line_and_the_base_is_rendered(folder, tmp_path, caplog):
    (folder / LONGLIVE / "lora.pt").unlink()
    assert render(folder, tmp_path / "a.npy") == 0
    assert caplog.messages == [f"{folder} has no lora.pt: plays the base without its LoRA"]


def one_line(told: str, expected: str) -> None:
    assert expected in told and told.startswith("neverblink: ") and told.count("\n") == 1, told


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_told_on_one_line_with_status_2(kind, folder, tmp_path, monkeypatch, capsys):
    harm, expected = DAMAGE[kind]
    harm(folder)
    monkeypatch.chdir(tmp_path)
    assert render(folder, tmp_path / "a.npy") == 2
    one_line(capsys.readouterr().err, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_picture_that_does_not_fit_is_told_on_one_line(folder, tmp_path, capsys):
    assert render(folder, tmp_path / "a.npy", "--picture", "100x60") == 2
    one_line(capsys.readouterr().err, "picture 100x60: this world needs multiples of 16, like 832x480")


def test_a_folder_is_rendered_with_a_prompt_switched_on_the_way(sound, tmp_path, capsys):
    script = tmp_path / "show.jsonl"
    script.write_text('{"at_s": 1.0, "prompt": "rain falls on roofs"}\n')
    steered, straight, again = (tmp_path / f"{name}.npy" for name in ("steered", "straight", "again"))
    for path, more in ((steered, ["--script", str(script)]), (straight, []), (again, [])):
        assert render(sound, path, "--seconds", "2", *more) == 0, capsys.readouterr().err
    videos = [np.load(path) for path in (steered, straight, again)]
    assert [video.shape for video in videos] == [(32, 16, 32, 3)] * 3
    assert np.array_equal(videos[1], videos[2]) and videos[1].std() > 1
    # frames 0 to 8 and 9 to 20 are blocks that begin before the second second's start
    assert np.array_equal(videos[0][:21], videos[1][:21]) and not np.array_equal(videos[0][21:], videos[1][21:])


@pytest.mark.parametrize(
    "options", [["--positions", "absolute"], ["--decoder", "taehv"], ["--dtype", "bfloat16"], ["--picture", "48x32"]]
)
def test_a_folder_can_be_told_how_to_be_opened(options, sound, tmp_path, capsys):
    plain, told = tmp_path / "plain.npy", tmp_path / "told.npy"
    # past the first window, where the two kinds of positions part
    assert render(sound, plain, "--seconds", "5") == render(sound, told, "--seconds", "5", *options) == 0
    assert not np.array_equal(np.load(plain), np.load(told))


def test_what_only_a_folder_can_be_told_is_refused_for_another_world():
    for options in (["--positions", "relative"], ["--decoder", "vae"], ["--dtype", "float32"]):
        with pytest.raises(UsageError, match=f"{options[0]} is for a folder of checkpoints: the world 'small'"):
            world_options(parse_command_line(["--world", "small", *options]))


def test_a_folder_is_opened_as_published_only_when_told(sound):
    plain = world_options(parse_command_line(["--world", str(sound)]))
    told = world_options(parse_command_line(["--world", str(sound), "--positions", "absolute", "--decoder", "taehv"]))
    assert (plain.positions, plain.decoder, plain.dtype) == (None, "vae", None)
    assert (told.positions, told.decoder) == ("absolute", "taehv")


def test_help_names_what_a_folder_can_be_told(capsys):
    with pytest.raises(SystemExit):
        parse_command_line(["play", "--help"])
    told = capsys.readouterr().out
    assert all(option in told for option in ("--positions {relative,absolute}", "--decoder {vae,taehv}", "--picture"))


def play(folder: Path, *more: str) -> subprocess.CompletedProcess:
    common = ["--device", "cpu", "--picture", "32x16", "--threads", "1", "--seed", "1", "--headless", "--seconds", "4"]
    command = [sys.executable, "-m", "loop", "play", "--world", str(folder), *common, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
def test_a_folder_is_played_with_a_prompt_switched_on_the_way(sound, tmp_path):
    script, trace = tmp_path / "show.jsonl", tmp_path / "trace.jsonl"
    script.write_text('{"at_s": 1.0, "prompt": "rain falls on roofs"}\n')
    played = play(sound, "--script", str(script), "--trace", str(trace))
    assert played.returncode == 0, played.stderr
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert any(line["kind"] == "block" and line["switch"] for line in lines)
    assert sum(line["kind"] == "flip" for line in lines) > 100
    assert not [line for line in lines if line["kind"] == "fault"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["a transformer cut short", "code in a pickle", "another folder", "a number that is not finite", "a DoRA"]
)
def test_a_show_over_a_damaged_folder_ends_with_one_line_and_status_2(kind, folder):
    harm, expected = DAMAGE[kind]
    harm(folder)
    ended = play(folder)
    assert ended.returncode == 2, ended.stderr
    one_line(ended.stderr, expected)
