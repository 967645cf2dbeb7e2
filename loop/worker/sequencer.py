"""The sequencer: which of the events that wait a block boundary applies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from world.event import Dial, Event, Prompt, Rebuild, Recall, Rewind, Scene, words_of
from world.prompt_mix import Words

Numbered = tuple[int, Event]


def take(waiting: Sequence[Numbered]) -> list[Numbered]:
    """The events of `waiting` that a boundary applies, in order: each dial's latest, the last words, every trigger.

    Words are a Prompt, a Blend, a Recall or a Scene. A Scene replaces the words before it; a Prompt or a Recall after a
    Scene gives the new scene its words.
    """
    last: dict[str, int] = {_slot(number, event): number for number, event in waiting}
    kept = [(number, event) for number, event in waiting if last[_slot(number, event)] == number]
    return _merge_scene(waiting, kept)


def has_words(waiting: Sequence[Numbered], words: Words) -> bool:
    """Whether `waiting` needs a recache: it has other words than `words`, or new memory, and no hard cut."""
    events = [event for _, event in waiting]
    asked = [spoken for event in events if (spoken := words_of(event)) is not None]
    asks = any(isinstance(event, Rebuild | Recall) for event in events) or (bool(asked) and asked[-1] != words)
    return asks and not any(isinstance(event, Scene) for event in events)


def slewed(
    applied: Sequence[Numbered], values: Mapping[str, float], steps: Mapping[str, float]
) -> tuple[list[Numbered], list[Event]]:
    """`applied` with each dial moved from its present value by its step at most, and the events that remain for later.

    A dial that jumps across its range breaks the picture for a second; in steps it does not. Dials without a step jump.
    """
    now: list[Numbered] = []
    later: list[Event] = []
    for number, event in applied:
        if isinstance(event, Dial) and event.name in steps:
            value, step = values[event.name], steps[event.name]
            if abs(event.value - value) > step:
                later.append(event)
                event = Dial(event.name, value + (step if event.value > value else -step))
        now.append((number, event))
    return now, later


def _slot(number: int, event: Event) -> str:
    """Events that share a slot replace one another."""
    if isinstance(event, Dial):
        return f"dial {event.name}"
    if words_of(event) is not None:
        return "words"
    return "rewind" if isinstance(event, Rewind) else f"trigger {number}"


def _merge_scene(waiting: Sequence[Numbered], kept: list[Numbered]) -> list[Numbered]:
    """`kept`, where words that follow a hard cut in the same block become the words of that cut."""
    scenes = [event for _, event in waiting if isinstance(event, Scene)]
    if not scenes:
        return kept
    seed = scenes[-1].seed
    return [(n, Scene(e.text, seed)) if isinstance(e, Prompt | Recall) else (n, e) for n, e in kept]
