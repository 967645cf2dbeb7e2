"""Every file of a folder damaged in many ways: each gives a WorldError of one line, or a world that works."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.wan.wan_folder import LONGLIVE, WAN, write_folder
from world.block import World
from world.info import WorldError
from world.zoo import open_world

BASE, LORA = LONGLIVE / "longlive_base.pt", LONGLIVE / "lora.pt"
ENCODER, VAE, FAST = WAN / "models_t5_umt5-xxl-enc-bf16.pth", WAN / "Wan2.1_VAE.pth", Path("taew2_1.pth")
CONFIG, TOKENIZER, RULES = WAN / "config.json", WAN / "google/umt5-xxl/tokenizer.json", LONGLIVE / "adapter_config.json"
CHECKPOINTS, DESCRIPTIONS = (BASE, LORA, ENCODER, VAE, FAST), (CONFIG, TOKENIZER, RULES)

Harm = Callable[[Path, random.Random], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A sound folder, whose files are damaged one at a time and put back."""
    folder = write_folder(tmp_path_factory.mktemp("wan") / "folder")
    (folder / RULES).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2, "use_rslora": True}))
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors are so small here that a second thread only costs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# the bytes of a file, whatever it holds


def rewrite(change: Callable[[bytearray, random.Random], bytes | bytearray]) -> Harm:
    def harm(path: Path, chance: random.Random) -> None:
        path.write_bytes(change(bytearray(path.read_bytes()), chance))

    return harm


def saved_as(form: str, harm: Harm) -> Harm:
    """The same damage to the same tensors in another kind of file."""

    def convert_and_harm(path: Path, chance: random.Random) -> None:
        content = torch.load(path, weights_only=True)
        if form == "safetensors":
            save_file({name: t.contiguous() for name, t in inner(content).items()}, path)
        else:
            torch.save(content, path, _use_new_zipfile_serialization=False)
        harm(path, chance)

    return convert_and_harm


def flip(content: bytearray, chance: random.Random, low: int = 0, high: int | None = None) -> bytearray:
    end = min(len(content), high or len(content))
    for _ in range(chance.choice((1, 8, 64))):
        content[chance.randrange(max(0, min(low, end - 1)), end)] ^= 1 << chance.randrange(8)
    return content


def blank(content: bytearray, chance: random.Random) -> bytearray:
    start, size = chance.randrange(len(content)), chance.randrange(1, 2000)
    content[start : start + size] = chance.choice((b"\0", b"\xff")) * len(content[start : start + size])
    return content


def splice(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(content))
    content[start:start] = chance.randbytes(chance.randrange(1, 300))
    return content


BYTES: dict[str, Harm] = {
    "cut short": rewrite(lambda content, chance: content[: chance.randrange(len(content))]),
    "bits turned over": rewrite(flip),
    "bits turned over at its start": rewrite(lambda content, chance: flip(content, chance, high=300)),
    "bits turned over at its end": rewrite(lambda content, chance: flip(content, chance, low=len(content) - 2000)),
    "a part blank": rewrite(blank),
    "bytes put in": rewrite(splice),
    "the start missing": rewrite(lambda content, chance: content[chance.randrange(1, 100) :]),
    "twice": rewrite(lambda content, chance: content + content),
    "noise": rewrite(lambda content, chance: chance.randbytes(chance.randrange(1, 5000))),
    "noise after an archive's mark": rewrite(lambda content, chance: b"PK\x03\x04" + chance.randbytes(500)),
    "noise after a header's length": rewrite(lambda content, chance: chance.randbytes(8) + b"{" + chance.randbytes(90)),
    "empty": rewrite(lambda content, chance: b""),
    "a web page": rewrite(lambda content, chance: b"<!DOCTYPE html>\n<html>not found</html>\n"),
    "deep brackets": rewrite(lambda content, chance: b"[" * 100_000),
}


# what stands in the place of a file


def replaced(make: Callable[[Path], object]) -> Harm:
    def harm(path: Path, chance: random.Random) -> None:
        path.unlink()
        make(path)

    return harm


