"""Which passes make a session's state again from its log, bit for bit: no more than the law of state asks for.

    bank = fold(append, latents and dials since the last cut, rebuild(sink origin, window at the last cut, words))

Inside the first window a recache makes the sink as well; a Rebuild event always does. A later prompt keeps the sink
that is there, so its origin, older latents under older words, has to be encoded first. A block says with `cut` where
its state was made: the blocks from there on, up to itself, were appended under its words.

Where a cache is endless (cache_rules), everything since that origin has to be done again, every recache included; but
averages of what has left the window that are stored with a block are taken from there, and nothing is done again for
them that lies before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from world.block import Block, Conditions
from world.boundary import Boundary, apply_events
from world.cache_rules import CacheRules
from world.info import DialRange
from world.prompt_mix import Words


@dataclass(frozen=True)
class LoggedBlock:
    """A block of the log and the boundary before it."""

    block: Block
    boundary: Boundary

    @property
    def is_recached(self) -> bool:
        """Whether the cache was made anew for this block."""
        return self.block.start > 0 and self.block.cut is not None


@dataclass(frozen=True)
class Passes:
    """What has to be done again at one block of the log.

    recaches: the blocks whose recaches, or flushes, are made from the blocks before this one, in this order.
    words: those of its clean pass; None where none is needed. is_made_here: the block was made with this very bank, and
    not before a recache that it was then appended to. from_stored: the averages that the recaches go on from are those
    stored with the block before.
    """

    recaches: tuple[LoggedBlock, ...]
    words: Words | None
    is_made_here: bool = True
    from_stored: bool = False


def logged_line(blocks: Sequence[Block], conditions: Conditions, ranges: Mapping[str, DialRange]) -> list[LoggedBlock]:
    """Each of `blocks` with the boundary before it; `conditions` were in force before the first."""
    line = []
    for block in blocks:
        boundary = apply_events(conditions, block.events, block.index, ranges)
        line.append(LoggedBlock(block, boundary))
        conditions = boundary.conditions
    return line


def passes_to_restore(line: Sequence[LoggedBlock], rules: CacheRules) -> list[Passes]:
    """What to do again at each block of `line`, oldest first; raises ValueError where `line` is too short."""
    if not line:
        return []
    at = _places(line)
    cut = max(at, default=-1)
    stored = {i for i in at if rules.averages_window and _has_stored_averages(line, at, i, rules)}
    keeping = {i for i in at if rules.averages_window and line[i].boundary.keeps_averages}
    # while nothing has left the window, there is nothing to keep
    needs_older = {i for i in keeping - stored if line[at[i]].block.start > rules.window}
    whole = {i for i in at if rules.makes_sink(line[at[i]].block.start, line[i].boundary.renew)} - needs_older
    if not whole:
        raise ValueError("the log's blocks must reach back to the beginning, a hard cut or a renewed sink")
    origin = max(whole)
    base = max(i for i in {origin, *stored} if i >= origin) if rules.is_endless else cut
    followed = [i for i in sorted(at) if i == origin or i >= base]
    words = [logged.boundary.conditions.words for logged in line]
    made_before = set[int]()  # those that were appended to a bank which a recache had made without them
    for i in followed:
        words[at[i] : i] = [words[i]] * (i - at[i])
        made_before |= set(range(at[i], i))
    sink = [i for i in range(at[origin], len(line)) if line[i].block.start < rules.sink]
    appended = {*sink, *range(at[base], len(line))}
    recaches = [[r for r in followed if line[r].is_recached and at[r] == i] for i in range(len(line))]
    return [
        Passes(
            recaches=tuple(line[r] for r in recaches[i]),
            words=words[i] if i in appended else None,
            is_made_here=i not in made_before,
            from_stored=not stored.isdisjoint(recaches[i][:1]),
        )
        for i in range(len(line))
    ]


def _has_stored_averages(line: Sequence[LoggedBlock], at: Mapping[int, int], i: int, rules: CacheRules) -> bool:
    """Whether the averages that the recache of block `i` of `line` went on from are stored with the block before it.

    They are not where an earlier recache was made from there on, or from before that block: they were those of its bank
    then.
    """
    place = at[i]
    if not (place and line[place].block.start) or (rules.flush and not line[i].boundary.renew):
        return False
    is_of_the_line = not any(at[j] <= place <= j for j in at if j < i)
    return is_of_the_line and line[place - 1].block.averages is not None


def _places(line: Sequence[LoggedBlock]) -> dict[int, int]:
    """For each block since the last beginning whose state was made from latents: before which block of `line`."""
    since = max((i for i, logged in enumerate(line) if logged.block.start == 0), default=-1)
    numbers = {logged.block.index: i for i, logged in enumerate(line)}
    recached = [i for i, logged in enumerate(line) if i > since and logged.is_recached]
    places = {i: numbers[cut] for i in recached if (cut := line[i].block.cut) in numbers and cut is not None}
    return {since: since, **places} if since >= 0 else places
