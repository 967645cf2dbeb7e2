"""How the events of shows met their bounds, each made of the frames and the work that lay before it when it came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, median

from loop.measure.latency.situation import PassingBound, Situation, runs_of
from loop.measure.shows.bound import Bound
from loop.measure.trace.recording import Recording

NEAR = 1.25  # of its bound: an event that took no more has met it


def passing_bounds(recording: Recording, kind: str, costs: Bound) -> list[tuple[float, PassingBound]]:
    """(from source to pixel, ms, and its bound) of each event of a kind that was shown, where the trace says enough."""
    runs, found = runs_of(recording), []
    for event in recording.events:
        line = recording.situations.get(event.id)
        if line and event.kind == kind and event.total_ms is not None:
            found.append((event.total_ms, Situation(recording.header, line, runs, event).bound(costs)))
    return found


@dataclass(frozen=True)
class Passing:
    """The bounds of several events and how they were met: of n, in ms, medians and their ratio.

    each: the median of what each event took of its own bound. near: the share that took at most NEAR of it. frames,
    work: the medians of what makes up the bound. excess: how much more the events took, in the mean. limits: of that,
    what the limits of a leap make out. sooner: how many were seen before their bounds, as no show can be: then the
    costs were measured too high, beside other work.
    """

    n: int
    bound: float
    ratio: float
    each: float
    near: float
    frames: float
    work: float
    excess: float
    limits: float
    sooner: int


def passing(shows: Iterable[Recording], kind: str, costs: Bound) -> Passing | None:
    """How the events of a kind met their bounds; None if nothing is known of them."""
    found = [pair for show in shows for pair in passing_bounds(show, kind, costs)]
    if not found:
        return None
    totals, bounds = [total for total, _ in found], [bound for _, bound in found]
    bound, ratios = median(each.ms for each in bounds), [total / own.ms for total, own in found]
    return Passing(
        n=len(found),
        bound=bound,
        ratio=median(totals) / bound,
        each=median(ratios),
        near=mean(ratio <= NEAR for ratio in ratios),
        frames=median(each.frames for each in bounds),
        work=median(each.work_ms for each in bounds),
        excess=mean(total - each.ms for total, each in found),
        limits=mean(max(0.0, min(each.limited_ms, total) - each.ms) for total, each in found),
        sooner=sum(total < each.ms for total, each in found),
    )
