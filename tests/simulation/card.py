"""The test card with a dial, and what became of each of its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from world.block import Block, Conditions, Denoised, Made, Pass, Snapshot
from world.event import Dial, Event, Prompt, Recall, Scene
from world.info import STEPS_DIAL, DialRange, steps_dial
from world.options import ProbeOptions
from world.probe import STEPS, ProbeWorld
from world.prompt_mix import Words, parts_of

PICTURE = (2, 1)
LATE_STEPS = 2  # of four, as in the worlds that have dials
DIALS = {"zoom": DialRange(-1.0, 1.0, 0.0), **steps_dial(STEPS)}


@dataclass
class MadeCard:
    """A block that was made: what it was made under, when, and when it was taken back, if it was.

    latents, cut_ns: how many of its latent frames are left, if it was cut, and when that was.
    """

    block: Block
    words: str
    made_ns: int
    forgotten_ns: int | None = None
    latents: int | None = None
    cut_ns: int = 0


@dataclass
class Story:
    """Every block that any life of the model has made, in order."""

    cards: list[MadeCard] = field(default_factory=list)


def read_card(pixels: np.ndarray) -> tuple[int, int]:
    """pixels uint8 [1, 2, 3] -> (frame number, prompts applied)."""
    (low, high, _), (few, many, _) = pixels[0].tolist()
    return low + 256 * high, few + 256 * many


class CardDecoder:
    """Two pixels a frame: its number and the number of prompts, in bytes. As quick as can be."""

    memory = 0

    def start(self) -> None:
        return None

    def decode(self, state: None, latents: np.ndarray) -> tuple[np.ndarray, None]:
        """latents [1, f, 5, n, 1] of the test card -> frames uint8 [f * n, 1, 2, 3]."""
        values = latents[0, :, :2, :, 0].transpose(0, 2, 1).reshape(-1, 2).astype(np.int64)
        frames = np.zeros((len(values), 1, 2, 3), np.uint8)
        frames[:, 0, :, 0], frames[:, 0, :, 1] = values % 256, values // 256
        return frames, None


def complete(text: str, before: Words | None) -> str:
    """`text`, such as `a3 b1`, with the slots (letters) that it leaves out as before; of a mix the last part counts."""
    spoken = parts_of(before)[-1][0].split() if before else []
    slots = {word[0]: word for word in (*spoken, *text.split())}
    return " ".join(slots[name] for name in sorted(slots))


class CardSession:
    """The test card's session, with dials. It writes into the story what it makes and what it forgets.

    completes: what words leave out stays.
    """

    def __init__(self, session: Any, story: Story, now_ns: Callable[[], int], completes: bool) -> None:
        self._session, self._story, self._now_ns, self._completes = session, story, now_ns, completes
        self._dials: dict[int, dict[str, float]] = {}  # after each block
        self._latest: dict[str, float] = {}
        self._steps_done = 0  # of the block in flight

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @property
    def conditions(self) -> Conditions:
        return replace(self._session.conditions, dials=self._latest)

    @property
    def takes_dials(self) -> bool:
        return self._session.state.can_turn and 0 < self._steps_done <= LATE_STEPS

    def completed(self, event: Event, after: Words | None = None) -> Event:
        if not self._completes or not isinstance(event, Prompt | Scene | Recall):
            return event
        whole = complete(event.text, after or self._session.conditions.words)
        return event if whole == event.text else replace(event, text=whole, said=event.said or event.text)

    def turn(self, dials: Sequence[Dial]) -> Conditions:
        self._turn(dials)
        self._session.state.turn(dials, self._steps_done)
        return self.conditions

    def begin(self, events: Sequence[Event]) -> Iterator[Pass]:
        self._turn(events)
        words, self._steps_done = None, 0
        for done in self._session.begin(events):
            self._steps_done = done.step + 1 if isinstance(done, Denoised) else 0
            words = words or self._session.conditions.words
            if isinstance(done, Made):
                yield Made(self._note(done.block, words))
            else:
                yield done

    def ahead(self, events: Sequence[Event]) -> None:
        self._turn(events)
        self._session.ahead(events)

    def take_back(self, after: int, latents: int | None = None) -> None:
        self._session.take_back(after, latents)
        for card in self._story.cards:
            if card.block.index > after and card.forgotten_ns is None:
                card.forgotten_ns = self._now_ns()
            elif card.block.index == after and latents is not None:
                card.latents, card.cut_ns = latents, self._now_ns()

    def resume(self, snapshot: Snapshot) -> None:
        words = snapshot.words
        if self._completes and isinstance(words, str):
            snapshot = replace(snapshot, words=complete(words, None))
        self._session.resume(snapshot)
        self._latest = dict(snapshot.dials)
        if snapshot.blocks:
            self._dials[snapshot.blocks[-1].index] = dict(snapshot.dials)

    def _turn(self, events: Sequence[Event]) -> None:
        turned = {event.name: event.value for event in events if isinstance(event, Dial)}
        self._latest = {**self._latest, **turned}
        self._session.steps = round(self._latest.get(STEPS_DIAL, STEPS))

    def _note(self, block: Block, words: str) -> Block:
        turned = {event.name: event.value for event in block.events if isinstance(event, Dial)}
        dials = self._dials[block.index] = {**self._dials.get(block.parent, {}), **turned}
        made = replace(block, dials=dials)
        self._story.cards.append(MadeCard(made, words, self._now_ns()))
        return made


class CardWorld:
    """The test card's world, with a dial and a quick decoder. start_ms: what it costs to begin a session."""

    def __init__(
        self,
        options: ProbeOptions,
        start_ms: float,
        spend: Callable[[float], None],
        story: Story,
        now_ns: Callable[[], int],
        completes: bool = False,
    ) -> None:
        self._completes = completes
        self._world = ProbeWorld(options, None, spend)
        self._spend, self._start_ms = spend, start_ms
        self.info = replace(self._world.info, picture=PICTURE, dials=DIALS, late_steps=LATE_STEPS)
        self.decoder = CardDecoder()
        self._story, self._now_ns = story, now_ns

    def session(self, seed: int, prompt: str, spare: int = 8) -> CardSession:
        self._spend(self._start_ms / 1e3)
        first = complete(prompt, None) if self._completes else prompt
        session = self._world.session(seed, first, spare)
        return CardSession(session, self._story, self._now_ns, self._completes)
