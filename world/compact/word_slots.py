"""Slot filling: what a sentence leaves out stays as it was said before. Pure, no torch.

A world whose words fall into slots (place, time, weather ...) has one value for each of them in force at any time. A
sentence names a few; the others keep their values. So the model always reads a complete description, as LongLive's
prompts are, and a person need not repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

Scene = dict[str, str]  # slot -> value


@dataclass(frozen=True)
class WordSlots:
    """The slots of a language and how sentences fill them.

    values: the concepts of each slot. start: what each holds before anything was said; its order is that of complete
    descriptions. ended: what is left of a slot whose value has gone, for slots where that can be. ending: the concept
    that says so: "the snow stops", "no boat". brings: what other slots hold beside a value, by value: beside what is
    left when something has gone always, beside what comes after that unless the sentence says otherwise.
    """

    values: Mapping[str, Sequence[str]]
    start: Mapping[str, str]
    ended: Mapping[str, str] = field(default_factory=dict)
    ending: str = ""
    brings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        brought = [pair for beside in self.brings.values() for pair in beside.items()]
        for slot, value in [*self.start.items(), *self.ended.items(), *brought]:
            if value not in self.values.get(slot, ()):
                raise ValueError(f"slot {slot!r} cannot hold {value!r}: expected one of its values")
        if set(self.start) != set(self.values):
            raise ValueError(f"slots {sorted(self.values)} start with {sorted(self.start)}: expected a value for each")

    @cached_property
    def slot_of(self) -> dict[str, str]:
        """The slot of each concept that can fill one."""
        return {value: slot for slot, values in self.values.items() for value in values}

    def named(self, concepts: Sequence[str]) -> Scene:
        """The slots that a sentence fills, with their values; where it names several of one, the last.

        What `ending` belongs to has gone, unless the sentence names another value for that slot.
        """
        gone = {self._ended_by(concepts, place) for place, concept in enumerate(concepts) if concept == self.ending}
        left = {self.slot_of[concepts[place]] for place in gone if place is not None}
        stays = {
            self.slot_of[concept]: concept
            for place, concept in enumerate(concepts)
            if concept in self.slot_of and place not in gone
        }
        return {slot: self.ended[slot] for slot in left} | stays

    def after(self, concepts: Sequence[str], before: Mapping[str, str]) -> Scene:
        """The scene that a sentence asks for while `before` is shown."""
        named = self.named(concepts)
        scene = {slot: named.get(slot, before[slot]) for slot in self.start}
        for slot, nothing in self.ended.items():
            is_new = before[slot] == nothing != scene[slot]
            for other, value in self.brings.get(scene[slot], {}).items():
                if scene[slot] == nothing or (is_new and other not in named):
                    scene[other] = value
        return scene

    def _ended_by(self, concepts: Sequence[str], place: int) -> int | None:
        """Where the value stands that the `ending` at `place` ends: before it, or else right after it."""
        around = [*range(place - 1, -1, -1), *range(place + 1, min(place + 2, len(concepts)))]
        return next((n for n in around if self.slot_of.get(concepts[n]) in self.ended), None)
