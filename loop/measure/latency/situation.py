"""What an event finds before it when it comes, and how soon it could be seen from there.

While its block is made, the frames before that block pass, at a tick each at the fastest, since none of them is left
out. Which these are is in the trace: the frames that wait, and the block that is in flight. What the work costs was
measured on an idle worker. Nothing that the show did about the event goes in, so that a show that dawdles lies above
the bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loop.measure.shows.bound import Bound
from loop.measure.trace.recording import MS, NS, Recording, TracedEvent, TraceLine


@dataclass(frozen=True)
class EntryPoint:
    """Where an event could enter the stream.

    frames: how many pass before it. work_ms: from the event until its first frame is in the ring.
    """

    frames: int
    work_ms: float


@dataclass(frozen=True)
class PassingBound:
    """The bound of one event, in ms from its source.

    frames, work_ms: of its soonest entry point. ms: when it could be seen there. limited_ms: when it could be seen
    within the limits of a leap.
    """

    frames: int
    work_ms: float
    ms: float
    limited_ms: float


@dataclass(frozen=True)
class TracedRun:
    """A run at a block. passes: what each has done, and when it ended, in ms since `begun_ns`."""

    block: int
    begun_ns: int
    passes: tuple[tuple[str, float], ...]

    def spent_ms(self, t_ns: int) -> float:
        """How long it had run at this time."""
        return (t_ns - self.begun_ns) / MS

    def is_in_flight(self, t_ns: int) -> bool:
        """Whether it was under way at this time."""
        return bool(self.passes) and 0 <= self.spent_ms(t_ns) < self.passes[-1][1]

    def pass_rest_ms(self, t_ns: int) -> float:
        """How long the pass still ran that was under way at this time."""
        spent_ms = self.spent_ms(t_ns)
        return next(end_ms for _, end_ms in self.passes if end_ms > spent_ms) - spent_ms

    def done(self, what: str, t_ns: int) -> list[float]:
        """When its passes of this kind had ended, of those that had at this time."""
        return [end_ms for name, end_ms in self.passes if name == what and end_ms <= self.spent_ms(t_ns)]


def runs_of(recording: Recording) -> list[TracedRun]:
    """All runs at blocks, those that were given up included."""
    found = [(line["block"], run) for line in recording.blocks for run in (*line.get("given_up", ()), line)]
    return [TracedRun(block, run["t_begin_ns"], tuple(map(tuple, run.get("passes", ())))) for block, run in found]


class Situation:
    """What an event finds before it. header, line: of the trace; runs: at all blocks of the show."""

    def __init__(self, header: TraceLine, line: TraceLine, runs: Sequence[TracedRun], event: TracedEvent) -> None:
        self._header, self._line, self._kind, self._at_ns = header, line, event.kind, event.stamps["pump"]
        self._in_flight = next((run for run in runs if run.is_in_flight(self._at_ns)), None)

    def bound(self, costs: Bound) -> PassingBound:
        """That of the soonest entry point at which no frame is missing.

        If there is none, that of the last one: the frames before it run out, and a picture is held.
        """
        entries = sorted(self.entries(costs), key=lambda entry: (entry.frames, entry.work_ms))
        in_time = [entry for entry in entries if self._lasts(entry)] or entries[-1:]
        soonest = min(in_time, key=self._seen_ms)
        limited_ms = min(self._limited_ms(entry) for entry in in_time)
        return PassingBound(soonest.frames, soonest.work_ms, self._seen_ms(soonest), limited_ms)

    def entries(self, costs: Bound) -> Iterator[EntryPoint]:
        """Every entry point: within what waits, after it, in the block in flight, and after that one.

        Where what nobody saw is dropped, the cache is made again, but for a hard cut.
        """
        recache, work = costs.recache, costs.block + costs.first_decode
        rest = min(self._in_flight.pass_rest_ms(self._at_ns), costs.longest_pass) if self._in_flight else 0.0
        for frames in self._splices():
            yield EntryPoint(frames, rest + work + (0 if self._kind == "scene" else recache))
        waiting = sum(count for _, _, count in self._frames)
        yield EntryPoint(waiting, rest + work + (recache if self._kind == "prompt" else 0))
        if self._in_flight and not self._is_made:
            spent_ms = self._in_flight.spent_ms(self._at_ns) - sum(self._done("recached"))
            if self._kind == "dial" and len(self._done("denoised")) < self._header["late_steps"]:
                yield EntryPoint(waiting, max(0.0, work - spent_ms))
            then_ms = {"prompt": recache, "dial": costs.clean}.get(self._kind, 0.0) + work
            yield EntryPoint(waiting + self._header["block_frames"], max(0.0, costs.all_frames - spent_ms) + then_ms)

    def _done(self, what: str) -> list[float]:
        return self._in_flight.done(what, self._at_ns) if self._in_flight else []

    @property
    def _is_made(self) -> bool:
        """Whether frames of the block in flight are in the ring, seen by the window or not."""
        newest = self._line["newest"] // self._header["block_frames"]
        return self._in_flight is not None and (bool(self._done("made")) or self._in_flight.block <= newest)

    @property
    def _frames(self) -> list[tuple[int, int, int]]:
        """(block, latent frame, count) of the frames before the event: what waits, and what is on its way there."""
        found = [(block, latent, count) for block, latent, count in self._line["frames"]]
        if self._in_flight and self._is_made:
            block, size, newest = self._in_flight.block, self._header["block_frames"], self._line["newest"]
            found.append((block, self._header["block_frames"], min(size, (block + 1) * size - 1 - newest)))
        return found

    def _splices(self) -> Iterator[int]:
        """How many frames are left where what nobody saw is dropped: after a block, and for words within one."""
        passed, can_cut = 0, self._kind != "dial" and self._header["cut_from"] is not None
        for (block, _, count), (next_block, _, next_count) in pairwise(self._frames):
            passed += count
            if next_count and (block != next_block or can_cut):
                yield passed

    def _tick(self, t_ns: float) -> int:
        """The number of the first tick from `t_ns` on."""
        return int((round(t_ns) - 1 - self._header["tick_zero_ns"]) * self._header["tick_hz"] // NS + 1)

    def _tick_ns(self, tick: int) -> int:
        return int(self._header["tick_zero_ns"] - tick * -NS // self._header["tick_hz"])

    def _ready_ns(self, entry: EntryPoint) -> float:
        return self._at_ns + entry.work_ms * MS

    def _lasts(self, entry: EntryPoint) -> bool:
        """Whether the frames before it last, at their ordinary pace, until the event's first frame is ready."""
        due_ns = self._line["due_ns"] + entry.frames * self._line["period_ns"]
        return self._tick(self._ready_ns(entry)) <= self._tick(due_ns)

    def _seen_ms(self, entry: EntryPoint) -> float:
        """The first tick at which it is ready and the frames before it have passed."""
        passed = self._tick(self._at_ns) + entry.frames
        return (self._tick_ns(max(passed, self._tick(self._ready_ns(entry)))) - self._at_ns) / MS

    def _limited_ms(self, entry: EntryPoint) -> float:
        """The same where no more time is stolen than a leap may steal, and no frame comes faster than it may."""
        last_ns, due_ns, left_ns = (self._line[name] for name in ("last_ns", "due_ns", "left_ns"))
        tick_ns = NS // self._header["tick_hz"]
        step_ns = max(tick_ns, int(NS / self._header["fps"] / self._header["leap"]["most_rate"]))
        for number in range(entry.frames + 1):
            from_ns = self._at_ns if number < entry.frames else self._ready_ns(entry)
            may_ns = min(due_ns, max(last_ns + step_ns, due_ns - left_ns))
            shown_ns = self._tick_ns(self._tick(max(from_ns, may_ns)))
            last_ns = may_ns if shown_ns - may_ns < tick_ns else min(due_ns, shown_ns)
            left_ns, due_ns = left_ns - (due_ns - last_ns), last_ns + self._line["period_ns"]
        return (shown_ns - self._at_ns) / MS
