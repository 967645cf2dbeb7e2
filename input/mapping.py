"""The mapping of controls to what they do: a TOML file, written by learning and readable by people.

[[map]]
control = "cc:1:20"
dial = "zoom"
mode = "pickup"

[[map]]
control = "note:10:36"
cue = 1

[[map]]
control = "key:f10"
action = "tap"

[[wave]]
dial = "hue"
bars = 2
depth = 0.5

[[light]]
lamp = "note:10:36"
cue = 1
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

MODES = ("pickup", "absolute", "relative")
ACTIONS = ("next", "previous", "cancel", "tap", "resync", "blackout", "freeze", "record", "quantise", "transition")
SHAPES = ("sine", "saw", "square")
SHOWS = ("blackout", "freeze", "beat")
_LAMP = re.compile(r"(note|cc):(1[0-6]|[1-9]):(12[0-7]|1[01]\d|\d\d?)")
TABLES = ("map", "wave", "light")


class MappingError(ValueError):
    """A mapping file cannot be read. The message is one line for the user and names the file."""


@dataclass(frozen=True)
class Target:
    """What one control does: it moves a dial, fires a cue, arms one (both counted from 1), or does one of ACTIONS.

    mode: how a knob moves its dial. "pickup": only once it has come past the dial's own value. "absolute": at once.
    "relative": an endless knob adds its steps. low, high: the dial's values at both ends; None: the dial's range.
    """

    control: str
    dial: str = ""
    cue: int = 0
    arm: int = 0
    action: str = ""
    mode: str = "pickup"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.control, str) or not self.control:
            raise ValueError(f'control is {self.control!r}: expected a name such as "cc:1:20"')
        if not isinstance(self.dial, str):
            raise ValueError(f"{self.control}: dial is {self.dial!r}: expected the name of a dial")
        if sum(map(bool, (self.dial, self.cue, self.arm, self.action))) != 1:
            raise ValueError(f"{self.control}: expected one of dial, cue, arm and action")
        if self.mode not in MODES:
            raise ValueError(f"{self.control}: mode is {self.mode!r}: expected one of {', '.join(MODES)}")
        if self.action and self.action not in ACTIONS:
            raise ValueError(f"{self.control}: action is {self.action!r}: expected one of {', '.join(ACTIONS)}")
        for name in ("cue", "arm"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise ValueError(f"{self.control}: {name} is {number!r}: expected a whole number from 1 on")
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                _check_number(f"{self.control}: {name}", getattr(self, name))


@dataclass(frozen=True)
class Wave:
    """A dial that follows the beat.

    bars: the length of the wave, from 1/16 (a quarter of a beat) to 8. depth: the share of the dial's range that it
    goes through. phase: from 0 to 1, the place in the wave at beat 0. shape: one of SHAPES. centre: the dial's value in
    the middle of the wave; None: its value at rest.
    """

    dial: str
    bars: float = 1.0
    depth: float = 0.5
    phase: float = 0.0
    shape: str = "sine"
    centre: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.dial, str) or not self.dial:
            raise ValueError(f"wave: dial is {self.dial!r}: expected the name of a dial")
        for name, low, high in (("bars", 1 / 16, 8.0), ("depth", 0.0, 1.0), ("phase", 0.0, 1.0)):
            value = _check_number(f"wave of {self.dial}: {name}", getattr(self, name))
            if not low <= value <= high:
                raise ValueError(f"wave of {self.dial}: {name} is {value}: expected {low:g} to {high:g}")
        if self.centre is not None:
            _check_number(f"wave of {self.dial}: centre", self.centre)
        if self.shape not in SHAPES:
            raise ValueError(f"wave of {self.dial}: shape is {self.shape!r}: expected one of {', '.join(SHAPES)}")

    def share(self, beats: float) -> float:
        """The place of the dial, -0.5 to 0.5 times the depth, so many beats after beat 0."""
        place = (beats / 4 / self.bars + self.phase) % 1.0
        if self.shape == "sine":
            return 0.5 * self.depth * math.sin(2 * math.pi * place)
        return self.depth * (place - 0.5 if self.shape == "saw" else 0.5 if place < 0.5 else -0.5)


@dataclass(frozen=True)
class Light:
    """What one lamp of a MIDI controller shows: a cue (counted from 1), or something out of SHOWS.

    lamp: the message that lights it, "note:CHANNEL:NUMBER" or "cc:CHANNEL:NUMBER". on, off: the values that it is sent,
    0 to 127; many controllers take them for colours. armed: of a cue that is the next, or waits for its beat; one that
    plays has `on`.
    """

    lamp: str
    cue: int = 0
    shows: str = ""
    on: int = 127
    armed: int = 64
    off: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.lamp, str) and _LAMP.fullmatch(self.lamp)):
            raise ValueError(f'lamp is {self.lamp!r}: expected a name such as "note:1:36" or "cc:1:20"')
        if bool(self.cue) == bool(self.shows):
            raise ValueError(f"{self.lamp}: expected one of cue and shows")
        if self.shows and self.shows not in SHOWS:
            raise ValueError(f"{self.lamp}: shows is {self.shows!r}: expected one of {', '.join(SHOWS)}")
        if isinstance(self.cue, bool) or not isinstance(self.cue, int) or self.cue < 0:
            raise ValueError(f"{self.lamp}: cue is {self.cue!r}: expected a whole number from 1 on")
        for name in ("on", "armed", "off"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 127:
                raise ValueError(f"{self.lamp}: {name} is {value!r}: expected a whole number from 0 to 127")


@dataclass(frozen=True)
class MappingFile:
    """What a mapping file holds."""

    targets: tuple[Target, ...] = ()
    waves: tuple[Wave, ...] = ()
    lights: tuple[Light, ...] = ()


def read_mapping(path: Path) -> MappingFile:
    """The mapping in the file `path`, empty if there is no such file; raises MappingError."""
    try:
        tomllib = import_module("tomllib")
    except ImportError:  # Python 3.10
        raise MappingError("mapping files need Python 3.11 or newer") from None
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return MappingFile()
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"mapping {path} cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}") from None
    try:
        return _mapping_of(tomllib.loads(text))
    except (ValueError, TypeError) as error:
        raise MappingError(f"mapping {path}: {error}") from None


def _mapping_of(fields: Mapping[str, Any]) -> MappingFile:
    unknown = sorted(set(fields) - set(TABLES))
    if unknown:
        raise ValueError(f"unknown table {unknown[0]!r}: expected {', '.join(f'[[{name}]]' for name in TABLES)}")
    for name in TABLES:
        entries = fields.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{name} is no list of tables: write [[{name}]]")
    return MappingFile(
        tuple(_entry(Target, entry) for entry in fields.get("map", [])),
        tuple(_entry(Wave, entry) for entry in fields.get("wave", [])),
        tuple(_entry(Light, entry) for entry in fields.get("light", [])),
    )


def _entry(kind: Any, entry: Mapping[str, Any]) -> Any:
    unknown = sorted(set(entry) - set(kind.__dataclass_fields__))
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}: expected {', '.join(kind.__dataclass_fields__)}")
    first = next(iter(kind.__dataclass_fields__))
    if first not in entry:
        raise ValueError(f"an entry has no {first}")
    return kind(**entry)


def write_mapping(path: Path, mapping: MappingFile) -> None:
    """Write the file as a whole, so that a crash leaves the old one; raises OSError."""
    entries = zip(TABLES, (mapping.targets, mapping.waves, mapping.lights), strict=True)
    tables = [table for name, held in entries for table in _tables(name, held)]
    temporary = path.with_name(path.name + ".new")
    temporary.write_text("\n".join(tables), encoding="utf-8")
    os.replace(temporary, path)


def _tables(name: str, entries: Sequence[Any]) -> list[str]:
    found = []
    for entry in entries:
        default = {field.name: field.default for field in type(entry).__dataclass_fields__.values()}
        rows = [f"{key} = {json.dumps(value)}" for key, value in asdict(entry).items() if value != default[key]]
        found.append("\n".join([f"[[{name}]]", *rows, ""]))
    return found


def _check_number(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r}: expected a number")
    return float(value)
