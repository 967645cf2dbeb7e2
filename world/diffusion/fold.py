"""Which passes make a session's state again from its log, bit for bit: no more than the law of state asks for.

    bank = fold(append, latents and dials since the last cut, rebuild(sink origin, window at the last cut, words))

Inside the first window a rebuild makes the sink as well; a Rebuild event always does. A later prompt keeps the sink
that is there, so its origin, older latents under older words, has to be encoded first. A block says with `cut` where
its state was made: the blocks from there on, up to itself, were appended under its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from world.block import Block
from world.boundary import Boundary
from world.dit.config import CacheConfig


@dataclass(frozen=True)
class LoggedBlock:
    """A block of the log and the boundary before it."""

    block: Block
    boundary: Boundary

    @property
    def rebuilds(self) -> bool:
        """Whether the cache was rebuilt for this block."""
        return self.block.start > 0 and self.block.cut is not None


@dataclass(frozen=True)
class Passes:
    """What has to be done again at one block of the log.

    rebuilds: whose rebuilds are made from the blocks before it, in this order.
    words: those of its clean pass; None where none is needed.
    """

    rebuilds: tuple[LoggedBlock, ...]
    words: str | None


def is_whole(made: int, renew: bool, cache: CacheConfig) -> bool:
    """Whether a rebuild from `made` latent frames makes the sink too, so that nothing older matters."""
    return cache.window == -1 or made <= cache.window or renew or not cache.keep_sink


def passes(line: Sequence[LoggedBlock], cache: CacheConfig) -> list[Passes]:
    """What to do again at each moment of `line`, oldest first; raises ValueError where `line` is too short."""
    if cache.published and cache.sink > cache.block:
        raise ValueError("a published cache keeps noisy keys in a sink above a block: its state is not in the log")
    if not line:
        return []
    at = _places(line)
    cut = max(at, default=-1)
    whole = [i for i in at if is_whole(line[at[i]].block.start, line[i].boundary.renew, cache)]
    if not whole:
        raise ValueError("the log's blocks must reach back to the beginning, a hard cut or a renewed sink")
    origin = max(whole)
    words = [moment.boundary.conditions.words for moment in line]
    for i in (origin, cut):
        words[at[i] : i] = [words[i]] * (i - at[i])
    sink = [i for i in range(at[origin], len(line)) if line[i].block.start < cache.sink]
    appended = {*sink, *range(at[cut], len(line))}
    rebuilds = [i for i in sorted({origin, cut}) if line[i].rebuilds]
    return [
        Passes(tuple(line[r] for r in rebuilds if at[r] == i), words[i] if i in appended else None)
        for i in range(len(line))
    ]


def _places(line: Sequence[LoggedBlock]) -> dict[int, int]:
    """For each moment since the last beginning whose state was made from latents: before which one of `line`."""
    since = max((i for i, moment in enumerate(line) if moment.block.start == 0), default=-1)
    numbers = {moment.block.index: i for i, moment in enumerate(line)}
    rebuilt = [i for i, moment in enumerate(line) if i > since and moment.rebuilds]
    places = {i: numbers[line[i].block.cut] for i in rebuilt if line[i].block.cut in numbers}
    return {since: since, **places} if since >= 0 else places
