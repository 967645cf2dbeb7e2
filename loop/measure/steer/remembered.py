"""New words as a show gives them to a stream: with what comes back of its past, or as a hard cut."""

from __future__ import annotations

from loop.link.message import BlockMade
from loop.supervise.memory_choice import recall_for
from loop.supervise.past import ShowPast
from world.block import Block, Conditions
from world.boundary import cut_if_loose
from world.event import Event, Prompt
from world.info import WorldInfo, grip_of


class Remembered:
    """The past of one stream. memory: by which rule blocks come back (loop.supervise.memory_choice.MEMORIES)."""

    def __init__(self, info: WorldInfo, memory: str = "named") -> None:
        self._info, self._memory, self._past = info, memory, ShowPast()
        self._past.memory_blocks = info.memory_blocks
        self._newest: BlockMade | None = None

    def note(self, block: Block, conditions: Conditions) -> None:
        """Remember the newest block, and what it was made under."""
        self._newest = BlockMade(block, conditions, 0, 0)
        self._past.add(self._newest)

    def event(self, text: str) -> Event:
        """What the words `text` are for the next block."""
        if self._newest is None:
            return Prompt(text)
        now, index = self._newest.conditions, self._newest.block.index
        event = cut_if_loose(Prompt(text), now.words, grip_of(now.dials, self._info.dials))
        if not isinstance(event, Prompt):
            return event
        return recall_for(self._memory, self._past, index, text, self._info) or event
