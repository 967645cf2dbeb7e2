"""What the engine needs of a model, whatever the model is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from loop.link.kept import Kept
from loop.link.message import BlockMade, Fault
from loop.link.ring import FrameMark, Schedule
from world.event import Event
from world.info import WorldInfo
from world.options import WorldOptions


@dataclass(frozen=True)
class GoingOn:
    """Where a stream goes on that was begun earlier.

    made: its newest blocks, oldest first, since the last hard cut at most. past: those that can be gone back to.
    newest: the highest number that any of its blocks has; none is used again. words, dials: the newest that were asked
    for, dials of the display included; other dials of the world go back to rest. bookmarks: blocks by name.
    """

    made: tuple[BlockMade, ...]
    newest: int
    words: str
    dials: dict[str, float] = field(default_factory=dict)
    past: tuple[BlockMade, ...] = ()
    bookmarks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamOptions:
    """What the stream of blocks begins with.

    prompt: None is the world's showpiece. reserve: blocks to hold ready beyond the one that is due. mode: the way in
    which prompts are switched (loop.timing.switch.MODES). transition: blocks over which new words come in. spare:
    whether a second process stands by: "on", "off", or "auto" where there is memory for it. going_on: where it goes on,
    if it does not begin; prompt and seed are those that it began with. memory: what comes back as memory when the words
    change (loop.supervise.memory_choice.MEMORIES). brakes: blocks are made in fewer steps before frames would repeat.
    """

    world: WorldOptions
    seed: int
    prompt: str | None
    reserve: int = 0
    mode: str = "auto"
    transition: int = 1
    spare: str = "auto"
    going_on: GoingOn | None = None
    memory: str = "named"
    brakes: bool = False


class Model(Protocol):
    """A source of frames that takes events. It never makes the engine wait.

    info: None until the world is open. words: the newest words that were asked for; None while they are not known.
    mode: the way in which prompts are switched. status: one line for the screen while there is nothing to show.
    fault: set once no frame will ever come again. life: counts the rings of frames. seen: how many frames of the
    present ring `new_frames` has handed out or dropped. is_switching: whether words were submitted under which no block
    has been made yet.
    """

    @property
    def options(self) -> StreamOptions: ...

    @property
    def info(self) -> WorldInfo | None: ...

    @property
    def versions(self) -> dict[str, str]: ...

    @property
    def words(self) -> str | None: ...

    @property
    def mode(self) -> str: ...

    @property
    def status(self) -> str | None: ...

    @property
    def fault(self) -> Fault | None: ...

    @property
    def life(self) -> int: ...

    @property
    def seen(self) -> int: ...

    @property
    def is_switching(self) -> bool: ...

    def submit(
        self, number: int, event: Event, keep: Kept | None = None, block: int | None = None, leaps: bool = False
    ) -> None:
        """Hand over event `number`. keep: up to where the stream is kept, if what comes after it was dropped for it.

        block: the block that the event is meant for; None: the next. leaps: that one is to be begun at once.
        """

    def set_mode(self, mode: str) -> None:
        """Switch prompts in this way from now on."""

    def set_transition(self, blocks: int) -> None:
        """Let the words that are submitted from now on come in over so many blocks."""

    def can_take_back(self, kept: Kept) -> bool:
        """Whether what comes after `kept` can be dropped and made anew."""

    def is_dropped(self, block: int, epoch: int) -> bool:
        """Whether block number `block`, made in this epoch, was taken back after it was made."""

    def poll(self) -> Sequence[Any]:
        """The messages (loop.link.message) that have come since the last call."""

    def new_frames(self) -> list[FrameMark]:
        """The frames that have come since the last call, oldest first."""

    def pixels(self, mark: FrameMark) -> np.ndarray:
        """The frame's pixels, uint8 [Y, X, 3]: a view that is valid until `tell`."""

    def tell(self, schedule: Schedule | None, oldest: FrameMark | None) -> None:
        """Say which frame is due when, and that no frame before `oldest` is needed (None: none at all)."""
