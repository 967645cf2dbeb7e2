"""What is told on the command line before anything opens: words, help, devices, and the doctor's findings."""

import re
import subprocess
import sys

import pytest

from loop.__main__ import main
from loop.cli import gpu
from loop.cli.doctor import PACKAGES
from tests.support.shows import ROOT
from world.compact.small import SMALL
from world.info import WorldError
from world.train.story.form import TALE

IMPORTED_AS = {"python-osc": "pythonosc", "python-rtmidi": "rtmidi", "pygame-ce": "pygame"}
IMPORTED_AS |= {"LinkPython-extern": "link", "pillow": "PIL"}


def test_words_lists_the_vocabulary_under_headings_with_prompts_to_try(capsys):
    for arguments, form, world in (([], TALE, ""), (["--world", "small"], SMALL, "--world small ")):
        assert main(["words", *arguments]) == 0
        told, language = capsys.readouterr().out, form.language
        assert set(language.thesaurus) <= set(re.findall(r"\w+", told))
        assert all(f"\n{heading} " in f"\n{told}" for heading, _ in language.groups)
        assert len(language.examples) >= 3
        assert all(f'neverblink {world}--prompt "{example}"' in told for example in language.examples)


def test_words_of_a_world_that_takes_any_says_so(capsys):
    assert main(["words", "--world", "probe"]) == 0
    assert "takes any words" in capsys.readouterr().out
    assert main(["words", "--world", "smal"]) == 2


def test_the_words_are_listed_without_torch():
    code = "import sys; from loop.__main__ import main; main(['words']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.endswith("False\n")


def test_help_without_a_command_lists_what_play_takes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(option in told for option in ("--prompt", "--fullscreen", "--script", "--record", "words"))


@pytest.mark.parametrize("command", [["play"], ["render", "--seconds", "1", "--out", "a.npy"]])
def test_a_picture_that_the_world_cannot_draw_is_refused_before_anything_opens(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--picture", "1280x720"]) == 2
    assert capsys.readouterr().err == "neverblink: picture 1280x720: this world draws 448x256 only\n"
    (tmp_path / "folder").mkdir()
    assert main([*command, "--world", "folder", "--picture", "100x100"]) == 2
    assert "multiples of 16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("builds", "count", "told"),
    [
        ({"cuda": "None", "hip": "None"}, 1, "torch has no CUDA"),
        ({"cuda": "'13.0'", "hip": "None"}, 0, "finds no GPU"),
        ({}, 0, "finds no GPU"),
    ],
)
def test_cuda_is_refused_where_it_cannot_work(monkeypatch, builds, count, told):
    monkeypatch.setattr(gpu, "_torch_builds", lambda: builds)
    monkeypatch.setattr(gpu, "_gpu_count", lambda: count)
    with pytest.raises(WorldError, match=told):
        gpu.check_device("cuda", "small")
    gpu.check_device("auto", "small")
    gpu.check_device("cuda", "probe")


@pytest.mark.parametrize("builds", [{"cuda": "'13.0'", "hip": "None"}, {"cuda": "None", "hip": "'7.0'"}, {}])
def test_cuda_is_let_through_where_it_may_work(monkeypatch, builds):
    monkeypatch.setattr(gpu, "_torch_builds", lambda: builds)
    monkeypatch.setattr(gpu, "_gpu_count", lambda: 1)
    gpu.check_device("cuda", "small")


def test_torchs_version_file_says_what_torch_is_built_for():
    import torch

    assert gpu._torch_builds()["cuda"] == repr(torch.version.cuda)


def test_the_doctor_speaks_only_of_packages_that_the_code_imports():
    code = "\n".join(
        path.read_text() for room in ("loop", "world", "input", "net") for path in (ROOT / room).rglob("*.py")
    )
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", code, re.MULTILINE))
    assert {IMPORTED_AS.get(package.name, package.name) for package in PACKAGES} <= imported


def test_the_doctor_names_the_extra_that_installs_a_package():
    project = (ROOT / "pyproject.toml").read_text()
    for package in PACKAGES:
        wanted = rf"^{package.extra or 'dependencies'} = \[[^\]]*\"{package.name}[>=]"
        assert re.search(wanted, project, re.MULTILINE), package
