"""What one setting makes of one stream: a change of words and the way back, two minutes, and what a block costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

import numpy as np

from loop.measure.methods.readers import NEWEST, WordReader
from loop.measure.steer.likeness import layout_correlation, shared_colours
from loop.measure.steer.remembered import Remembered
from loop.measure.steer.switches import PromptSwitch
from world.block import Block
from world.diffusion.world import DiffusionWorld

Marks = dict[str, list[float] | list[bool]]  # by name: values, or hits
JUMP_S = 1.0  # after a change of words


@dataclass(frozen=True)
class Seconds:
    """How long each stretch of a trial lasts: a place, other words, the place again."""

    place: float = 3.0
    away: float = 4.0
    back: float = 3.0


@dataclass(frozen=True)
class Trials:
    """What a setting is tried with. reader: of what the pictures show, if there is one."""

    world: DiffusionWorld
    memory: str = "named"
    reader: WordReader | None = None
    seconds: Seconds = Seconds()

    def switch(self, words: PromptSwitch, seed: int) -> Marks:
        """Some words, other words, and the first again: what is followed, what stays, what comes back."""
        asked, line = (words.before, words.after, words.before), list[Block]()
        ends = []
        session, past = self.world.session(seed, words.before), Remembered(self.world.info, self.memory)
        for text, seconds in zip(asked, vars(self.seconds).values(), strict=True):
            for number in range(self._blocks(seconds)):
                events = [past.event(text)] if line and not number else []
                line.append(session.step(events))
                past.note(line[-1], session.conditions)
            ends.append(len(line))
        jumped = self._pictures(line, ends[0] - 1, ends[0] + self._blocks(JUMP_S))
        place, away, back = (self._pictures(line, end - self._blocks(JUMP_S), end) for end in ends)
        marks: Marks = {
            "jump": [max(changes(jumped[self.world.info.block_frames - 1 :]))],
            "motion": [fmean(changes(away))],
            "back: colour": [shared_colours(place[-1], back[-1])],
            "back: layout": [layout_correlation(place[-1], back[-1])],
        }
        return marks | self._read(asked, [line[:end] for end in ends])

    def _read(self, asked: Sequence[str], lines: Sequence[list[Block]]) -> Marks:
        """What the words named and left, as it is read at the end of each stretch."""
        if not self.reader:
            return {}
        heard = [asked[: number + 1] for number in range(len(asked))]
        place, away, back = (self.reader.read(newest(line), texts) for line, texts in zip(lines, heard, strict=True))
        return {
            "named": self.reader.named(heard[1], away),
            "stayed": self.reader.stayed(heard[1], place, away),
            "back: as it was": [place[name] == back[name] for name in place],
        }

    def long(self, text: str, seed: int, minutes: float) -> Marks:
        """One stream under the same words: what is followed at the end, and what is left of contrast and motion."""
        session, info = self.world.session(seed, text), self.world.info
        early, end = ceil(6 / info.block_s), max(ceil(12 / info.block_s), round(minutes * 60 / info.block_s))
        line = [session.step() for _ in range(end)]
        seen = [self._pictures(line, at - ceil(2 / info.block_s), at) for at in (early, end)]
        contrast, motion = ([of(pictures) for pictures in seen] for of in (_contrast, lambda p: fmean(changes(p))))
        marks: Marks = {
            "later: contrast": [contrast[1] / max(contrast[0], 1e-9)],
            "later: motion": [motion[1] / max(motion[0], 1e-9)],
            "later: colour": [shared_colours(seen[0][-1], seen[1][-1])],
        }
        if self.reader:
            marks["later: named"] = self.reader.named([text], self.reader.read(newest(line), [text]))
        return marks

    def _blocks(self, seconds: float) -> int:
        return max(NEWEST, ceil(seconds / self.world.info.block_s))

    def _pictures(self, line: Sequence[Block], first: int, end: int) -> np.ndarray:
        """The pictures of blocks `first` to `end` of a line, uint8 [n, Y, X, 3].

        As many blocks before them are decoded too as the decoder remembers.
        """
        decoder, frames = self.world.decoder, self.world.config.cache.block
        since = max(0, first - ceil(decoder.memory / frames))
        state, made = decoder.start(), []
        for number in range(since, end):
            state = state if line[number].start else decoder.start()  # a hard cut shows nothing of what was before
            pictures, state = decoder.decode(state, line[number].latents)
            made += [pictures] if number >= first else []
        return np.concatenate(made)


def changes(pictures: np.ndarray) -> list[float]:
    """The mean change from each picture to the next, 0 to 255."""
    return np.abs(np.diff(pictures.astype(np.int16), axis=0)).mean((1, 2, 3)).tolist()


def newest(line: Sequence[Block]) -> np.ndarray:
    """The NEWEST latent frames of a line, [1, NEWEST, C, h, w]."""
    return np.concatenate([block.latents for block in line[-NEWEST:]], 1)[:, -NEWEST:]


def _contrast(pictures: np.ndarray) -> float:
    """The mean over pictures of the standard deviation of their pixels, of 255."""
    return fmean(float(picture.std()) for picture in pictures)


class BlockTimer:
    """Milliseconds of one setting's blocks, made a few at a time, so that settings take turns. No decoding."""

    def __init__(self, trials: Trials, words: PromptSwitch, seed: int, warm_s: float = 3.0) -> None:
        self._words, self._turns = (words.before, words.after), 0
        self._session, self._past = (
            trials.world.session(seed, words.before),
            Remembered(trials.world.info, trials.memory),
        )
        self.block_ms, self.switch_ms = list[float](), list[float]()
        for _ in range(ceil(warm_s / trials.world.info.block_s)):
            self._step(None)

    def turn(self, blocks: int) -> None:
        """Make a block under other words, and so many after it."""
        self._turns += 1
        self.switch_ms.append(self._step(self._words[self._turns % 2]))
        self.block_ms += [self._step(None) for _ in range(blocks)]

    def _step(self, text: str | None) -> float:
        events = [] if text is None else [self._past.event(text)]
        begun = time.perf_counter()
        block = self._session.step(events)
        took_ms = (time.perf_counter() - begun) * 1e3
        self._past.note(block, self._session.conditions)
        return took_ms
