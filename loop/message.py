"""What the window's process and the model's process say to each other over their pipe. Plain data, pickled."""

from __future__ import annotations

from dataclasses import dataclass

from world.block import Block, Snapshot
from world.event import Event
from world.info import WorldInfo

# -- to the model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """Run a session into this ring, from its beginning or from a snapshot."""

    ring: str
    slots: int
    seed: int
    prompt: str
    reserve: int
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Submit:
    """An event of a user, a script or a peer, for the next block boundary."""

    id: int
    event: Event


@dataclass(frozen=True)
class Close:
    """End the process after the pass in flight."""


# -- from the model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """The world is loaded."""

    info: WorldInfo
    versions: dict[str, str]


@dataclass(frozen=True)
class Started:
    """The ring is attached: its name is no longer needed."""


@dataclass(frozen=True)
class Stage:
    """Event `id` reached `stage` (design, section 8) at `t_ns` of the monotonic clock."""

    id: int
    stage: str
    t_ns: int


@dataclass(frozen=True)
class Taken:
    """A boundary took these events for `block`: `applied` take effect in it, `replaced` gave way to later ones."""

    block: int
    applied: tuple[int, ...]
    replaced: tuple[int, ...]
    t_ns: int


@dataclass(frozen=True)
class BlockMade:
    """A block whose frames are in the ring, and the state after it, so that another process could go on."""

    block: Block
    words: str
    dials: dict[str, float]
    switch: bool


@dataclass(frozen=True)
class BlockDone:
    """A block's clean pass is done: what the block cost. `recache_ns` is 0 where there was none."""

    block: int
    start: int
    switch: bool
    t_begin_ns: int
    t_end_ns: int
    recache_ns: int


@dataclass(frozen=True)
class Fault:
    """The model process cannot go on. `usage`: the user can mend it (a wrong folder, say)."""

    what: str
    usage: bool


@dataclass(frozen=True)
class Died:
    """Put in by the receiving end when the pipe breaks."""
