"""What was asked of a stream: the newest words and dials, and the events that no block was made under yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loop.link.message import NOBODY, Submit, Taken
from world.block import Block, Conditions
from world.event import Dial, Event, Prompt, said_of, text_of, words_of
from world.info import STEPS_DIAL


class StreamRequests:
    """Survives the processes that make the stream, so that each next one gets what its forerunner left undone.

    words: the newest, as they were said. dials: the newest values. whole: the newest words that a world with slots has
    made complete (world.compact.word_slots), and what was said; None in other worlds.
    """

    def __init__(self, words: str | None) -> None:
        self.words = words
        self.dials: dict[str, float] = {}
        self.whole: Prompt | None = None
        self._first = words
        self._unmade: dict[int, tuple[Event, int | None]] = {}  # events, and the block that each was taken for
        self._overtaken: list[tuple[Event, int]] = []  # words that later ones for the same block may build on

    @property
    def unmade(self) -> dict[int, Event]:
        """The events whose block is not made yet, by their numbers."""
        return {number: event for number, (event, _) in self._unmade.items()}

    @property
    def whole_words(self) -> str:
        """The newest words, as complete as they are known here; without those that are to be asked for once more."""
        if self.whole:
            return self.whole.text
        return (self._first if self._has_words else None) or self.words or ""

    def begin_under(self, words: str) -> None:
        """The stream begins under these words, if it was not said yet under which."""
        self.words, self._first = self.words or words, self._first or words

    def note(self, number: int, event: Event) -> None:
        """An event was submitted."""
        self.words = text_of(event) or self.words
        if isinstance(event, Dial):
            self.dials[event.name] = event.value
        self._unmade[number] = event, None

    def taken(self, taken: Taken) -> None:
        """Keep the events until the block that takes them is made, since the process may die before."""
        for number in taken.replaced:
            event, _ = self._unmade.pop(number, (None, None))
            if event is not None and words_of(event) is not None:
                self._overtaken.append((event, taken.block))
        for number in taken.applied:
            if number in self._unmade:
                self._unmade[number] = self._unmade[number][0], taken.block

    def forget(self, numbers: Iterable[int]) -> None:
        """These events are given up."""
        for number in numbers:
            self._unmade.pop(number, None)

    def made(self, block: Block) -> None:
        """A block was made."""
        self.settled(block.index)
        for event in block.events:
            if text := text_of(event):
                said = said_of(event) or text
                self.whole = Prompt(text, said) if said != text else None

    def settled(self, block: int) -> None:
        """The events that were taken up to block number `block` have had their effect."""
        self._unmade = {n: e for n, e in self._unmade.items() if e[1] is None or e[1] > block}
        self._overtaken = [pair for pair in self._overtaken if pair[1] > block]

    def return_to(self, words: str) -> tuple[int, ...]:
        """The stream goes back to these words; the numbers of the events whose words have no effect for that."""
        self.words, self._first, self.whole = words, words, None
        lost = tuple(number for number, event in self.unmade.items() if words_of(event) is not None)
        self.forget(lost)
        return lost

    def anew(self) -> None:
        """What was taken for a block is to be taken for another one: the stream goes on elsewhere."""
        self._unmade = {number: (event, None) for number, event in self.unmade.items()}

    def to_submit(
        self, conditions: Conditions | None, epoch: int, dials: Mapping[str, float], is_braked: bool
    ) -> tuple[Submit, ...]:
        """What the next block is to be made under, after one that was made under `conditions`, if any.

        Events without a block, and the rest of a transition or a dial's way. dials: those of the newest values that the
        world has. is_braked: a brake must hear how many steps were asked for, whatever is in force.
        """
        found = [Submit(NOBODY, event) for event, _ in self._overtaken]
        found += [Submit(number, event, None, epoch) for number, event in self.unmade.items()]
        in_force = conditions.words if conditions else None
        if self.whole and in_force not in (None, self.whole.text):
            found.insert(0, Submit(NOBODY, self.whole))  # what was asked for since then may leave things out
        elif not self.whole and in_force not in (None, self.words) and self.words and not self._has_words:
            found.append(Submit(NOBODY, Prompt(self.words)))
        asked = {event.name for event in self.unmade.values() if isinstance(event, Dial)}
        for name, value in dials.items():
            is_there = conditions is not None and conditions.dials.get(name) == value
            if name not in asked and (not is_there or (is_braked and name == STEPS_DIAL)):
                found.append(Submit(NOBODY, Dial(name, value)))
        return tuple(found)

    @property
    def _has_words(self) -> bool:
        return any(words_of(event) is not None for event in self.unmade.values())
