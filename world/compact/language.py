"""The words that a compact world understands. No torch, so that any process can list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from world.compact.word_slots import WordSlots
from world.info import WordGroups, split_words
from world.prompt_mix import PromptMix, Words, parts_of

MOST_PARTS = 16  # of a mix that is made complete: more would not fit into a prompt, nor would anybody see them


@dataclass(frozen=True)
class Language:
    """What a compact world makes of a text.

    synonyms: the words of each concept; their order is that of the rows of the trained embedding. silent: words that
    mean nothing here and get no token. groups: headings, each with its words. examples: prompts to show. showpiece: the
    prompt to begin with, and what plays under one without a known word. most_words: tokens that are read of a text.
    slots: how a sentence that names a few things is made complete; None: every text is read as it is.
    """

    synonyms: Mapping[str, tuple[str, ...]]
    silent: frozenset[str]
    groups: WordGroups
    examples: tuple[str, ...]
    showpiece: str
    most_words: int
    slots: WordSlots | None = None

    def __post_init__(self) -> None:
        if not self.synonyms or not all(self.synonyms.values()):
            raise ValueError("a language without words: expected a word or more for each concept")
        if type(self.most_words) is not int or not 1 <= self.most_words <= 256:
            raise ValueError(f"most_words {self.most_words!r}: expected a whole number from 1 to 256")
        for text in (self.showpiece, *self.examples):
            if strangers := self.unknown_words(text):
                raise ValueError(f"{text!r} is an example, but {strangers[0]!r} is not known")

        if self.slots and (strangers := sorted(set(self.slots.slot_of) - set(self.thesaurus))):
            raise ValueError(f"a slot can hold {strangers[0]!r}, which is not known")

    @cached_property
    def thesaurus(self) -> dict[str, str]:
        """The concept of each word."""
        return {word: concept for concept, words in self.synonyms.items() for word in words}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The place of each word's concept among the concepts."""
        place = {concept: number for number, concept in enumerate(self.synonyms)}
        return {word: place[concept] for word, concept in self.thesaurus.items()}

    def concepts(self, text: str) -> list[str]:
        """The concepts that `text` names, in order; words that are not known are left out."""
        return [self.thesaurus[word] for word in split_words(text) if word in self.thesaurus]

    def unknown_words(self, text: str) -> list[str]:
        """The words of `text` that this world does not know, in order."""
        return [word for word in split_words(text) if word not in self.thesaurus and word not in self.silent]

    def known_words(self, text: str) -> str:
        """`text` without the words that this world does not know, and without those that mean nothing."""
        return " ".join(word for word in split_words(text) if word in self.thesaurus)

    def complete(self, text: str, before: Words | None) -> str:
        """`text` with what it leaves out as it is `before`; in a world without slots, the text itself.

        before: the words in force, of a mix the last part; None: nothing was said yet, and a text without a known word
        is the showpiece. Later such a text changes nothing. What is complete stays as it is.
        """
        if self.slots is None:
            return text
        scene = self.slots.start if before is None else self._scene_of(parts_of(before)[-1][0])
        weights = dict[str, float]()
        for part, weight in parts_of(text):
            if concepts := self.concepts(part):
                whole = " ".join(self.slots.after(concepts, scene).values())
                weights[whole] = weights.get(whole, 0.0) + weight
        if not weights:
            is_first = before is None and text != self.showpiece
            return self.complete(self.showpiece, None) if is_first else " ".join(scene.values())
        if len(weights) == 1:
            return next(iter(weights))
        heaviest = sorted(weights.items(), key=lambda part: -part[1])[:MOST_PARTS]
        total = sum(weight for _, weight in heaviest)
        return str(PromptMix(tuple((whole, weight / total) for whole, weight in heaviest)))

    def _scene_of(self, words: str) -> dict[str, str]:
        assert self.slots is not None
        return self.slots.after(self.concepts(words), self.slots.start)
