"""The rooms and their doors: who may import whom, and where each library may be imported at all."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"world": set(), "input": {"world"}, "net": {"world"}, "loop": {"world", "input", "net"}}
VOCABULARY = {"world.event", "world.info"}  # the only door that input and net may open
DOORS = {
    "pygame": {"loop/window.py"},
    "cupy": {"loop/upload.py"},
    "socket": {"net/transport.py"},
    "msgpack": {"net/wire.py"},
    "av": {"loop/record.py"},
    "mido": {"input/midi.py"},
    "pythonosc": {"input/osc.py"},
    "sounddevice": {"input/audio.py"},
}
CLOCKS = {"time", "datetime", "threading", "multiprocessing", "asyncio"}


def modules():
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def faults(path):
    name, room = path.relative_to(ROOT).as_posix(), path.relative_to(ROOT).parts[0]
    for module in imports(ast.parse(path.read_text())):
        top = module.split(".")[0]
        if top in ROOMS and top != room and top not in ROOMS[room]:
            yield f"{name} imports {module}"
        if room in ("input", "net") and top == "world" and module not in VOCABULARY:
            yield f"{name} goes past the vocabulary: {module}"
        if top in DOORS and name not in DOORS[top]:
            yield f"{name} imports {top}, whose door is {DOORS[top]}"
        if room == "world" and "train" not in path.parts and top in CLOCKS:
            yield f"{name} asks for a clock or a thread: {module}"


def test_every_import_goes_through_its_door():
    assert [fault for path in modules() for fault in faults(path)] == []


def test_torch_cuda_is_named_in_one_file_only():
    named = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("torch.cuda")
    }
    assert named <= {"world/device.py"}


def test_a_wall_that_is_broken_is_noticed(tmp_path, monkeypatch):
    bad = tmp_path / "world" / "peek.py"
    bad.parent.mkdir()
    bad.write_text("import time\nfrom loop.engine import Engine\nimport pygame\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(list(faults(bad))) == 3


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import loop.play", {"torch", "cupy", "pygame"}),
        ("import loop.panel, loop.window", {"torch", "cupy"}),
        ("import loop.__main__", {"torch", "cupy", "pygame"}),
        ("import world.zoo, world.event", {"torch"}),
    ],
)
def test_the_windows_process_imports_only_what_it_needs(statement, absent):
    told = f"{statement}\nimport sys\nprint(sorted({absent!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"
