"""Batches for the base training, in latents: single blocks, running streams, and prompt switches.

Each sequence has one text. As in play, the history is re-encoded under a new text before the next block is made. Blocks
that the text does not describe are context only: the loss does not count them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from world.compact.decoder import LinearLatents
from world.train.data.captions import (
    ATTRIBUTES,
    COLOURS,
    Look,
    describe_look,
    look_of,
    random_attributes,
    random_caption,
)
from world.train.data.cross_fade import CrossFade
from world.train.data.library import LatentPainter, Library, motion_kind
from world.train.data.render import random_colours
from world.train.learn.device import seeded_generator

DROPPED = 0.08  # the share of captions that are replaced by an empty text, which guidance needs
PARTIAL = 0.4  # the share of switches that name one or two attributes only


@dataclass(frozen=True)
class Batch:
    """B sequences of n blocks.

    latents: [B, n, C, h, w]; dials: [B, n, 4]; texts: B; counted: bool [B, n], true for the blocks in the loss.
    cut: how many first blocks were re-encoded together under `texts`. stale: how many first blocks are still encoded
    under the texts `before`.
    """

    latents: Tensor
    dials: Tensor
    texts: list[str]
    counted: Tensor
    cut: int = 0
    stale: int = 0
    before: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ClipPart:
    """Some blocks of a clip of the library, to be painted in the colours of a look."""

    look: Look
    clip: int
    blocks: list[int]


@dataclass(frozen=True)
class TrainingSequence:
    """One sequence of a batch: a part of a clip.

    before: the text of its stale blocks. sink: the part that its first block is taken from, if not from `part`. after:
    the part that it fades into at the batch's cut.
    """

    part: ClipPart
    text: str
    counted: list[bool]
    before: str = ""
    sink: ClipPart | None = None
    after: ClipPart | None = None


class BatchSource:
    """Draws batches from a library. Owns its random numbers: the same seed draws the same batches."""

    def __init__(self, library: Library, latents: LinearLatents, seed: int) -> None:
        self.library, self.painter, self.cross_fade = library, LatentPainter(latents), CrossFade(latents)
        self.rng = random.Random(seed)
        self.generator = seeded_generator(seed)

    def singles(self, count: int) -> Batch:
        """First blocks of streams: a scene from nothing."""
        return self._batch([self._single() for _ in range(count)])

    def streams(self, count: int, length: int) -> Batch:
        """Sequences of `length` blocks that go on as they are; half of the batches have a full window.

        The sink of a full window is stale: it was encoded under a text of its own.
        """
        is_full = self.rng.random() < 0.5
        return self._batch([self._stream(length, is_full) for _ in range(count)], stale=int(is_full))

    def switches(self, count: int, length: int) -> Batch:
        """Sequences that change under a new text, all after the same number of blocks; the history is re-encoded.

        Half of the batches have a full window, whose sink a recache leaves under the old text.
        """
        cut, is_full = self.rng.randrange(1, length), self.rng.random() < 0.5
        sequences = [self._switch(cut, self._stream_blocks(length, is_full)) for _ in range(count)]
        return self._batch(sequences, cut, int(is_full))

    def stale(self, count: int, length: int) -> Batch:
        """Sequences whose text changes while the cache still holds the old one: the old scene goes on.

        Without these, a text acts the same whether or not the history was re-encoded under it.
        """
        cut, is_full = self.rng.randrange(2, length), self.rng.random() < 0.5
        return self._batch([self._stale(length, cut, is_full) for _ in range(count)], stale=cut)

    def clips(self, count: int, length: int) -> Batch:
        """Whole clips for the teacher; every other one changes under a new text after its first block."""
        sequences = [
            self._running(length) if n % 2 else self._switch(1, self._adjacent_blocks(length)) for n in range(count)
        ]
        return self._batch(sequences, cut=1)

    def pairs(self, count: int) -> tuple[Tensor, list[Look]]:
        """Two adjacent blocks of random clips, [B, 2, C, h, w], and what they show."""
        parts = []
        for _ in range(count):
            scene, direction, speed = self.rng.choice(list(self.library.clips_by_kind))
            look = Look(scene, self.rng.choice(list(COLOURS)), direction, speed)
            parts.append(self._part(look, self._adjacent_blocks(2)))
        return self._painted(parts)[0], [part.look for part in parts]

    def _single(self) -> TrainingSequence:
        text = self._sometimes_empty(random_caption(self.rng))
        part = self._part(look_of(text or random_caption(self.rng)), self._adjacent_blocks(1))
        return TrainingSequence(part, text, [True])

    def _stream(self, length: int, is_full: bool) -> TrainingSequence:
        look = look_of(random_caption(self.rng))
        part, sink = self._part(look, self._stream_blocks(length, is_full)), None
        if is_full and self.rng.random() < 0.4:
            sink = self._part(look_of(random_caption(self.rng)), [0])
        text = self._sometimes_empty(self._text_that_keeps(look))
        # the first block is made from the text alone; the second block of a full window does not follow its sink
        first = sink is None and (not text or look_of(text) == look)
        counted = [first, not is_full, *[True] * (length - 2)]
        return TrainingSequence(part, text, counted, self._text_that_keeps((sink or part).look), sink)

    def _running(self, length: int) -> TrainingSequence:
        look = look_of(random_caption(self.rng))
        part = self._part(look, self._adjacent_blocks(length))
        return TrainingSequence(part, self._sometimes_empty(self._text_that_keeps(look)), [True] * length)

    def _switch(self, cut: int, blocks: list[int]) -> TrainingSequence:
        before, text = look_of(random_caption(self.rng)), self._new_text()
        after, part = look_of(text, before), self._part(before, blocks)
        # a new look that moves like the old one goes on as the same clip
        is_same_kind = motion_kind(after) == motion_kind(before)
        changed = ClipPart(after, part.clip, blocks) if is_same_kind else self._part(after, blocks)
        counted = [n >= cut for n in range(len(blocks))]
        return TrainingSequence(part, text, counted, self._text_that_keeps(before), after=changed)

    def _stale(self, length: int, cut: int, is_full: bool) -> TrainingSequence:
        look = look_of(random_caption(self.rng))
        part, counted = self._part(look, self._stream_blocks(length, is_full)), [n >= cut for n in range(length)]
        return TrainingSequence(part, self._new_text(), counted, self._text_that_keeps(look))

    def _new_text(self) -> str:
        if self.rng.random() >= PARTIAL:
            return random_caption(self.rng)
        few = self.rng.sample(("scene", "colour", "direction", "speed"), self.rng.randint(1, 2))
        return random_caption(self.rng, tuple(few))

    def _stream_blocks(self, length: int, is_full: bool) -> list[int]:
        """Block numbers in a clip: its beginning, or, for a full window, its first block and then a later part."""
        latest = self.library.blocks - length + 1
        start = self.rng.randint(min(2, latest), latest) if is_full else 1
        return [0, *range(start, start + length - 1)]

    def _adjacent_blocks(self, length: int) -> list[int]:
        start = self.rng.randint(0, self.library.blocks - length)
        return [*range(start, start + length)]

    def _text_that_keeps(self, look: Look) -> str:
        """A text under which a stream of `look` goes on as it is; it need not name everything."""
        attributes = random_attributes(self.rng) if self.rng.random() < 0.4 else ATTRIBUTES
        text = describe_look(look, self.rng, attributes)
        return text if look_of(text, look) == look else describe_look(look, self.rng)

    def _sometimes_empty(self, text: str) -> str:
        return "" if self.rng.random() < DROPPED else text

    def _part(self, look: Look, blocks: list[int]) -> ClipPart:
        return ClipPart(look, self.library.pick(look, self.rng), blocks)

    def _painted(self, parts: Sequence[ClipPart]) -> tuple[Tensor, Tensor]:
        """Latents [B, n, C, h, w] and dials [B, n, 4] of parts of one length."""
        projected, dials = self.library.read([part.clip for part in parts], [part.blocks for part in parts])
        return self.painter.paint(projected, random_colours([part.look for part in parts], self.generator)), dials

    def _batch(self, sequences: Sequence[TrainingSequence], cut: int = 0, stale: int = 0) -> Batch:
        latents, dials = self._painted([sequence.part for sequence in sequences])
        if sinks := {n: sequence.sink for n, sequence in enumerate(sequences) if sequence.sink}:
            first, first_dials = self._painted([*sinks.values()])
            latents[[*sinks], :1], dials[[*sinks], :1] = first, first_dials
        if after := {n: sequence.after for n, sequence in enumerate(sequences) if sequence.after}:
            new, new_dials = self._painted([*after.values()])
            latents[[*after]] = self.cross_fade.fade(latents[[*after]], new, cut)
            dials[[*after], cut:] = new_dials[:, cut:]
        counted = torch.tensor([sequence.counted for sequence in sequences])
        texts, before = [sequence.text for sequence in sequences], [sequence.before for sequence in sequences]
        return Batch(latents, dials, texts, counted, cut, stale, before)
