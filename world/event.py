"""The events: everything that can happen to a running world, as frozen values. Importing this costs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from world.invisible import unreadable_as_spaces, without_invisible, without_strays

MAX_TEXT = 2_000  # characters; UMT5 reads 512 tokens, and nobody types more on a stage


@dataclass(frozen=True)
class Prompt:
    """New words for the running world, which goes on from what was shown."""

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_text(self.text))


@dataclass(frozen=True)
class Dial:
    """A dial of the world or of the display, set to `value`."""

    name: str
    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"dial {self.name!r} was set to {self.value}: give a finite number")


@dataclass(frozen=True)
class Scene:
    """A hard cut: a new stream from empty caches under these words; without a `seed` it keeps the one in force."""

    text: str
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean_text(self.text))


@dataclass(frozen=True)
class Rebuild:
    """Rebuild the cache from the latents of the window, under the words in force."""


@dataclass(frozen=True)
class Rewind:
    """Go on from block number `block`, as if those after it had never been made."""

    block: int


Event = Prompt | Dial | Scene | Rebuild | Rewind

_KINDS: dict[str, type] = {"prompt": Prompt, "dial": Dial, "scene": Scene, "rebuild": Rebuild, "rewind": Rewind}


def clean_text(text: str) -> str:
    """`text` on one line, without control and invisible characters; raises ValueError when empty or over MAX_TEXT."""
    line = " ".join(without_strays(unreadable_as_spaces(without_invisible(text))).split())
    if not line:
        raise ValueError("the prompt is empty: type at least one word")
    if len(line) > MAX_TEXT:
        raise ValueError(f"the prompt has {len(line):,} characters: {MAX_TEXT:,} is the most a world reads")
    return line


def to_json(event: Event) -> dict[str, Any]:
    """`event` as it is written in logs, in traces and on the wire: its type and its fields."""
    kind = next(name for name, cls in _KINDS.items() if isinstance(event, cls))
    return {"type": kind, **asdict(event)}


def from_json(fields: Mapping[str, Any]) -> Event:
    """The inverse of `to_json`; raises ValueError that says what is wrong."""
    rest = dict(fields)
    kind = rest.pop("type", None)
    if kind not in _KINDS:
        raise ValueError(f"event type {kind!r}: expected one of {', '.join(_KINDS)}")
    try:
        return _KINDS[kind](**rest)
    except TypeError as error:
        raise ValueError(f"{kind} event with {sorted(rest)}: {error}") from None
