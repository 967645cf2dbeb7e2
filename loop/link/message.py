"""What the window's process and the model's process say to each other over their pipe. Plain data, pickled.

Start, Submit, DrawStored, GoBack, Follow, FollowVideo, DropAfter, Mode, Transition, Ping and Close go to the model's
process; all others come from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loop.link.cost import Cost
from loop.link.kept import Kept
from world.block import Block, Conditions, Snapshot
from world.event import Event
from world.info import WorldInfo

NOBODY = 0  # the number of an event that nobody submitted: a later step of a transition or of a dial


@dataclass(frozen=True)
class Start:
    """Begin a session that writes its frames into this ring, from its first block or from a snapshot.

    reserve: blocks to hold ready beyond the one that is due. transition: blocks over which new words come in. epoch:
    how often unseen blocks have been dropped so far. submits: what was asked for and is not made yet, for the first
    block; if it is the first of all, these events are in force at once and in full. follows: another machine makes the
    blocks, which come as Follow or FollowVideo; here they are decoded only. brakes: they are made in fewer steps where
    they would be late. picture: (width, height) of its frames.
    """

    ring: str
    slots: int
    picture: tuple[int, int]
    seed: int
    prompt: str
    reserve: int
    mode: str
    transition: int
    epoch: int
    snapshot: Snapshot | None = None
    submits: tuple[Submit, ...] = ()
    follows: bool = False
    brakes: bool = False


@dataclass(frozen=True)
class WarmUp:
    """Make a block for nobody: what a process does for the first time takes longer, and this one stands by."""


@dataclass(frozen=True)
class Submit:
    """An event of a user, a script or a peer, for the next block boundary.

    keep: up to where the stream is kept, if what comes after it was dropped unseen for this event. epoch: how often
    something has been dropped so, this time included. block: the block that it is meant for, so it must not come
    sooner; None: the sooner the better. leaps: begin that block at once, since what comes before it is shown faster.
    """

    id: int
    event: Event
    keep: Kept | None = None
    epoch: int = 0
    block: int | None = None
    leaps: bool = False


@dataclass(frozen=True)
class Follow:
    """Decode this block, which was made elsewhere. resume: the blocks before it, where it continues none known here."""

    made: BlockMade
    resume: tuple[Block, ...] = ()


@dataclass(frozen=True)
class FollowVideo:
    """Decode this frame, which was made elsewhere: number `frame`, of `block`, as an H.264 packet.

    epoch: as in Submit. is_key: it builds on none before. is_hidden: nobody is to see it.
    """

    frame: int
    block: int
    packet: bytes
    epoch: int
    is_key: bool
    is_hidden: bool


@dataclass(frozen=True)
class DropAfter:
    """The blocks after `kept` were taken back where they are made: do not decode them."""

    kept: int


@dataclass(frozen=True)
class DrawStored:
    """Make no blocks, and draw a stored one: the last of `blocks`, its frames last to first.

    The blocks before it, oldest first, are what its pixels depend on. Without any block, only rest. epoch: as in
    Submit.
    """

    blocks: tuple[Block, ...]
    epoch: int


@dataclass(frozen=True)
class GoBack:
    """Go on from this snapshot, whatever was made since.

    submits: what is asked for and not made; epoch: as in Submit.
    """

    snapshot: Snapshot
    submits: tuple[Submit, ...]
    epoch: int


@dataclass(frozen=True)
class Mode:
    """How prompts are switched from now on (loop.timing.switch.MODES)."""

    mode: str


@dataclass(frozen=True)
class Transition:
    """Over how many blocks the words come in that are submitted from now on."""

    blocks: int


@dataclass(frozen=True)
class Ping:
    """Give a sign of life: a Pong, at the next look at the pipe."""


@dataclass(frozen=True)
class Close:
    """End the process after the pass in flight."""


@dataclass(frozen=True)
class Opening:
    """How far the world is with being opened, where that takes long: one line for the operator."""

    what: str


@dataclass(frozen=True)
class Opened:
    """The world is loaded. leaves_room: the memory that is left is enough for a second process like this one."""

    info: WorldInfo
    versions: dict[str, str]
    leaves_room: bool = False


@dataclass(frozen=True)
class Started:
    """The process has attached to the ring, so the ring's name can be removed, and it takes events from now on."""


@dataclass(frozen=True)
class Beat:
    """The process runs, whatever its main thread is at: a thread of its own says so four times a second."""


@dataclass(frozen=True)
class Pong:
    """The main thread of the process makes progress."""


@dataclass(frozen=True)
class Lost:
    """These events will never be seen, and why."""

    numbers: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Trouble:
    """Something went wrong and was mended: one line for the operator."""

    what: str


@dataclass(frozen=True)
class Stage:
    """Event `id` reached `stage` (design, section 8) at `t_ns` of the monotonic clock."""

    id: int
    stage: str
    t_ns: int


@dataclass(frozen=True)
class Taken:
    """A block boundary took these events for `block`: `applied` take effect in it, `replaced` by later ones do not.

    recaches: a recache begins with it. spent_ns: how long the block had been worked on by then.
    """

    block: int
    applied: tuple[int, ...]
    replaced: tuple[int, ...]
    t_ns: int
    recaches: bool = False
    spent_ns: int = 0


@dataclass(frozen=True)
class BlockMade:
    """A block whose frames are in the ring, and the conditions it was made under, so that another process can go on.

    took_ns: from its begin to its last frame, without recaches.
    """

    block: Block
    conditions: Conditions
    epoch: int
    took_ns: int


@dataclass(frozen=True)
class Facts:
    """What the trace says of a block; fields as in world.block.Block.

    abandoned: how often a block was begun in its place and given up before it was made.
    """

    index: int
    start: int
    cut: int | None
    seen: int | None
    dials: dict[str, float] = field(default_factory=dict)
    abandoned: int = 0


PassEnd = tuple[str, int]  # what a pass has done (a class of world.block.Pass, in lower case), and when it ended


@dataclass(frozen=True)
class Run:
    """A run at a block: when it began, and the passes that ended, each with all that is done until the pipe is read."""

    t_begin_ns: int
    passes: tuple[PassEnd, ...]


@dataclass(frozen=True)
class BlockDone:
    """A block's clean pass is done or was not needed: what the block cost, and the costs to plan with from now on.

    recache_ns: how much of the time from begin to end went into recaches. passes: its passes. given_up: the runs at
    this block that were abandoned before.
    """

    facts: Facts
    t_begin_ns: int
    t_end_ns: int
    recache_ns: int
    worst: Cost
    passes: tuple[PassEnd, ...] = ()
    given_up: tuple[Run, ...] = ()


@dataclass(frozen=True)
class Retracted:
    """The blocks after `kept` were taken back by the machine that makes them. No process sends this."""

    kept: int


@dataclass(frozen=True)
class Stray:
    """A block or a frame of it came that continues none known here, and those before it did not come with it."""

    block: int


@dataclass(frozen=True)
class Drawn:
    """The first frame of a block that came as video is in the ring. took_ns: to decode the frame."""

    block: int
    took_ns: int


@dataclass(frozen=True)
class Fault:
    """The model's process cannot go on. `usage`: the user can mend the cause (a wrong folder, say)."""

    what: str
    usage: bool


@dataclass(frozen=True)
class Died:
    """The process has ended. No process sends this: the receiving end puts it in when the pipe breaks."""
