"""Types for argparse: each function turns the text of an option into its value.

It raises ArgumentTypeError, with what was given and what was expected, for a text that is not valid.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
from pathlib import Path
from typing import NoReturn

from input.beat import HIGHEST_BPM, LOWEST_BPM
from net.message import MAX_NAME
from net.schema import NetError
from net.transport import DEFAULT_ADDRESS, parse_place
from world.event import clean_text
from world.info import MOST_PRESS, WorldError
from world.options import SPEEDS, step_counts

GPU_SECTIONS = (  # what `bench gpu` can measure
    "ceilings", "attention", "stages", "linears", "switch", "overlap", "error", "vae", "show", "first"
)  # fmt: skip


def _fail(text: str, expected: str) -> NoReturn:
    shown = text if len(text) <= 60 else text[:57] + "..."
    raise argparse.ArgumentTypeError(f"got {shown!r}, expected {expected}")


def width_x_height(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 16 <= int(side) <= 16384 for side in sides):
        _fail(text, "WIDTHxHEIGHT with sides of 16 to 16384 pixels, such as 1280x720")
    return int(sides[0]), int(sides[1])


def even_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT of a film whose colours have half its resolution."""
    sides = width_x_height(text)
    return sides if not any(side % 2 for side in sides) else _fail(text, "even sides, such as 1280x720")


def latent_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 0 < int(side) <= 512 for side in sides):
        _fail(text, "HEIGHTxWIDTH of the latents, such as 60x104")
    return int(sides[0]), int(sides[1])


def _number(text: str, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        _fail(text, expected)
    return value


def seconds(text: str) -> float:
    expected = "a number of seconds above 0, at most a week"
    value = _number(text, expected)
    return value if 0 < value <= 604_800 else _fail(text, expected)


def stage_options(text: str) -> tuple[str, ...]:
    """Options of play, as a shell would divide them; what they mean is looked at by the show that gets them."""
    expected = "options of play, such as '--osc 9000 --midi auto'"
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        _fail(text, expected)
    return words if words and words[0].startswith("--") else _fail(text, expected)


def segment_seconds(text: str) -> float:
    expected = "a number of seconds from 3 on, at most an hour"
    value = _number(text, expected)
    return value if 3 <= value <= 3600 else _fail(text, expected)


def bpm(text: str) -> float:
    expected = f"beats a minute from {LOWEST_BPM:g} to {HIGHEST_BPM:g}"
    value = _number(text, expected)
    return value if LOWEST_BPM <= value <= HIGHEST_BPM else _fail(text, expected)


def minutes(text: str) -> float:
    expected = "a number of minutes from 0.2 on, at most a week"
    value = _number(text, expected)
    return value if 0.2 <= value <= 10_080 else _fail(text, expected)


def paces(text: str) -> tuple[float, ...]:
    expected = "speeds above 0, at most 100 times real time, such as 2,0.5"
    values = tuple(_number(part, expected) for part in text.split(","))
    return values if all(0 < value <= 100 for value in values) else _fail(text, expected)


def reserves(text: str) -> tuple[int, ...]:
    """Numbers of blocks in the order given, each only once."""
    return tuple(dict.fromkeys(natural(part) for part in text.split(",")))


def _some_of(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Words separated by commas, each only once."""
    words = tuple(dict.fromkeys(text.split(",")))
    return words if set(words) <= set(known) else _fail(text, f"one or more of {','.join(known)}")


def speeds(text: str) -> tuple[str, ...]:
    return _some_of(text, SPEEDS)


def gpu_sections(text: str) -> tuple[str, ...]:
    return _some_of(text, GPU_SECTIONS)


def _whole(text: str, low: int, high: int) -> int:
    digits = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if digits and low <= int(text) <= high else _fail(text, f"a whole number from {low} to {high}")


def seed_number(text: str) -> int:
    return _whole(text, 0, 2**63 - 1)


def steps(text: str) -> str:
    try:
        step_counts(text)
    except WorldError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def natural(text: str) -> int:
    return _whole(text, 0, 64)


def averages(text: str) -> float | tuple[float, float]:
    """What an averaged sink keeps of itself, or what a long and a short average do: from 0 to below 1."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not (len(values) in (1, 2) and all(0 <= value < 1 for value in values)):
        return _fail(text, "a number from 0 to below 1, such as 0.99, or two of them, such as 0.99,0.9")
    return values[0] if len(values) == 1 else (values[0], values[1])


def press(text: str) -> float:
    """How strongly new words are pressed on."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    return value if 0 <= value <= MOST_PRESS else _fail(text, f"a number from 0 to {MOST_PRESS:g}, such as 1.5")


def blocks(text: str) -> int:
    return _whole(text, 1, 64)


def host_and_port(text: str) -> tuple[str, int]:
    """[ADDR:]PORT; without an address only this machine is listened to."""
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536
    return (host or "127.0.0.1", int(port)) if is_port else _fail(text, "[ADDR:]PORT, such as 9000 or 0.0.0.0:9000")


def count(text: str) -> int:
    return _whole(text, 1, 1024)


def cost_blocks(text: str) -> int:
    return _whole(text, 0, 1024)


def prompt(text: str) -> str:
    try:
        return clean_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def listening_place(text: str) -> str:
    return _place(text, DEFAULT_ADDRESS)


def place(text: str) -> str:
    return text if text == "auto" else _place(text, "")


def _place(text: str, default_address: str) -> str:
    """[ADDRESS:]PORT, where the address may be left out if there is a default."""
    try:
        parse_place(text, default_address)
    except NetError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def peer_name(text: str) -> str:
    name = " ".join(text.split())
    return name if 0 < len(name) <= MAX_NAME and name.isprintable() else _fail(text, f"1 to {MAX_NAME} characters")


def input_file(text: str) -> Path:
    path = Path(text)
    return path if path.is_file() else _fail(text, "the name of a file that exists")


def new_file(text: str) -> Path:
    path = Path(text)
    try:
        if path.is_symlink() and not path.exists():
            path = Path(os.path.realpath(path))  # a link to a file that is not there yet
        folder = path.parent
        if path.is_dir():
            _fail(text, "a file to write, not a folder")
        if not folder.is_dir():
            _fail(text, f"a file in a folder that exists ({folder} does not)")
        _try_to_write(path)
    except OSError as error:
        _fail(text, f"a file that can be written ({error.strerror})")
    return path


def _try_to_write(path: Path) -> None:
    """Open `path` for writing without changing its content; raises OSError. The permissions alone would not tell."""
    if path.exists():
        os.close(
            os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        )  # else a pipe without a reader waits for one
    else:
        path.open("xb").close()
        path.unlink()


def mp4_file(text: str) -> Path:
    return new_file(text) if text.lower().endswith(".mp4") else _fail(text, "a name that ends in .mp4")


def html_file(text: str) -> Path:
    return new_file(text) if Path(text).suffix.lower() == ".html" else _fail(text, "a name that ends in .html")


def video_file(text: str) -> Path:
    ending = Path(text).suffix.lower()
    return new_file(text) if ending in (".mp4", ".npy") else _fail(text, "a name that ends in .mp4 or .npy")
