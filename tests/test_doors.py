"""The rooms and their doors: who may import whom, and where each library may be imported at all."""

import ast
import subprocess
import sys
from graphlib import CycleError
from pathlib import Path

import pytest

from tests.rooms import ALLOWED, MOST_FILES, ROOT, files_in, graph, imports, in_order, modules, room_of

VOCABULARY = {"world.event", "world.info"}  # the only door that input and net may open
DOORS = {
    "pygame": {
        f"loop/screen/{name}.py"
        for name in ("window", "opening", "canvas", "painter", "gamepad", "pointer", "programme", "pinning/projection")
    },
    "cupy": {"loop/worker/upload.py"},
    "socket": {"net/transport.py"},
    "msgpack": {"net/wire.py"},
    "zeroconf": {"net/discovery.py"},
    "websockets": {"net/web/server.py"},
    "PIL": {"net/web/jpeg.py"},
    "segno": {"loop/web/addresses.py"},
    "av": {"loop/output/mp4.py", "loop/video/h264.py"},
    "mido": {"input/midi/ports.py"},
    "rtmidi": {"input/midi/ports.py"},
    "pythonosc": {"input/osc.py"},
    "link": {"input/link.py"},
    "sounddevice": {"input/sound/audio.py"},
    "triton": {"world/wan/fast/fused.py"},
}
CLOCKS = {"time", "datetime", "threading", "multiprocessing", "asyncio"}
WITHOUT_TORCH = {"world", "loop.link", "loop.timing", "loop.supervise", "loop.screen", "loop.output", "input", "net"}
WITHOUT_TORCH |= {"loop.archive", "loop.video", "loop.web", "net.web"}


def faults(path: Path, root: Path = ROOT) -> list[str]:
    """What a file imports although it must not, one line each."""
    known, name = modules(root), path.relative_to(root).as_posix()
    module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    room, found = room_of(module), []
    for imported in imports(path, known):
        top = imported.split(".")[0]
        if imported in known and room_of(imported) not in ALLOWED.get(room, set()) | {room}:
            found.append(f"{name} ({room}) imports {imported}")
        if room in ("input", "net") and top == "world" and imported not in VOCABULARY:
            found.append(f"{name} goes past the vocabulary: {imported}")
        if top in DOORS and name not in DOORS[top]:
            found.append(f"{name} imports {top}, whose door is {DOORS[top]}")
        if top == "torch" and room in WITHOUT_TORCH:
            found.append(f"{name} imports torch, which {room} does without")
        if top in CLOCKS and room.startswith("world") and not room.startswith("world.train"):
            found.append(f"{name} asks for a clock or a thread: {imported}")
    return found


def test_every_import_goes_through_its_door():
    assert [fault for path in modules().values() for fault in faults(path)] == []


def test_there_is_no_circle_between_rooms():
    assert in_order(graph())


def test_there_is_no_circle_between_modules_either():
    assert in_order(graph(name_of=str))


def test_a_public_class_or_function_stands_in_one_file():
    """`main` is what Python calls the entry of a program."""
    places: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: where for name, where in places.items() if len(where) > 1 and name != "main"} == {}


def test_every_room_stands_in_the_table():
    assert set(graph()) - {"loop", "world", "net", "input"} <= set(ALLOWED)


def test_no_room_holds_more_files_than_a_person_can_keep_in_mind():
    assert {room: files_in(room) for room in graph() if files_in(room) > MOST_FILES} == {}


def test_torch_cuda_is_named_in_one_file_only():
    named = {
        path.relative_to(ROOT).as_posix()
        for path in modules().values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("torch.cuda")
    }
    assert named <= {"world/dit/device.py"}


@pytest.fixture
def planted(tmp_path: Path):
    """Write files into an empty house; gives the house."""

    def plant(**texts: str) -> Path:
        for module, text in texts.items():
            path = tmp_path / (module.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return plant


def test_a_wrong_import_is_noticed(planted):
    house = planted(
        world__peek="import time\nimport torch\nfrom loop.engine import Engine\nimport pygame\n", loop__engine=""
    )
    assert len(faults(house / "world/peek.py", house)) == 4


def test_a_wrong_import_between_the_rooms_of_the_loop_is_noticed(planted):
    house = planted(loop__worker__stream="from loop.screen import window\n", loop__screen__window="")
    assert faults(house / "loop/worker/stream.py", house) == [
        "loop/worker/stream.py (loop.worker) imports loop.screen.window"
    ]


def test_a_circle_is_noticed(planted):
    house = planted(
        loop__link__ring="from loop.timing.pacer import Pacer\n", loop__timing__pacer="import loop.link.ring\n"
    )
    with pytest.raises(CycleError):
        in_order(graph(house))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import loop.play", {"torch", "cupy", "pygame"}),
        ("import loop.panels, loop.screen.window", {"torch", "cupy"}),
        ("import loop.__main__", {"torch", "cupy", "pygame"}),
        ("import world.zoo, world.event", {"torch"}),
    ],
)
def test_the_windows_process_imports_only_what_it_needs(statement, absent):
    told = f"{statement}\nimport sys\nprint(sorted({absent!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"
