"""The shows that `neverblink latency` runs, and what is measured in them."""

from __future__ import annotations

import logging
import random
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from loop.measure.shows import trial
from loop.measure.shows.bound import Bound, block_play_s, drain_s, measure_idle
from loop.measure.shows.trial import ScriptEntry, Show
from loop.measure.trace.analysis import TOTAL, times_by_stage
from loop.measure.trace.recording import Recording, TracedEvent

log = logging.getLogger(__name__)
EVENT_KINDS = ("prompt", "dial", "display dial", "scene")
BRIGHTNESS = {"brightness": [0.7, 1.3]}  # the display dial that is turned
SEGMENT_TRIALS = 10  # of each kind, before the other mode has its turn
BARE_FPS = 120.0  # twice the tick rate, so that every flip shows a new frame


@dataclass(frozen=True)
class LatencyMeasurement:
    """Everything that one run of `neverblink latency` measured.

    live: the shows whose latencies count. bare: pump to flip without a model, ms, of each event. against: shows in
    another mode, which took turns with them.
    """

    live: tuple[Recording, ...]
    bound: Bound
    bare: list[float]
    against: tuple[Recording, ...] = ()

    def by_kind(self) -> dict[str, list[TracedEvent]]:
        """The events of the live shows by kind; a kind that has none is left out."""
        return events_by_kind(self.live)


def events_by_kind(shows: Sequence[Recording]) -> dict[str, list[TracedEvent]]:
    """The events of shows by kind; a kind that has none is left out."""
    kinds = {kind: [e for show in shows for e in show.events if e.kind == kind] for kind in EVENT_KINDS}
    return {kind: events for kind, events in kinds.items() if events}


def measure_latency(options: Namespace) -> LatencyMeasurement:
    """Run three shows: one with an idle worker for the bound, one without a model, and the live one.

    With options.against the live one is cut into segments, which take turns with the same ones in that mode.
    """
    idle, bound = measure_idle(options)
    log.info("the bound is measured; now a bare loop")
    bare = times_by_stage(trial.run_show_with_retry(_bare_show(options, idle)).events)[TOTAL]
    if options.against:
        live, against = _turns(options, idle, bound)
        return LatencyMeasurement(live, bound, bare, against)
    show = _live_show(options, idle, bound)
    log.info("now %d events in %.0f s", len(show.script), show.seconds)
    return LatencyMeasurement((trial.run_show_keeping_part(show),), bound, bare)


def _turns(options: Namespace, idle: Recording, bound: Bound) -> tuple[tuple[Recording, ...], tuple[Recording, ...]]:
    """The shows in mode options.switch and those in options.against, in turn, so that all are disturbed alike."""
    shows: dict[str, list[Recording]] = {options.switch: [], options.against: []}
    starts = range(0, options.trials, SEGMENT_TRIALS)
    for segment, start in enumerate(starts):
        trials = min(SEGMENT_TRIALS, options.trials - start)
        for mode, done in shows.items():
            asked = Namespace(**{**vars(options), "switch": mode, "trials": trials})
            show = _live_show(asked, idle, bound, segment)
            log.info("segment %d of %d: %s, %.0f s", segment + 1, len(starts), mode, show.seconds)
            done += filter(None, (trial.try_show(show),))
    return tuple(shows[options.switch]), tuple(shows[options.against])


def _bare_show(options: Namespace, idle: Recording) -> Show:
    times = trial.random_times(random.Random(trial.seed_of(options)), max(50, options.trials), 0.05, 0.1)
    script, seconds = trial.prompt_script(times), times[-1] + 0.5
    return trial.bare_show(options, BARE_FPS, idle.header["picture"], script, seconds)


def _live_show(options: Namespace, idle: Recording, bound: Bound, segment: int = 0) -> Show:
    """`options.trials` events of each kind in random order, so far apart that they do not influence each other."""
    chance = random.Random(1000 * trial.seed_of(options) + segment + 1)
    dials = trial.model_dials(idle)
    kinds = [kind for kind in EVENT_KINDS if kind != "dial" or dials] * options.trials
    chance.shuffle(kinds)
    drained_s = drain_s(idle, bound, options.reserve)
    times = trial.random_times(chance, len(kinds), drained_s, 2 * block_play_s(idle))
    entries = _entries_by_kind(dials)
    script = tuple({"at_s": at, **next(entries[kind])} for kind, at in zip(kinds, times, strict=True))
    arguments = trial.play_arguments(options, "--switch", options.switch, "--reserve", options.reserve)
    return Show(arguments, script, times[-1] + drained_s + 0.5)


def _entries_by_kind(dials: dict[str, list[float]]) -> dict[str, Iterator[ScriptEntry]]:
    """Endless script entries of each kind, without their times: new words each time, dials from end to end.

    dials: name -> [low, high] of the world's dials.
    """
    words = cycle(trial.PROMPTS)  # one iterator for both kinds, so that no event repeats the words before it
    return {
        "prompt": ({"prompt": text} for text in words),
        "scene": ({"scene": text} for text in words),
        "dial": cycle(_ends_of(dials)),
        "display dial": cycle(_ends_of(BRIGHTNESS)),
    }


def _ends_of(dials: dict[str, list[float]]) -> list[ScriptEntry]:
    """Entries that set every dial to its low end, then every dial to its high end."""
    return [{"dial": name, "value": ends[side]} for side in (0, 1) for name, ends in dials.items()]
