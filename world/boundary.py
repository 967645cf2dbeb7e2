"""What the events at a block boundary change. Pure, and the same for a live session and for its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from world.block import Conditions
from world.event import Blend, Dial, Event, Prompt, Rebuild, Recall, Rewind, Scene
from world.info import PRESSED_BLOCKS, DialRange, grip_of, press_of
from world.past_block import PastBlock
from world.prompt_mix import Words
from world.seeds import mix


@dataclass(frozen=True)
class Boundary:
    """What the block after a boundary is made under, and how the cache has to follow.

    scene: the cache is emptied; switch: it is made anew under other words; renew: it is made anew with its sink,
    which comes from the `recalled` blocks where there are any. grip: how much of the window it is made anew from.
    keeps_averages: where it is made anew with its sink, the averages beside that one are kept.
    earlier: for each dial that comes between denoising steps, how many steps are made without it, and under what;
    `conditions` are those of the last step and of the cache.
    """

    conditions: Conditions
    scene: bool = False
    switch: bool = False
    renew: bool = False
    recalled: tuple[PastBlock, ...] = ()
    grip: float = 1.0
    earlier: tuple[tuple[int, Conditions], ...] = ()
    keeps_averages: bool = False

    @property
    def is_cut(self) -> bool:
        return self.scene or self.switch or self.renew

    def of_step(self, step: int) -> Conditions:
        """What denoising step number `step` of the block is made under, counted from 0."""
        return next((conditions for end, conditions in self.earlier if step < end), self.conditions)


def apply_events(
    conditions: Conditions, events: Sequence[Event], index: int, ranges: Mapping[str, DialRange]
) -> Boundary:
    """Take `events`, in order, at the boundary before block `index`.

    Dials outside `ranges` act on the display only. Where new words keep less than the whole window, the sink is made
    anew of what they keep. Raises ValueError at a Rewind, which a session cannot do alone.
    """
    after, scene, renew, recalled = conditions, False, False, tuple[PastBlock, ...]()
    earlier: list[tuple[int, Conditions]] = []
    keeps_averages = True
    for event in events:
        if isinstance(event, Prompt):
            after = replace(after, words=event.text)
        elif isinstance(event, Blend):
            after = replace(after, words=event.mix)
        elif isinstance(event, Scene):
            seed = mix(after.seed, index) if event.seed is None else event.seed
            after, scene, renew, recalled = replace(after, words=event.text, seed=seed), True, False, ()
        elif isinstance(event, Dial) and event.name in ranges:
            if event.step:
                earlier.append((event.step, after))
            after = replace(after, dials={**after.dials, event.name: ranges[event.name].clamped(event.value)})
        elif isinstance(event, Rebuild):
            renew, keeps_averages = not scene, keeps_averages and event.keeps_averages
        elif isinstance(event, Recall):
            after, renew, keeps_averages = replace(after, words=event.text), not scene, False
            recalled = () if scene else event.blocks
        elif isinstance(event, Rewind):
            raise ValueError(f"rewind to block {event.block}: resume from a snapshot of that block instead")
    is_switch = not scene and after.words != conditions.words
    began = earlier[0][1] if earlier else after  # a dial that came between its steps changed no cache any more
    grip = grip_of(began.dials, ranges) if is_switch else 1.0
    if is_switch:
        after = _pressed(conditions, after, index, press_of(began.dials, ranges))
    elif scene or renew or index >= after.pressed_until:
        after = replace(after, left=None, pressed_until=0)
    earlier = [(step, replace(c, left=after.left, pressed_until=after.pressed_until)) for step, c in earlier]
    keeps_averages = renew and keeps_averages and grip >= 1
    return Boundary(after, scene, is_switch, renew or grip < 1, recalled, grip, tuple(earlier), keeps_averages)


def _pressed(before: Conditions, after: Conditions, index: int, press: float) -> Conditions:
    """`after`, whose new words are pressed on from block `index` on; a mix of words comes step by step, and is not."""
    if press > 0 and isinstance(before.words, str) and isinstance(after.words, str):
        return replace(after, left=before.words, pressed_until=index + PRESSED_BLOCKS)
    return replace(after, left=None, pressed_until=0)


def cut_if_loose(event: Event, words: Words | None, grip: float) -> Event:
    """`event`, or a hard cut in place of a Prompt that changes `words` where nothing of the window survives it."""
    is_loose = isinstance(event, Prompt) and grip <= 0 and event.text != words
    return Scene(event.text) if is_loose and isinstance(event, Prompt) else event


def in_range(dials: Mapping[str, float], ranges: Mapping[str, DialRange]) -> dict[str, float]:
    """Those of `dials` that the world has, within their limits."""
    return {name: ranges[name].clamped(value) for name, value in dials.items() if name in ranges}
