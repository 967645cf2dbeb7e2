"""world.toml, the folder's own description of itself: what it says beats what is known of a family."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from world.info import WorldError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "world.toml"
MOST_BYTES = 2**16

Check = Callable[[object], Any]  # the value as it is used; raises ValueError, which says what was expected


@dataclass(frozen=True)
class Description:
    """What world.toml says; None or empty where it says nothing.

    weights, lora: paths below the folder. sampler, cache: fields of SamplerConfig and CacheConfig. picture: its size.
    """

    family: str | None = None
    weights: str | None = None
    entry: str | None = None
    lora: str | None = None
    licence: str | None = None
    sampler: Mapping[str, Any] = field(default_factory=dict)
    cache: Mapping[str, Any] = field(default_factory=dict)
    picture: tuple[int, int] | None = None
    fps: float | None = None


def read_description(folder: Path) -> Description:
    """What the folder says of itself, if it has a world.toml; raises WorldError, one line, for what cannot be meant."""
    path = folder / NAME
    if not path.is_symlink() and not path.exists():
        return Description()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
        content = tomllib.loads(path.read_text("utf-8"))
        top = _checked(content, _TOP, "")
        sampler = _checked(content.get("sampler", {}), _SAMPLER, "sampler")
        memory = _checked(content.get("memory", {}), _MEMORY, "memory")
        picture = _checked(content.get("picture", {}), _PICTURE, "picture")
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise WorldError(f"{path} cannot be used: {why}") from None
    if "clean" in content.get("sampler", {}):
        memory["clean_pass"] = "clean" in sampler
    return Description(**top, sampler=sampler, cache=memory, picture=picture.get("size"), fps=picture.get("fps"))


def _checked(table: object, rows: Mapping[str, tuple[str, Check]], section: str) -> dict[str, Any]:
    """The entries of one section under our names; raises ValueError for an unknown one or a wrong value."""
    if not isinstance(table, dict):
        raise ValueError(f"{section} is no section: write [{section}]")
    found: dict[str, Any] = {}
    for name, value in table.items():
        shown = f"{section}.{name}" if section else name
        if name not in rows:
            known = ", ".join(rows) if section else ", ".join([*rows, *(f"[{each}]" for each in _SECTIONS)])
            if section or name not in _SECTIONS:
                raise ValueError(f"{shown[:60]!r} is not known: expected {known}")
            continue
        ours, check = rows[name]
        try:
            found |= check(value) if ours == "clean" else {ours: check(value)}
        except ValueError as error:
            raise ValueError(f"{shown} is {repr(value)[:60]}, expected {error}") from None
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 500 or not value.isprintable():
        raise ValueError("a text on one line")
    return value


def _path(value: object) -> str:
    text = _text(value)
    if Path(text).is_absolute() or ".." in Path(text).parts:
        raise ValueError("a path below the folder")
    return text


def _whole(low: int, high: int) -> Check:
    def check(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _number(low: float, high: float) -> Check:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _steps(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(step) is int for step in value):
        raise ValueError("nominal timesteps like [1000, 750, 500, 250]")
    return tuple(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _clean(value: object) -> dict[str, Any]:
    """The timestep of the clean pass; "none" where there is none, and a recache encodes at 0."""
    if value == "none":
        return {}
    try:
        return {"clean": _number(0, 999)(value)}
    except ValueError:
        raise ValueError('the timestep of the clean pass, like 0, or "none"') from None


def _one_of(*names: str) -> Check:
    def check(value: object) -> str:
        if value not in names:
            raise ValueError(" or ".join(f'"{name}"' for name in names))
        return str(value)

    return check


def _is_flush(value: object) -> bool:
    return bool(_one_of("recache", "flush")(value) == "flush")


def _size(value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(map(_is_side, value)):
        return value[0], value[1]
    raise ValueError("width and height in multiples of 16 pixels, like [832, 480]")


def _is_side(value: object) -> bool:
    return type(value) is int and 16 <= value <= 16384 and value % 16 == 0


_SECTIONS = ("sampler", "memory", "picture")
_TOP: Mapping[str, tuple[str, Check]] = {
    "family": ("family", _text),
    "weights": ("weights", _path),
    "entry": ("entry", _text),
    "lora": ("lora", _path),
    "licence": ("licence", _text),
}
_SAMPLER: Mapping[str, tuple[str, Check]] = {
    "steps": ("steps", _steps),
    "first_steps": ("first_steps", _steps),
    "shift": ("shift", _number(0.01, 100)),
    "warp": ("warp", _flag),
    "clean": ("clean", _clean),
}
_MEMORY: Mapping[str, tuple[str, Check]] = {
    "window": ("window", _whole(1, 1024)),
    "sink": ("sink", _whole(0, 1024)),
    "block": ("block", _whole(1, 64)),
    "positions": ("positions", _one_of("relative", "absolute")),
    "span": ("span", _whole(0, 1024)),
    "sink_average": ("sink_average", _number(0, 1)),
    "switch": ("flush", _is_flush),
}
_PICTURE: Mapping[str, tuple[str, Check]] = {"size": ("size", _size), "fps": ("fps", _number(1, 240))}