PLACES: dict[str, Harm] = {
    "gone": replaced(lambda path: None),
    "a folder": replaced(lambda path: path.mkdir()),
    "a pipe": replaced(lambda path: os.mkfifo(path)),
    "a link to nowhere": replaced(lambda path: path.symlink_to("nowhere")),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "a device": replaced(lambda path: path.symlink_to("/dev/zero")),
}


# tensors of a checkpoint


def retensored(change: Callable[[torch.Tensor], object]) -> Harm:
    """Another value in place of one tensor."""

    def harm(path: Path, chance: random.Random) -> None:
        content = torch.load(path, weights_only=True)
        tensors = inner(content)
        name = chance.choice(sorted(tensors))
        tensors[name] = change(tensors[name])
        torch.save(content, path)

    return harm


def renamed(change: Callable[[str], object]) -> Harm:
    """Another name for one tensor."""

    def harm(path: Path, chance: random.Random) -> None:
        content = torch.load(path, weights_only=True)
        tensors = inner(content)
        name = chance.choice(sorted(tensors))
        tensors[change(name)] = tensors.pop(name)
        torch.save(content, path)

    return harm


def inner(content: dict) -> dict:
    return content.get("generator", content.get("generator_lora", content))


def spoilt(tensor: torch.Tensor, value: float) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[-1] = value
    return tensor


def around_itself() -> dict:
    content: dict = {}
    content["model"] = content
    return content


def around(depth: int) -> dict | list:
    content: list = []
    for _ in range(depth):
        content = [content]
    return {"generator": content}


TENSORS: dict[str, Harm] = {
    "NaN": retensored(lambda t: spoilt(t, float("nan"))),
    "infinity": retensored(lambda t: spoilt(t, float("-inf"))),
    "numbers too large for float32": retensored(lambda t: torch.full(t.shape, 1e300, dtype=torch.float64)),
    "numbers that overflow": retensored(lambda t: torch.full_like(t, 3e38)),
    "whole numbers": retensored(lambda t: t.to(torch.int64)),
    "bytes": retensored(lambda t: t.to(torch.uint8)),
    "truth values": retensored(lambda t: t > 0),
    "complex numbers": retensored(lambda t: t.to(torch.complex64)),
    "float8": retensored(lambda t: t.to(torch.float8_e5m2)),
    "float16": retensored(lambda t: t.half()),
    "float64": retensored(lambda t: t.double()),
    "a sparse tensor": retensored(lambda t: t.float().to_sparse()),
    "a tensor without numbers": retensored(lambda t: t.to("meta")),
    "one number for very many": retensored(lambda t: torch.zeros(1).expand(10**6, 10**6)),
    "one number": retensored(lambda t: torch.tensor(1.0)),
    "no number": retensored(lambda t: torch.zeros(10**9, *[0] * max(1, t.ndim - 1))),
    "a dimension more": retensored(lambda t: t[None]),
    "a row less": retensored(lambda t: t[:-1]),
    "turned": retensored(lambda t: t.float().T.contiguous() if t.ndim == 2 else t.flip(0)),
    "a string": retensored(lambda t: "weights"),
    "nothing": retensored(lambda t: None),
    "a list": retensored(lambda t: t.float().tolist()),
    "a dict": retensored(lambda t: {"weight": t}),
    "a number as a name": renamed(lambda name: 7),
    "a pair as a name": renamed(lambda name: (name, 7)),
    "two lines as a name": renamed(lambda name: f"{name}\nsecond"),
    "a very long name": renamed(lambda name: name * 1000),
    "no name": renamed(lambda name: ""),
    "a layer of a high number": renamed(lambda name: "blocks.999999999.weight"),
    "a layer of no number": renamed(lambda name: "blocks.x"),
    "a name of dots": renamed(lambda name: "....."),
    "a wrapper and nothing in it": renamed(lambda name: "model.module."),
    "a stranger": renamed(lambda name: f"{name}.stranger"),
}

