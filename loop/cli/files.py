"""The files that a command is to write: none is there already, none is an input of the same run, no two are one."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

INPUTS = ("script", "set_list", "projector", "world", "prompts", "reader")
_OPTION = {"set_list": "set"}  # where the option is called otherwise than its value
OUTPUTS = ("trace", "record", "out", "json", "html", "table")


def file_mistakes(options: argparse.Namespace) -> Iterator[str]:
    """What is wrong with the files that these options name for writing, one line for the user each.

    With --overwrite, a file that is there may be written, but an input never. Devices and pipes hold nothing that
    could be lost, so they pass, but for a video, whose file is replaced as a whole.
    """
    given = vars(options)
    outputs = {name: given[name] for name in OUTPUTS if given.get(name)}
    for name, path in outputs.items():
        yield from (
            f"--{name} {path} is {what} of the same run" for what, file in _inputs(given) if _is_same(path, file)
        )
        if _is_special(path):
            if name == "out":
                yield f"--out {path} is a device or a pipe: expected a file"
            continue
        if path.exists() and not given["overwrite"]:
            yield f"--{name} {path} exists: choose another name, or give --overwrite"
        for other in outputs:
            if other != name and _is_same(path, outputs[other]):
                yield f"--{name} and --{other} are the same file, {path}"


def _is_special(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder: a device or a pipe."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _inputs(given: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Every file that the command reads, each with what it is. A folder of checkpoints counts with all in it."""
    for name in INPUTS:
        path = Path(given.get(name) or os.devnull)
        if path.is_file():
            yield f"the --{_OPTION.get(name, name)}", path
        elif path.is_dir() and given["overwrite"]:  # without it no file that is there is written anyway
            yield from ((f"a file of the --{name}", file) for file in path.rglob("*") if file.is_file())


def _is_same(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, also by links, and also if it is not there yet."""
    try:
        return path.samefile(other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)
