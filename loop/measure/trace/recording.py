"""Reads a trace file back: its header, its flips, blocks and faults, and each event with the stages it reached."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from loop.output.ledger import STAGES

TraceLine = dict[str, Any]
NS = 1_000_000_000  # nanoseconds in a second
MS = 1_000_000  # nanoseconds in a millisecond


class TraceError(ValueError):
    """A trace cannot be read; the message is one line for the user."""


@dataclass(frozen=True)
class TracedEvent:
    """An event and the time at which it reached each stage, in ns of the monotonic clock.

    kind: its type as world.event.to_json writes it, or "display dial" for a dial that acts in the window's process.
    stamps: by stage (loop.output.ledger.STAGES, or "replaced"); "pump" is always there.
    dial: the dial's name, if the event is one.
    """

    id: int
    kind: str
    value: Any
    stamps: dict[str, int]
    dial: str | None = None

    @property
    def total_ms(self) -> float | None:
        """The time from its source to its first pixel; None if it was never shown."""
        if "flip" not in self.stamps:
            return None
        return (self.stamps["flip"] - self.stamps["pump"]) / MS

    def stages_ms(self) -> dict[str, float]:
        """For each stage that it reached, the time since the stage before."""
        reached = [stage for stage in STAGES if stage in self.stamps]
        return {after: (self.stamps[after] - self.stamps[before]) / MS for before, after in pairwise(reached)}


@dataclass(frozen=True)
class Recording:
    """A trace in parts: its header, and its flips, events, blocks, faults and cuts in the order they were written.

    situations: what each event found before it, by the event's number.
    """

    header: TraceLine
    flips: list[TraceLine] = field(default_factory=list)
    events: list[TracedEvent] = field(default_factory=list)
    blocks: list[TraceLine] = field(default_factory=list)
    faults: list[TraceLine] = field(default_factory=list)
    cuts: list[TraceLine] = field(default_factory=list)
    situations: dict[int, TraceLine] = field(default_factory=dict)

    def cut_frames(self, block: int) -> int:
        """How many pixel frames of a block were not shown because it was cut."""
        return sum(line["dropped"] for line in self.cuts if line["block"] == block)

    @property
    def period_ms(self) -> float:
        """How long a frame is shown at the world's own rate."""
        return 1e3 / self.header["fps"]

    @property
    def tick_ms(self) -> float:
        """How long a tick of the loop takes."""
        return 1e3 / self.header["tick_hz"]

    def since(self, seconds: float) -> Recording:
        """The same recording without the first `seconds` after its first flip."""
        if not self.flips:
            return self
        from_ns = self.flips[0]["t_ns"] + seconds * NS
        return Recording(
            self.header,
            [line for line in self.flips if line["t_ns"] >= from_ns],
            [event for event in self.events if event.stamps["pump"] >= from_ns],
            [line for line in self.blocks if line["t_begin_ns"] >= from_ns],
            [line for line in self.faults if line["t_ns"] >= from_ns],
            self.cuts,
            self.situations,
        )


def read_recording(path: Path) -> Recording:
    """Read the trace file `path`; raises TraceError. A last line that a crash cut short is ignored."""
    return parse_recording(path.read_text(encoding="utf-8").split("\n"), str(path))


def parse_recording(lines: Sequence[str], name: str = "trace") -> Recording:
    """Parse the lines of a trace; raises TraceError, which says `name` and the line's number."""
    kinds: dict[str, list[TraceLine]] = defaultdict(list)
    for number, text in enumerate(lines, 1):
        if line := _parse_line(text, f"{name}, line {number}", is_last=number == len(lines)):
            kinds[line["kind"]].append(line)
    if not kinds["header"]:
        raise TraceError(f"{name}: no header line; expected a file that `neverblink --trace` wrote")
    header = kinds["header"][0]
    events = _join_stages(kinds["event"], kinds["stage"], header.get("display_dials", ()))
    situations = {line["id"]: line for line in kinds["situation"]}
    return Recording(header, kinds["flip"], events, kinds["block"], kinds["fault"], kinds["cut"], situations)


def _parse_line(text: str, place: str, is_last: bool) -> TraceLine | None:
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


def _join_stages(
    events: Iterable[TraceLine], stages: Iterable[TraceLine], display_dials: Container[str]
) -> list[TracedEvent]:
    """Each event with its stamps. A stage can be stamped twice, since an abandoned block is begun again: the last
    stamp counts."""
    stamps: dict[int, dict[str, int]] = defaultdict(dict)
    for line in stages:
        stamps[line["id"]][line["stage"]] = line["t_ns"]
    return [_traced_event(line, stamps[line["id"]], display_dials) for line in events]


def _traced_event(line: TraceLine, stamps: dict[str, int], display_dials: Container[str]) -> TracedEvent:
    event, kind = line["event"], line["event"]["type"]
    value = event.get("value") if kind == "dial" else event.get("text")
    if kind == "dial" and event["name"] in display_dials:
        kind = "display dial"
    return TracedEvent(line["id"], kind, value, {"pump": line["t_ns"], **stamps}, event.get("name"))