WHOLE: dict[str, object] = {
    "a list": [torch.zeros(3)],
    "a tensor": torch.zeros(3),
    "nothing": None,
    "an empty dict": {},
    "numbers by name": {"generator": {"step": 3}},
    "an empty state dict": {"generator": {}, "generator_lora": {}},
    "a dict within itself": around_itself(),
    "very deep lists": around(400),
    "names that are numbers": {1: torch.zeros(3), 2: torch.zeros(3)},
    "an optimizer": {"optimizer": {"state": {0: {"step": torch.zeros(1)}}}},
    "code": {"generator": Path},
}
CONTENTS: dict[str, Harm] = {
    f"{what} in its place": lambda path, chance, content=content: torch.save(content, path)
    for what, content in WHOLE.items()
}


# values of a description

ODD = (
    None,
    True,
    -1,
    0,
    3,
    2.5,
    10**9,
    10**30,
    1e300,
    float("nan"),
    "",
    "two\nlines",
    "é\ud800",
    [],
    [[]],
    {},
    {"": []},
)
EXTRA = {
    "adapter_config.json": ("alpha_pattern", "rank_pattern", "fan_in_fan_out", "use_dora", "layer_replication"),
    "config.json": ("num_heads", "eps", "model_type"),
    "tokenizer.json": ("version", "padding", "truncation", "added_tokens", "post_processor"),
}


def redescribed(path: Path, chance: random.Random) -> None:
    content = json.loads(path.read_text())
    target = content
    # one level down now and then
    if path.name == "tokenizer.json" and chance.random() < 0.5:
        target = content["model"]
    keys = [*target, *EXTRA[path.name]]
    target[chance.choice(keys)] = chance.choice(ODD)
    path.write_text(json.dumps(content))


JSON: dict[str, Harm] = {f"an odd value ({i})": redescribed for i in range(12)}


# the test itself


def use(world: World) -> None:
    """Make a block under a prompt and draw it."""
    block = world.session(seed=1, prompt="a red fox").step()
    frames, _ = world.decoder.decode(world.decoder.start(), block.latents)
    assert frames.dtype == np.uint8 and frames.shape[1:] == (16, 32, 3)


def outcome(folder: Path, name: Path) -> str | None:
    """What the user is told of the folder; None if it works."""
    try:
        use(open_world(str(folder), device="cpu", picture=(32, 16), decoder="vae" if name == VAE else "taehv"))
    except WorldError as error:
        return str(error)
    return None


def damaged(folder: Path, name: Path, harm: Harm, chance: random.Random) -> str | None:
    """`outcome` with one file damaged, which is put back afterwards."""
    path, kept = folder / name, (folder / name).read_bytes()
    try:
        harm(path, chance)
        return outcome(folder, name)
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.write_bytes(kept)


HARMS = {
    **{(name, kind): harm for name in (*CHECKPOINTS, *DESCRIPTIONS) for kind, harm in {**BYTES, **PLACES}.items()},
    **{(name, kind): harm for name in CHECKPOINTS for kind, harm in {**TENSORS, **CONTENTS}.items()},
    **{
        (name, f"{kind}, as {form}"): saved_as(form, harm)
        for name in (BASE, ENCODER)
        for form in ("safetensors", "pickle")
        for kind, harm in BYTES.items()
    },
    **{(name, kind): harm for name in DESCRIPTIONS for kind, harm in JSON.items()},
}


@pytest.mark.parametrize("name", [*CHECKPOINTS, *DESCRIPTIONS], ids=lambda path: path.name)
def test_a_damaged_file_is_told_in_one_line_or_does_no_harm(name, folder):
    for (of, kind), harm in HARMS.items():
        if of != name:
            continue
        said = damaged(folder, name, harm, random.Random(f"{name} {kind}"))
        if said is not None:
            assert said.isprintable() and len(said) < 1000, (kind, said)
            # what overflows only in a whole block is told of that block
            assert name.name in said or str(folder) in said or said.startswith("block 0 "), (kind, said)
