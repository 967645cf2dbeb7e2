"""A trace read back: its header, what became of each event, its flips, blocks and faults."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from loop.output.ledger import STAGES

Line = dict[str, Any]
NS = 1_000_000_000
MS = 1_000_000


class TraceError(ValueError):
    """A trace cannot be read; the message is one line for the user."""


@dataclass(frozen=True)
class Followed:
    """An event and when it reached each stage (loop.output.ledger.STAGES, or "replaced"), ns of the monotonic clock.

    kind: its type as world.event.to_json writes it, and "display dial" for a dial that acts in the window's process.
    dial: its name, of a dial.
    """

    id: int
    kind: str
    value: Any
    stamps: dict[str, int]
    dial: str | None = None

    @property
    def total_ms(self) -> float | None:
        """From its source to its first pixel; None where it has none."""
        if "flip" not in self.stamps:
            return None
        return (self.stamps["flip"] - self.stamps["pump"]) / MS

    def stages_ms(self) -> dict[str, float]:
        """For each stage that it passed, the time since the one before."""
        passed = [stage for stage in STAGES if stage in self.stamps]
        return {after: (self.stamps[after] - self.stamps[before]) / MS for before, after in pairwise(passed)}


@dataclass(frozen=True)
class Recording:
    """A trace in parts: its header, and its flips, events, blocks and faults in order."""

    header: Line
    flips: list[Line] = field(default_factory=list)
    events: list[Followed] = field(default_factory=list)
    blocks: list[Line] = field(default_factory=list)
    faults: list[Line] = field(default_factory=list)

    @property
    def period_ms(self) -> float:
        """How long the world itself shows a frame."""
        return 1e3 / self.header["fps"]

    @property
    def tick_ms(self) -> float:
        """The time between two looks at the schedule."""
        return 1e3 / self.header["tick_hz"]

    def since(self, seconds: float) -> Recording:
        """Without what happened in the first `seconds` after the first flip."""
        if not self.flips:
            return self
        from_ns = self.flips[0]["t_ns"] + seconds * NS
        return Recording(
            self.header,
            [line for line in self.flips if line["t_ns"] >= from_ns],
            [event for event in self.events if event.stamps["pump"] >= from_ns],
            [line for line in self.blocks if line["t_begin_ns"] >= from_ns],
            [line for line in self.faults if line["t_ns"] >= from_ns],
        )


def read(path: Path) -> Recording:
    """The recording in the trace file `path`; raises TraceError. A last line that a crash cut off is left out."""
    return parse(path.read_text(encoding="utf-8").split("\n"), str(path))


def parse(lines: Sequence[str], name: str = "trace") -> Recording:
    """`read` from lines of text."""
    kinds: dict[str, list[Line]] = defaultdict(list)
    for number, text in enumerate(lines, 1):
        if line := _line(text, f"{name}, line {number}", is_last=number == len(lines)):
            kinds[line["kind"]].append(line)
    if not kinds["header"]:
        raise TraceError(f"{name}: no header line; expected a file that `neverblink --trace` wrote")
    header = kinds["header"][0]
    events = _events(kinds["event"], kinds["stage"], header.get("display_dials", ()))
    return Recording(header, kinds["flip"], events, kinds["block"], kinds["fault"])


def _line(text: str, place: str, is_last: bool) -> Line | None:
    if not text.strip():
        return None
    try:
        line = json.loads(text)
    except ValueError:
        if is_last:
            return None
        raise TraceError(f"{place}: not JSON") from None
    if not isinstance(line, dict) or "kind" not in line:
        raise TraceError(f'{place}: no "kind"')
    return line


def _events(events: Iterable[Line], stages: Iterable[Line], display: Container[str]) -> list[Followed]:
    """The last stamp of a stage counts: a block that was left is begun again."""
    stamps: dict[int, dict[str, int]] = defaultdict(dict)
    for line in stages:
        stamps[line["id"]][line["stage"]] = line["t_ns"]
    return [_followed(line, stamps[line["id"]], display) for line in events]


def _followed(line: Line, stamps: dict[str, int], display: Container[str]) -> Followed:
    event, kind = line["event"], line["event"]["type"]
    value = event.get("value") if kind == "dial" else event.get("text")
    if kind == "dial" and event["name"] in display:
        kind = "display dial"
    return Followed(line["id"], kind, value, {"pump": line["t_ns"], **stamps}, event.get("name"))
