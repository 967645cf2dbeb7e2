"""The table of settings, and in which marks one lies apart from the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from loop.measure.methods.trials import Marks
from world.train.judge.report import Figure, mean_of_values, share_of_hits

LEAST = 5  # trials: of fewer, an interval says too little to hold anything against it
Table = dict[str, dict[str, Figure]]  # by setting and mark


def figures_of(trials: Sequence[Marks]) -> dict[str, Figure]:
    """Each mark of all trials: the share of hits, or the mean of values."""
    found: dict[str, Figure] = {}
    for name in dict.fromkeys(name for marks in trials for name in marks):
        values = [value for marks in trials for value in marks.get(name, [])]
        if values:
            is_hit = all(isinstance(value, bool) for value in values)
            found[name] = share_of_hits([bool(v) for v in values]) if is_hit else mean_of_values(values)
    return found


def apart(table: Mapping[str, Mapping[str, Figure]]) -> Iterator[str]:
    """A line for each mark of a setting whose interval lies wholly above or below that of the first setting."""
    first, *others = table
    for setting in others:
        for mark, figure in table[setting].items():
            held = table[first].get(mark)
            if held and figure.count >= LEAST and (figure.low > held.high or figure.high < held.low):
                side = "above" if figure.value > held.value else "below"
                yield f"{setting}: {mark} {figure} lies {side} {first} with {held}"


def conclusion(table: Mapping[str, Mapping[str, Figure]]) -> list[str]:
    """What may be said of the table, in lines."""
    found, first = list(apart(table)), next(iter(table))
    others = "elsewhere" if found else "everywhere"
    return [*found, f"{others} the intervals overlap with those of {first!r}, or come of fewer than {LEAST}: no winner"]
