"""The two caches of a stream, as plain data: what each holds, and what can be done to them.

A SwitchState keeps the former and asks for the latter; a session does it.
"""

from __future__ import annotations

from dataclasses import dataclass

from world.block import Conditions
from world.boundary import Boundary
from world.past_block import PastBlock
from world.prompt_mix import Words

FRONT = -1  # in place of a block's number


@dataclass(frozen=True)
class BankState:
    """A bank holds the stream up to latent frame `end` under `words`; None: of its content only the sink is valid.

    sink_since: the first block that was made with this sink. recalled: what the last recache made the sink of.
    cut: the first block that the last recache did not encode, until a block is made with its result. grip: how much of
    the window the last recache encoded. keeps_averages: as in the boundary that it was made for.
    """

    words: Words | None
    end: int = 0
    sink_since: int = -1
    cut: int | None = None
    recalled: tuple[PastBlock, ...] = ()
    grip: float = 1.0
    keeps_averages: bool = False

    def matches(self, boundary: Boundary, seen: int) -> bool:
        """Whether block number `seen`, after `boundary`, can be made with this bank once no clean pass is missing."""
        has_sink = self.sink_since == seen and self.recalled == boundary.recalled
        has_sink = has_sink and self.keeps_averages == boundary.keeps_averages
        if self.cut is not None and self.grip != boundary.grip:
            return False
        return self.words == boundary.conditions.words and (not boundary.renew or has_sink)


@dataclass(frozen=True)
class Clear:
    """Empty the front bank, since a scene begins."""


@dataclass(frozen=True)
class Recache:
    """Fill the back bank under `words`: one pass over the `frames` latent frames before latent frame `end`.

    renew: the first of them become the sink; otherwise the sink is copied from the front bank. recalled: the newest
    frames of these blocks take the place of the first ones. Where `end` is 0 there is nothing to encode: empty the back
    bank. is_short: it then holds these frames and no room for older ones, as if the stream had begun with them.
    averages: the block whose averages of what has left the window are gone on from, or FRONT for those of the front
    bank; None: they begin anew.
    """

    words: Words
    end: int
    frames: int
    renew: bool
    recalled: tuple[PastBlock, ...] = ()
    is_short: bool = False
    averages: int | None = None


@dataclass(frozen=True)
class Append:
    """The clean pass: write block number `block` into the front bank, or into the back bank, under `words`."""

    words: Words
    block: int
    to_back: bool = False


@dataclass(frozen=True)
class Flush:
    """Keep of the front bank its sink and the few newest frames before latent frame `end`."""

    end: int


@dataclass(frozen=True)
class Remake:
    """Make block number `block` of a log again, from latent frame `start` on: for what it leaves in the bank."""

    block: int
    start: int
    conditions: Conditions


@dataclass(frozen=True)
class Swap:
    """Let the front and the back bank change places."""


Work = Clear | Recache | Append | Flush | Remake | Swap
