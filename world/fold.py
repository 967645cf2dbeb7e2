"""Which passes make a session's state again from its log, bit for bit: no more than the law of state asks for.

    bank = fold(append, latents and dials since the last cut, rebuild(sink origin, window at the last cut, words))

Inside the first window a rebuild makes the sink as well; a Rebuild event always does. A later prompt keeps the sink
that is there, so its origin, older latents under older words, has to be encoded first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from world.block import Block
from world.boundary import Boundary
from world.config import CacheConfig


@dataclass(frozen=True)
class Moment:
    """A block of the log and the boundary before it."""

    block: Block
    boundary: Boundary

    @property
    def rebuilds(self) -> bool:
        """Whether the cache was rebuilt before this block."""
        return self.block.start > 0 and self.block.cut is not None


@dataclass(frozen=True)
class Passes:
    """What has to be done again for one block of the log."""

    rebuild: bool
    append: bool


def is_whole(moment: Moment, cache: CacheConfig) -> bool:
    """Whether the moment's rebuild made the sink too, so that nothing older matters."""
    early = cache.window == -1 or moment.block.start <= cache.window
    return moment.rebuilds and (early or moment.boundary.renew or not cache.keep_sink)


def passes(line: Sequence[Moment], cache: CacheConfig) -> list[Passes]:
    """What to do again for each moment of `line`, oldest first; raises ValueError where `line` is too short."""
    if cache.published and cache.sink > cache.block:
        raise ValueError("a published cache keeps noisy keys in a sink above a block: its state is not in the log")
    if not line:
        return []
    numbers = range(len(line))
    since = max((i for i in numbers if line[i].block.start == 0), default=-1)
    cut = max((i for i in numbers if i > since and line[i].rebuilds), default=-1)
    origin = max((i for i in numbers if since < i <= max(cut, 0) and is_whole(line[i], cache)), default=since)
    if origin < 0:
        raise ValueError("the log's blocks must reach back to the beginning, a hard cut or a renewed sink")
    sink = [i for i in numbers if i >= origin and line[i].block.start < cache.sink]
    appended = {*sink, *range(max(cut, since), len(line))}
    return [Passes(i in (cut, origin) and line[i].rebuilds, i in appended) for i in numbers]
