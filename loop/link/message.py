"""What the window's process and the model's process say to each other over their pipe. Plain data, pickled."""

from __future__ import annotations

from dataclasses import dataclass, field

from loop.link.cost import Cost
from world.block import Block, Conditions, Snapshot
from world.event import Event
from world.info import WorldInfo

NOBODY = 0  # the number of an event that nobody submitted: a later step of a transition

# -- to the model ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """Run a session into this ring, from its beginning or from a snapshot."""

    ring: str
    slots: int
    seed: int
    prompt: str
    reserve: int
    mode: str
    transition: int
    epoch: int
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Submit:
    """An event of a user, a script or a peer, for the next block boundary.

    keep: the newest block to keep, where later ones were dropped unseen for it; epoch counts those drops.
    """

    id: int
    event: Event
    keep: int | None = None
    epoch: int = 0


@dataclass(frozen=True)
class Mode:
    """How prompts are switched from now on (loop.timing.switch.MODES)."""

    mode: str


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
    """A block whose frames are in the ring, and what it stands on, so that another process could go on.

    took_ns: from its begin to its last frame, recaches left out.
    """

    block: Block
    conditions: Conditions
    epoch: int
    took_ns: int


@dataclass(frozen=True)
class Facts:
    """What the trace says of a block; fields as in world.block.Block. left: how often it was begun and left before."""

    index: int
    start: int
    cut: int | None
    seen: int | None
    dials: dict[str, float] = field(default_factory=dict)
    left: int = 0


@dataclass(frozen=True)
class BlockDone:
    """A block's clean pass is done, or was spared: what the block cost, and the worst costs lately.

    recache_ns: of the time from begin to end, what went into recaches.
    """

    facts: Facts
    t_begin_ns: int
    t_end_ns: int
    recache_ns: int
    worst: Cost


@dataclass(frozen=True)
class Fault:
    """The model process cannot go on. `usage`: the user can mend it (a wrong folder, say)."""

    what: str
    usage: bool


@dataclass(frozen=True)
class Died:
    """Put in by the receiving end when the pipe breaks."""
