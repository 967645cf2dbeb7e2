"""Several takes of every stretch of a film between two changes of words, and the best of them.

All takes of a stretch go on from the same past under the same events; their blocks have other numbers, hence other
noise. What is best is a measure of the pictures, and no judgement of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loop.cli.common_options import SCORES
from world.block import Block, Conditions, Session, World
from world.event import Event, words_of

At = tuple[float, Event]
NextBlock = Callable[[Session, Sequence[Event]], Block]  # the block that these events make


@dataclass(frozen=True)
class Choice:
    """Which take of a stretch was kept: it begins at `at_s` and at block `block`, its number is `take`, from 0."""

    at_s: float
    block: int
    take: int
    scores: tuple[float, ...]


@dataclass
class _Take:
    """A session in a take, the pictures' measure so far, and what was made: (block, decoder state before it).

    made: pictures of the film. entered: events of the script.
    """

    session: Session
    made: int
    state: Any
    entered: int = 0
    blocks: list[tuple[Block, Any]] = field(default_factory=list)
    last: np.ndarray | None = None
    measures: list[float] = field(default_factory=list)

    @property
    def score(self) -> float:
        """The mean measure of its pictures; 0 where there is none."""
        return float(np.mean(self.measures)) if self.measures else 0.0


class Takes:
    """Makes a film of `frames` pictures in `count` takes of each stretch, by one of SCORES.

    script: events with their video times, in order. next_block: makes a session's next block.
    """

    def __init__(self, world: World, script: Sequence[At], count: int, score: str, next_block: NextBlock) -> None:
        self._world, self._script, self._count = world, script, count
        assert score in SCORES
        self._score, self._next_block = score, next_block
        self._line: list[Block] = []  # since the last hard cut
        self._before = Conditions("", 0)  # in force before the first of them
        self._number = 0  # of the next block that nobody has made

    def film(self, seed: int, prompt: str, frames: int, told: Callable[[Choice], None]) -> Iterator[np.ndarray]:
        """Pictures uint8 [Y, X, 3], one by one; `told` hears of each stretch before its first."""
        self._before = Conditions(prompt, seed)
        best = _Take(self._world.session(seed, prompt), 0, self._world.decoder.start())
        changes = [at_s for at_s, event in self._script if at_s > 0 and words_of(event) is not None]
        for end_s in [*sorted(set(changes)), float("inf")]:
            takes = [self._play(take, end_s, frames) for take in self._beginnings(best)]
            scores = tuple(take.score for take in takes)
            chosen = int(np.argmax(scores))
            begun, best = best.made, takes[chosen]
            if best.blocks:
                told(Choice(begun / self._world.info.fps, best.blocks[0][0].index, chosen, scores))
            yield from self._shown(best, frames - begun)

    def _beginnings(self, best: _Take) -> Iterator[_Take]:
        """The takes of the next stretch; the first goes on in the session that is there."""
        for number in range(self._count):
            session = self._twin() if number else best.session
            session.skip_to(self._number)
            yield _Take(session, best.made, best.state, best.entered, last=best.last)

    def _twin(self) -> Session:
        """A session that is where the film is, bit for bit."""
        before = self._before
        session = self._world.session(before.seed, str(before.words))
        if self._line:
            session.fold(self._line, before.words, before.dials)
        return session

    def _play(self, take: _Take, end_s: float, frames: int) -> _Take:
        """Make blocks until the stretch ends."""
        fps, decoder = self._world.info.fps, self._world.decoder
        while take.made < frames and take.made / fps + 1e-9 < end_s:
            now_s = take.made / fps + 1e-9
            due = [event for at_s, event in self._script[take.entered :] if at_s <= now_s]
            take.entered += len(due)
            block = self._next_block(take.session, due)
            state = take.state if block.start else decoder.start()
            pixels, after = decoder.decode(state, block.latents)
            take.blocks.append((block, state))
            take.made, take.state = take.made + len(pixels), after
            self._measure(take, pixels)
        self._number = max(self._number, take.session.index)
        return take

    def _measure(self, take: _Take, pixels: np.ndarray) -> None:
        for picture in pixels:
            if self._score == "contrast":
                take.measures.append(float(picture.mean(2).std()))
            elif take.last is not None:
                take.measures.append(float(np.abs(picture.astype(np.int16) - take.last).mean()))
            take.last = picture

    def _shown(self, take: _Take, frames: int) -> Iterator[np.ndarray]:
        """The pictures of the take that is kept, drawn again; its blocks are the past of the next stretch."""
        for block, state in take.blocks:
            if block.start == 0 and self._line:
                self._before, self._line = self._after_line(), []
            self._line.append(block)
            pixels, _ = self._world.decoder.decode(state, block.latents)
            yield from pixels[:frames]
            frames -= len(pixels)

    def _after_line(self) -> Conditions:
        """What was in force after the newest block of the line."""
        return self._twin().conditions
