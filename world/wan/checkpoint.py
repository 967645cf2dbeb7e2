"""Checkpoint files, read without running code in them."""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from world.info import WorldError

Tensors = dict[str, Tensor]

JSON_BYTES = 2**20
PICKLE_BYTES = 2**26  # of names and shapes alone; a published checkpoint has less than 1 MB of them
NAME_LENGTH = 300


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file; raises ValueError, one line, for whatever else is there."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > JSON_BYTES:
            raise ValueError(f"it is larger than {JSON_BYTES:,} bytes")
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(error.strerror) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("expected an object, {...}")
    return content


def read_checkpoint(path: Path) -> dict[Any, Any]:
    """The content of a safetensors file or of one that torch.save wrote, whatever its suffix, or of an index's shards.

    Tensors are on the CPU, memory-mapped where possible. Code in the file is not run. Raises WorldError, one line, for
    a file that cannot be read.
    """
    if path.name.endswith(".safetensors.index.json"):
        return _read_shards(path)
    form = _form(path)
    try:
        if form == "safetensors":
            return dict(load_file(path))
        if form == "zip":
            _check_archive(path)
        # older files are no zip archives and cannot be mapped
        with warnings.catch_warnings():
            # about a protocol or a storage that it finds odd: whatever is wrong is told once, below
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=form == "zip")
    except WorldError:
        raise
    except Exception as error:  # each library raises its own, another for each kind of damage
        raise WorldError(_complaint(path, error)) from None
    if not isinstance(content, Mapping):
        raise WorldError(f"{path} holds a {type(content).__name__}, expected tensors by name")
    return dict(content)


def _read_shards(index: Path) -> dict[Any, Any]:
    """The tensors of all the safetensors files that an index names, which lie beside it."""
    try:
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise ValueError("it has no weight_map of names to files")
        names = sorted(set(places.values()))
        outside = [name for name in names if Path(name).name != name]
        if outside:
            raise ValueError(f"it names a file that is not beside it: {told(outside[0])}")
    except ValueError as error:
        raise WorldError(f"{index} is no index of shards: {error}") from None
    found = {name: tensor for shard in names for name, tensor in read_checkpoint(index.with_name(shard)).items()}
    missing = [name for name in places if name not in found]
    if missing:
        raise WorldError(f"{index} names tensors that its files do not hold: {first(missing)}")
    return found


def _form(path: Path) -> str:
    """How the file is written, by its first bytes: `zip` (torch.save), `safetensors`, or else `pickle` (old files)."""
    try:
        if path.is_dir():
            raise WorldError(f"{path} cannot be read: it is a folder, expected a file")
        if not path.is_file():
            raise WorldError(f"{path} cannot be read: it is no file, or a link that leads nowhere")
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise WorldError(f"{path} cannot be read: {error.strerror}") from None
    if start.startswith(b"PK\x03\x04"):
        return "zip"
    # a safetensors file begins with the length of its header, eight bytes, and the header's JSON
    return "safetensors" if start[8:] == b"{" else "pickle"


def _check_archive(path: Path) -> None:
    """Raise WorldError for an archive that cannot be mapped, or whose names and shapes would fill the memory."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise WorldError(f"{path} is a compressed archive: unpack it, and save the weights with torch.save")
            if entry.filename.endswith("data.pkl") and entry.file_size > PICKLE_BYTES:
                raise WorldError(f"{path} holds {entry.file_size:,} bytes besides its tensors: it is no checkpoint")


def _complaint(path: Path, error: Exception) -> str:
    code = re.search(r"GLOBAL ([\w.]+)(?:\s|$)", str(error), re.ASCII)
    if isinstance(error, pickle.UnpicklingError) and code:
        return f"{path} holds Python code ({code[1]}), not only tensors; it was not run: use the published file"
    size = path.stat().st_size if path.exists() else 0
    if size < 1000 and path.read_bytes().startswith(b"version https://git-lfs"):
        return f"{path} is only a pointer to the file: run `git lfs pull` in its repository"
    return f"{path} cannot be read ({size:,} bytes): it is cut short or not a checkpoint; copy or download it again"


def only_tensors(content: Mapping[Any, Any], path: Path) -> Tensors:
    """`content` if it is a state dict, ordinary tensors by name; raises WorldError otherwise."""
    others = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if len(others) == len(content):
        raise WorldError(f"{path} holds no weights by name: found {first(others) or 'nothing'}")
    if others:
        kind = type(content[others[0]]).__name__
        raise WorldError(f"{path} holds a {kind} among its weights ({first(others)}), expected tensors only")
    for name, tensor in content.items():
        if not isinstance(name, str) or not name.isprintable() or len(name) > NAME_LENGTH:
            raise WorldError(f"{path} has a tensor whose name is no plain text: {told(name)}")
        # reading the storage of another kind of tensor would raise
        is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not is_plain or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WorldError(f"{path}: {name} is no plain tensor (sparse, quantized, or without its numbers)")
    return dict(content)


def first(names: Sequence[object], count: int = 3) -> str:
    """The first few of `names` for an error message, like a, b, c, ..."""
    return ", ".join(map(told, names[:count])) + (", ..." if len(names) > count else "")


def told(name: object) -> str:
    """A name from a file for an error message: on one line and not too long."""
    text = str(name) if isinstance(name, str | int) else f"a {type(name).__name__}"
    return "".join(c if c.isprintable() else "?" for c in text[:120]) or "(no name)"
